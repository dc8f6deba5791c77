"""Genotypes of cell-based networks as plain values: per type of cell and per node, pairs of operation and predecessor.

Unlike an architecture of the family ``darts``, nodes may keep any number of pairs, a predecessor may repeat, and an
edge may carry ``none``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archwright.errors import FamilyError
from archwright.space.cells import reductions

Pair = tuple[str, int]
Nodes = tuple[tuple[Pair, ...], ...]
NONE = "none"
INPUTS = 2
"""Predecessors 0 and 1 are the outputs of the cell before the last one, and of the last."""
SUFFIX = "_concat"
AROUND = ("sequence", "template")
"""Keys of a genotype that are no cells: the type of each cell, and what a search of the template chose."""
KEYS = ("genotype", "cells")
"""Where a result file may keep its genotype."""


@dataclass(frozen=True)
class Cells:
    """The cells of one network.

    Attributes:
        kinds: per type of cell, per node, its pairs of operation and predecessor (0 and 1 are the cell's inputs, node
            ``j`` is predecessor ``j + 2``).
        concat: per type, the states that are concatenated to the cell's output.
        sequence: the type of each cell of the network, where it is not the usual one.
    """

    kinds: Mapping[str, Nodes]
    concat: Mapping[str, tuple[int, ...]]
    sequence: tuple[str, ...] = ()

    def stack(self, cells: int = 20) -> tuple[str, ...]:
        """The type of each cell of a network.

        A genotype's own sequence comes first. Normal and reduction cells are stacked with reductions at one and two thirds;
        other sets of types alternate (Herron 2023, sections 3.1 and 6).

        Raises:
            FamilyError: no cells.
        """
        if cells < 1:
            raise FamilyError(f"a network has at least 1 cell, not {cells}")
        if self.sequence:
            return self.sequence
        if set(self.kinds) == {"normal", "reduce"}:
            return tuple("reduce" if m in reductions(cells) else "normal" for m in range(cells))
        names = list(self.kinds)
        return tuple(names[m % len(names)] for m in range(cells))

    def to_json(self) -> dict[str, Any]:
        """Plain data, the inverse of :func:`parse_cells`."""
        found: dict[str, Any] = {}
        for kind, nodes in self.kinds.items():
            found[kind] = [[list(pair) for pair in node] for node in nodes]
            found[kind + SUFFIX] = list(self.concat[kind])
        return found | ({"sequence": list(self.sequence)} if self.sequence else {})


def read_cells(path: str | Path) -> Cells:
    """The genotype in a file: in the notation of the DARTS code, as JSON, or in the result of a one-shot study.

    Raises:
        FamilyError: the file cannot be read, or has no genotype in it.
    """
    return cells_of(read_json_or_text(path), path)


def read_json_or_text(path: str | Path) -> Any:
    """What a file holds: JSON as plain data, anything else as text; a folder stands for its ``result.json``.

    Raises:
        FamilyError: it cannot be read, or looks like JSON and is not.
    """
    file = Path(path)
    file = file / "result.json" if file.is_dir() else file
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FamilyError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'not a text file'}") from error
    if not text.startswith(("{", "[", '"')):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise FamilyError(f"{file} is not valid JSON: {error}") from error


def cells_of(content: Any, where: str | Path) -> Cells:
    """The genotype in what a file holds.

    Raises:
        FamilyError: there is none, or it does not hold together.
    """
    for key in KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), (Mapping, str)):
            content = content[key]
            break
    try:
        return parse_cells(content)
    except FamilyError as error:
        raise FamilyError(f"{where}: {error}") from error


def parse_cells(content: Mapping[str, Any] | str) -> Cells:
    """A genotype from plain data or from text.

    Args:
        content: per type of cell a list of nodes, each a list of ``[operation, predecessor]`` (an empty one gives zeros), or
            one flat list with two pairs per node, or the name of an operation that stands in the cell's place;
            ``TYPE_concat`` says what is concatenated (all nodes by default), ``sequence`` the type of each cell of the
            network; ``template`` is passed over. As text:
            ``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=...)``, or JSON.

    Raises:
        FamilyError: it is no genotype; the message says what is wrong.
    """
    try:
        given = _call(content) if isinstance(content, str) else dict(content)
        if not all(isinstance(key, str) for key in given):
            raise ValueError("types of cells are named by words")
        kinds = {k: _nodes(k, v) for k, v in given.items() if not k.endswith(SUFFIX) and k not in AROUND}
        if not kinds:
            raise ValueError("it has no cells")
        concat = {kind: _concat(kind, given.get(kind + SUFFIX), nodes) for kind, nodes in kinds.items()}
        sequence = tuple(str(kind) for kind in given.get("sequence") or ())
        strange = set(sequence) - set(kinds)
        if strange:
            raise ValueError(f"the sequence names {sorted(strange)[0]!r}, which is no cell of it")
    except (SyntaxError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise FamilyError(
            f"not a genotype such as Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, 3, 4, 5], ...): {error}"
        ) from error
    return Cells(kinds, concat, sequence)


def _call(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        return dict(json.loads(text))
    call = ast.parse(text.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or call.args or any(word.arg is None for word in call.keywords):
        raise ValueError("no call with named arguments")
    return {str(word.arg): _value(word.value) for word in call.keywords}


def _value(value: ast.expr) -> Any:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "range":
        return list(range(*(ast.literal_eval(a) for a in value.args)))
    return ast.literal_eval(value)


def _nodes(kind: str, value: Any) -> Nodes:
    """The nodes of a cell; an operation in its place is one node that reads the last cell (Herron 2023, table 3.5)."""
    if isinstance(value, str):
        return (((value, INPUTS - 1),),)
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"{kind} must be a list of nodes, not {value!r:.60}")
    nested = value if not _is_pair(value[0]) else _by_two(kind, value)
    return tuple(tuple(_pair(kind, j, pair) for pair in node) for j, node in enumerate(nested))


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[0], str)


def _by_two(kind: str, pairs: Sequence[Any]) -> list[Sequence[Any]]:
    if len(pairs) % 2:
        raise ValueError(f"{kind} is a flat list, which must have two pairs per node, and has {len(pairs)} pairs")
    return [pairs[i : i + 2] for i in range(0, len(pairs), 2)]


def _pair(kind: str, node: int, pair: Any) -> Pair:
    if not _is_pair(pair) or isinstance(pair[1], bool) or not isinstance(pair[1], int):
        raise ValueError(f"{kind}: node {node + INPUTS} must have pairs of operation and predecessor, not {pair!r:.60}")
    if not 0 <= pair[1] < node + INPUTS:
        raise ValueError(f"{kind}: node {node + INPUTS} cannot read state {pair[1]}; it is preceded by 0 to {node + 1}")
    return str(pair[0]), pair[1]


def _concat(kind: str, given: Any, nodes: Nodes) -> tuple[int, ...]:
    every = tuple(range(INPUTS, len(nodes) + INPUTS))
    chosen = every if given is None else tuple(int(i) for i in given)
    if not chosen or not set(chosen) <= set(every):
        raise ValueError(f"{kind}{SUFFIX} must name some of the nodes {list(every)}, not {list(chosen)}")
    return chosen
