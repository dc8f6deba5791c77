"""Spaces of pairs of cells, normal and reduction, as differentiable methods search them.

A cell has two inputs, numbered 0 and 1, and nodes; each node adds up some pairs of operation and predecessor, and the
cell puts out all nodes, concatenated. Which pairs a node may have is the rule of the space (Herron 2023, section 4.2):

- ``darts``: two different predecessors, an operation each (Liu et al. 2019);
- ``idarts``: any two pairs, also of one predecessor (Jiang et al. 2019);
- ``xdarts``: as many pairs as there are predecessors, any of them;
- ``any``: any set of pairs, none among them (Chu et al. 2020); a node without pairs gives zeros.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_lowercase
from typing import Any

from archwright.errors import FamilyError, unknown
from archwright.space import Architecture, Choice, Genotype, Space

CELLS = ("normal", "reduce")
RULES = ("darts", "idarts", "xdarts", "any")
NONE = "none"
Pair = tuple[str, int]
Cells = Mapping[str, Sequence[Sequence[Pair]]]
"""Per cell, per node, its pairs of operation and predecessor."""


@dataclass(frozen=True)
class CellSpace:
    """What cells there are, and their writings.

    Attributes:
        operations: that an edge may carry.
        nodes: of a cell.
        rule: which pairs a node may have: ``darts``, ``idarts``, ``xdarts`` or ``any``.
        none: whether a kept edge may carry no operation.
        kinds: the cells: both, or one of them.
    """

    operations: tuple[str, ...]
    nodes: int = 4
    rule: str = "darts"
    none: bool = False
    kinds: tuple[str, ...] = CELLS

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise FamilyError("cells: " + unknown("rule", self.rule, RULES))
        if self.nodes < 1 or not self.operations:
            raise FamilyError("cells need at least one node and one operation")

    @property
    def choices(self) -> tuple[str, ...]:
        """What an edge may carry, ``none`` included where it is allowed."""
        return (*self.operations, NONE) if self.none else self.operations

    def kept(self, node: int) -> int:
        """How many pairs node ``node`` (from 0) adds up, at most where the rule is ``any``."""
        if self.rule == "any":
            return (node + 2) * len(self.choices)
        return node + 2 if self.rule == "xdarts" else 2

    def space(self) -> Space:
        """The parameters: for ``darts`` predecessors and operations apart, for ``any`` whether each pair is there, else pairs."""
        found: dict[str, Choice] = {}
        for cell in self.kinds:
            for node in range(2, self.nodes + 2):
                if self.rule == "any":
                    found |= {f"{cell}{node}_{name}@{i}": Choice(False, True) for name, i in self._every(node)}
                    continue
                letters = ascii_lowercase[: self.kept(node - 2)]
                if self.rule != "darts":
                    pairs = [f"{name}@{i}" for i in range(node) for name in self.choices]
                    found |= {f"{cell}{node}_{letter}": Choice(*pairs) for letter in letters}
                    continue
                inputs = [f"{i}-{j}" for i, j in combinations(range(node), 2)]
                if len(inputs) > 1:
                    found[f"{cell}{node}_inputs"] = Choice(*inputs)
                found |= {f"{cell}{node}_{letter}": Choice(*self.choices) for letter in letters}
        return Space(found)

    def _every(self, node: int) -> list[Pair]:
        return [(name, i) for i in range(node) for name in self.choices]

    def cells(self, architecture: Mapping[str, Any]) -> dict[str, list[list[Pair]]]:
        """The pairs of an architecture, node by node."""
        return {
            cell: [self._pairs(architecture, cell, number) for number in range(2, self.nodes + 2)]
            for cell in self.kinds
        }

    def _pairs(self, architecture: Mapping[str, Any], cell: str, number: int) -> list[Pair]:
        node = f"{cell}{number}"
        if self.rule == "any":
            return [(name, i) for name, i in self._every(number) if architecture[f"{node}_{name}@{i}"]]
        if self.rule == "darts":
            sources = str(architecture.get(f"{node}_inputs", "0-1")).split("-")
            return [(str(architecture[f"{node}_{w}"]), int(s)) for s, w in zip(sources, "ab")]
        letters = (w for w in ascii_lowercase if f"{node}_{w}" in architecture)
        written = [str(architecture[f"{node}_{w}"]).rsplit("@", 1) for w in letters]
        return [(name, int(predecessor)) for name, predecessor in written]

    def architecture(self, cells: Cells) -> Architecture:
        """The inverse of :meth:`cells`; the pairs of a node may come in any order.

        Raises:
            FamilyError: pairs that the space does not have.
        """
        values: dict[str, Any] = {}
        for cell in self.kinds:
            if cell not in cells:
                raise FamilyError(f"cells: {cell!r} is missing")
            if len(cells[cell]) != self.nodes:
                raise FamilyError(f"{cell} must have {self.nodes} nodes, not {len(cells[cell])}")
            for node, pairs in enumerate(cells[cell], start=2):
                values |= self._values(cell, node, self._checked(cell, node, pairs))
        return Architecture({name: values[name] for name in self.space().names})

    def _checked(self, cell: str, node: int, pairs: Sequence[Any]) -> list[Pair]:
        wanted = self.kept(node - 2)
        if len(pairs) != wanted and self.rule != "any":
            raise FamilyError(f"{cell}: node {node} must have {wanted} pairs, not {len(pairs)}")
        order = {name: k for k, name in enumerate(self.choices)}
        found = []
        for name, predecessor in pairs:
            if name not in order:
                raise FamilyError(f"{cell}: unknown operation {name!r}; there are {', '.join(self.choices)}")
            if not isinstance(predecessor, int) or not 0 <= predecessor < node:
                raise FamilyError(f"{cell}: node {node} must read from inputs below {node}, not {predecessor}")
            found.append((str(name), predecessor))
        found.sort(key=lambda pair: (pair[1], order[pair[0]]))
        if self.rule == "any" and len(set(found)) < len(found):
            raise FamilyError(f"{cell}: node {node} has a pair twice")
        if self.rule == "darts" and len({predecessor for _, predecessor in found}) < wanted:
            read = " and ".join(str(predecessor) for _, predecessor in found)
            raise FamilyError(f"{cell}: node {node} must have two different inputs below {node}, not {read}")
        return found

    def _values(self, cell: str, node: int, pairs: Sequence[Pair]) -> dict[str, Any]:
        if self.rule == "any":
            return {f"{cell}{node}_{name}@{i}": (name, i) in pairs for name, i in self._every(node)}
        if self.rule != "darts":
            return {f"{cell}{node}_{w}": f"{name}@{i}" for w, (name, i) in zip(ascii_lowercase, pairs)}
        inputs = {f"{cell}{node}_inputs": "-".join(str(i) for _, i in pairs)}
        return inputs | {f"{cell}{node}_{w}": name for w, (name, _) in zip("ab", pairs)}

    def key(self, architecture: Architecture) -> str:
        """Equal for equal cells, in whatever order the pairs of a node are written."""
        return self.architecture(self.cells(architecture)).key

    def graph(self, architecture: Mapping[str, Any], cell: str) -> Genotype:
        """A cell as a graph: nodes 0 and 1 are its inputs, the last one is the concatenation."""
        last = self.nodes + 2
        edges = [
            (source, node, name)
            for node, pairs in enumerate(self.cells(architecture)[cell], start=2)
            for name, source in pairs
        ]
        return Genotype(last + 1, (*edges, *((node, last, None) for node in range(2, last))))

    def to_json(self, architecture: Mapping[str, Any]) -> dict[str, Any]:
        """Plain data: per cell a list of nodes of ``[operation, predecessor]``, and the nodes that are put out."""
        plain: dict[str, Any] = {}
        for cell, nodes in self.cells(architecture).items():
            plain[cell] = [[[name, i] for name, i in pairs] for pairs in nodes]
            plain[f"{cell}_concat"] = list(range(2, self.nodes + 2))
        return plain

    def to_text(self, architecture: Mapping[str, Any]) -> str:
        """The notation of the DARTS code: ``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, ...], ...)``.

        Where nodes may have any number of pairs, each node is a list of its own.
        """
        parts = []
        for cell, nodes in self.cells(architecture).items():
            pairs = nodes if self.rule == "any" else [pair for node in nodes for pair in node]
            parts.append(f"{cell}={pairs}, {cell}_concat={list(range(2, self.nodes + 2))}")
        return f"Genotype({', '.join(parts)})"

    def from_text(self, text: str) -> Architecture:
        """The inverse of :meth:`to_text`; a node's pairs may come in any order, ``range(2, 6)`` is understood.

        Raises:
            FamilyError: the text is not in that notation, or is of another space.
        """
        try:
            call = ast.parse(text.strip(), mode="eval").body
            if not isinstance(call, ast.Call) or call.args:
                raise ValueError("no call with named arguments")
            given = {str(word.arg): _read(word.value) for word in call.keywords}
            cells = {}
            for cell in self.kinds:
                if list(given[f"{cell}_concat"]) != list(range(2, self.nodes + 2)):
                    raise ValueError(f"{cell}_concat must be {list(range(2, self.nodes + 2))}")
                cells[cell] = self._by_node(cell, given[cell])
            return self.architecture(cells)
        except (SyntaxError, ValueError, KeyError, TypeError, FamilyError) as error:
            raise FamilyError(f"not a genotype of this space, such as Genotype(normal=[...], ...): {error}") from error

    def _by_node(self, cell: str, pairs: Sequence[Any]) -> list[Sequence[Any]]:
        if self.rule == "any":
            return list(pairs)
        counts = [self.kept(node) for node in range(self.nodes)]
        if len(pairs) != sum(counts):
            raise ValueError(f"{cell} must have {sum(counts)} pairs, not {len(pairs)}")
        starts = [sum(counts[:k]) for k in range(self.nodes)]
        return [pairs[start : start + count] for start, count in zip(starts, counts)]


def _read(value: ast.expr) -> Any:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "range":
        return list(range(*(ast.literal_eval(a) for a in value.args)))
    return ast.literal_eval(value)
