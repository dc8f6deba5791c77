"""Look-up tables of others: what blocks of MBConv networks take on phones, as Once-for-all (Cai et al. 2020) and its heirs
publish them.

Such a file is YAML of two levels: a block such as
``expanded_conv-input:10x10x136-output:10x10x136-expand:408-kernel:3-stride:1-idskip:1-se:1-hs:1``, and below it ``mean``
(ms) with ``std`` or ``var``. ``expand`` is the number of channels in the middle, in some files the ratio. Sizes are
``height x width x channels``.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archwright.errors import SettingsError, unknown

WIDTHS, STRIDES = (32, 48, 96, 136, 192), (2, 2, 2, 1, 2)
SQUEEZE, SWISH = (0, 1, 0, 1, 1), (0, 0, 1, 1, 1)
"""Of the five stages of OFA-MobileNetV3 of width 1.2."""


@dataclass(frozen=True)
class BlockTable:
    """Times of blocks in ms.

    Attributes:
        name: of the file.
        times: by the block's text.
    """

    name: str
    times: Mapping[str, float]

    def ms(self, kind: str, source: Sequence[int], target: Sequence[int], **fields: int) -> float:
        """Time of a block.

        Args:
            kind: ``Conv``, ``expanded_conv``, ``MBConv``, ``Logits``, ...
            source, target: input and output: height, width, channels; a single number for a vector.
            fields: what else the table tells blocks apart by, such as ``expand``, ``kernel``, ``stride``, ``se``.

        Raises:
            SettingsError: the table lacks it, with near matches.
        """
        words = [kind, f"input:{_size(source)}", f"output:{_size(target)}", *(f"{k}:{v}" for k, v in fields.items())]
        key = "-".join(words)
        if key not in self.times:
            raise SettingsError(f"{self.name}: " + unknown("block", key, [k for k in self.times if k.startswith(kind)]))
        return self.times[key]


def read_blocks(path: str | Path) -> BlockTable:
    """Read such a file, also gzipped.

    Raises:
        SettingsError: it is missing, or a line of it is not in that form.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SettingsError(f"the look-up table {path} cannot be read: {error}") from error
    times: dict[str, float] = {}
    block: str | None = None
    for number, line in enumerate(lines, start=1):
        found = re.fullmatch(r"( *)([^\s:][^\s]*):(?: +(\S+))?", line.rstrip())
        if found is None or bool(found[1]) != bool(found[3]) or (found[1] and block is None):
            raise SettingsError(f"{path}, line {number}: neither a block nor one of its figures: {line[:60]!r}")
        if not found[1]:
            if block is not None and block not in times:
                raise SettingsError(f"{path}, line {number}: the block before has no mean")
            block = found[2]
        elif found[2] == "mean":
            times[str(block)] = _number(path, number, found[3])
    if not times or block not in times:
        raise SettingsError(f"{path} ends before the figures of {block}; is it whole?")
    return BlockTable(path.name, times)


def ofa_mobilenet_ms(
    table: BlockTable, resolution: int, kernels: Sequence[int], expansions: Sequence[int], depths: Sequence[int]
) -> float:
    """Latency of a subnet of OFA-MobileNetV3 (width 1.2) as the sum of its blocks.

    Args:
        table: measured at that resolution.
        resolution: height and width of the image.
        kernels, expansions: of 20 blocks, four in each stage, of which the first ``depth`` are there.
        depths: of five stages.

    Raises:
        SettingsError: the table lacks a block, or there are not 20 blocks and five stages.
    """
    if (len(kernels), len(expansions), len(depths)) != (20, 20, 5) or not all(1 <= d <= 4 for d in depths):
        raise SettingsError("OFA-MobileNetV3 has 5 stages of 1 to 4 blocks, with 20 kernels and expansions")
    side, channels = -(-resolution // 2), 24
    square = (side, side, channels)
    total = table.ms("Conv", (resolution, resolution, 3), square)
    total += table.ms("expanded_conv", square, square, expand=24, kernel=3, stride=1, idskip=1, se=0, hs=0)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            stride = STRIDES[stage] if i == 0 else 1
            out, block = -(-side // stride), 4 * stage + i
            total += table.ms(
                "expanded_conv", (side, side, channels), (out, out, WIDTHS[stage]),
                expand=channels * expansions[block], kernel=kernels[block], stride=stride, idskip=int(i > 0),
                se=SQUEEZE[stage], hs=SWISH[stage],
            )  # fmt: skip
            side, channels = out, WIDTHS[stage]
    total += table.ms("Conv_1", (side, side, 192), (side, side, 1152))
    total += table.ms("AvgPool2D", (side, side, 1152), (1, 1, 1152)) + table.ms("Conv_2", (1, 1, 1152), (1, 1, 1536))
    return total + table.ms("Logits", (1, 1, 1536), (1000,))


def _size(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value >= 0:
        raise SettingsError(f"{path}, line {line}: {text!r} is no time")
    return value
