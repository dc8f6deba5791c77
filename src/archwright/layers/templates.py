"""Templates of cell networks with one part removed or replaced (Herron 2023, tables 3.4 and 3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from torch import Tensor, nn

from archwright.errors import FamilyError, unknown
from archwright.layers.blocks import every, stride_before
from archwright.layers.cells import CellNetwork, MakeCell
from archwright.layers.operations import without_affine

Stem = Literal["conv3x3", "identity", "conv1x1", "concat"]
Reduction = Literal["cell", "avgpool", "maxpool", "conv"]


@dataclass(frozen=True)
class Template:
    """What surrounds the cells, and which operations they do without.

    Attributes:
        without: operations that are left out of the candidates.
        stem: the usual 3x3 convolution and batch norm; the image itself; a 1x1 convolution and batch norm; copies of the image.
        reduction: cells of their own, or in their place pooling (3x3, stride 2, and a 1x1 convolution with batch norm) or a
            1x1 convolution of stride 2, which read the last cell alone.
        heads: distillation heads in the search.
        tower: the auxiliary tower in retraining.
    """

    without: tuple[str, ...] = ()
    stem: Stem = "conv3x3"
    reduction: Reduction = "cell"
    heads: bool = True
    tower: bool = True

    def candidates(self, operations: Sequence[str]) -> tuple[str, ...]:
        """The operations that are left.

        Raises:
            FamilyError: none is.
        """
        left = tuple(name for name in operations if name not in self.without)
        if not left:
            raise FamilyError(f"without {', '.join(self.without)} no operation is left")
        return left


TEMPLATES: Mapping[str, Template] = {
    "base": Template(),
    "abl_pooling": Template(without=("max_pool_3x3", "avg_pool_3x3")),
    "abl_identity": Template(without=("skip_connect",)),
    "abl_dilated": Template(without=("dil_conv_3x3", "dil_conv_5x5")),
    "abl_separable": Template(without=("sep_conv_3x3", "sep_conv_5x5")),
    "abl_aux": Template(heads=False, tower=False),
    "abl_keep_tower": Template(heads=False),
    "abl_stem_identity": Template(stem="identity"),
    "abl_stem_conv": Template(stem="conv1x1"),
    "abl_stem_concat": Template(stem="concat"),
    "abl_reduce_avg": Template(reduction="avgpool"),
    "abl_reduce_max": Template(reduction="maxpool"),
    "abl_reduce_conv": Template(reduction="conv"),
}
"""The eleven ablations by name, one of them in two forms, and the template without any."""


def template(which: str | Mapping[str, Any]) -> Template:
    """A template by name, or from its attributes as plain data.

    Raises:
        FamilyError: there is none of this name, or an attribute is no template's.
    """
    if isinstance(which, Mapping):
        return _from_attributes(which)
    if which not in TEMPLATES:
        raise FamilyError(unknown("template", which, TEMPLATES))
    return TEMPLATES[which]


def _from_attributes(values: Mapping[str, Any]) -> Template:
    known = [attribute.name for attribute in fields(Template)]
    for name in values:
        if name not in known:
            raise FamilyError(unknown("attribute of a template", name, known))
    for name, kinds in (("stem", get_args(Stem)), ("reduction", get_args(Reduction))):
        if name in values and values[name] not in kinds:
            raise FamilyError(unknown(f"{name} of a template", str(values[name]), kinds))
    return Template(**{**values, "without": tuple(values.get("without", ()))})


def plain(around: Template) -> str | dict[str, Any]:
    """The inverse of :func:`template`: the name, where there is one."""
    named = next((name for name, known in TEMPLATES.items() if known == around), None)
    return named or {**asdict(around), "without": list(around.without)}


class Copies(nn.Module):
    """Copies of the image side by side, so many channels: channel ``c`` is the image's channel ``c mod c_in``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """``batch x channels x h x w``."""
        copies = -(-self.channels // x.shape[1])
        return x.repeat(1, copies, 1, 1)[:, : self.channels]


class PlainReduction(nn.Module):
    """In the place of a reduction cell: reads the last cell's output alone, halves it and gives it its channels."""

    def __init__(self, kind: Reduction, c_in: int, c_out: int, affine: bool = True) -> None:
        super().__init__()
        self.before = stride_before(c_in, 2) if kind == "conv" else 1
        if kind == "conv":
            self.body: nn.Module = nn.Conv2d(c_in, c_out, 1, 2 // self.before, bias=False)
            return
        pool = nn.MaxPool2d(3, 2, 1) if kind == "maxpool" else nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        body = nn.Sequential(pool, nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))
        self.body = body if affine else without_affine(body)

    def forward(self, before: Tensor, last: Tensor, *_: object) -> Tensor:
        """``batch x c_out x ceil(h / 2) x ceil(w / 2)``."""
        out: Tensor = self.body(every(last, self.before))
        return out


def stem(kind: Stem, c_in: int, channels: int) -> nn.Module:
    """The stem that puts out ``3 * channels`` channels, or with ``identity`` those of the image."""
    if kind == "identity":
        return nn.Identity()
    if kind == "concat":
        return Copies(3 * channels)
    kernel = 3 if kind == "conv3x3" else 1
    conv = nn.Conv2d(c_in, 3 * channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(3 * channels))


def cell_network(
    c_in: int, num_classes: int, channels: int, cells: int, nodes: int, make: MakeCell,
    around: Template = TEMPLATES["base"], tower: bool = False, affine: bool = True,
) -> CellNetwork:  # fmt: skip
    """A network of cells in a template; the search, the evaluation network and retraining build theirs with this.

    Args:
        c_in, num_classes, channels, cells, nodes, make: of :class:`~archwright.layers.cells.CellNetwork`.
        around: the template.
        tower: with an auxiliary tower, if the template has one.
        affine: of the batch norms of what replaces reduction cells.
    """
    made = 0

    def make_in_template(before: int, last: int, width: int, reduces: bool, last_reduced: bool) -> nn.Module:
        nonlocal made
        if around.stem == "identity":
            before, last = (c_in if made < 2 else before), (c_in if made < 1 else last)
        made += 1
        if reduces and around.reduction != "cell":
            return PlainReduction(around.reduction, last, nodes * width, affine)
        return make(before, last, width, reduces, last_reduced)

    network = CellNetwork(c_in, num_classes, channels, cells, nodes, make_in_template, tower and around.tower)
    network.stem = stem(around.stem, c_in, channels)  # type: ignore[assignment]
    return network
