"""Cell graphs: how a part of a space denotes a small directed graph of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space.architecture import Value
from archwright.space.parameters import Choice, Parameter

Codes = NDArray[np.int64]
WIDEST = 100_000
"""Most columns of a path encoding."""


def reductions(cells: int) -> set[int]:
    """Positions of the reduction cells in a network of stacked cells: at one and two thirds (Liu et al. 2019)."""
    return {cells // 3, 2 * cells // 3}


@dataclass(frozen=True)
class Genotype:
    """A cell graph: nodes in topological order, the first is the input and the last the output.

    Attributes:
        nodes: how many.
        edges: ``(source, destination, operation)``; the operation is ``None`` where nodes carry them.
        operations: per node, ``None`` where edges carry them and for input and output.
    """

    nodes: int
    edges: tuple[tuple[int, int, str | None], ...]
    operations: tuple[str | None, ...] = ()

    def into(self, node: int) -> list[tuple[int, str | None]]:
        """``(source, operation)`` of every edge that enters ``node``."""
        return [(source, operation) for source, destination, operation in self.edges if destination == node]

    def live_edges(self, none: str = "none") -> list[tuple[int, int, str | None]]:
        """Edges on a way from the input to the output; ``none`` is the operation that carries no signal."""
        edges = [edge for edge in self.edges if edge[2] != none]
        reached, useful = {0}, {self.nodes - 1}
        for i, j, _ in sorted(edges, key=lambda edge: edge[0]):
            if i in reached:
                reached.add(j)
        for i, j, _ in sorted(edges, key=lambda edge: -edge[1]):
            if j in useful:
                useful.add(i)
        return [edge for edge in edges if {edge[0], edge[1]} <= reached & useful]

    def live(self, none: str = "none") -> tuple[dict[object, str], list[tuple[object, object]]]:
        """What lies on a way from the input to the output, as a graph whose vertices are operations.

        Args:
            none: the operation that carries no signal.

        Returns:
            The operation of every vertex, ``input`` and ``output`` among them, and the pairs of vertices that follow
            each other. A vertex is a node of the cell where nodes carry the operations, else an edge.
        """
        edges, last = self.live_edges(none), self.nodes - 1
        ends = {0: "input", last: "output"}
        if any(self.operations):
            between = {node for edge in edges for node in edge[:2]} - {0, last}
            inner: dict[object, str] = {v: str(self.operations[v]) for v in between}
            return {0: "input", **inner, last: "output"}, [(i, j) for i, j, _ in edges]
        labels: dict[object, str] = dict(ends) | {(i, j): str(operation) for i, j, operation in edges}
        arcs: list[tuple[object, object]] = [(0, (i, j)) for i, j, _ in edges if i == 0]
        arcs += [((i, j), last) for i, j, _ in edges if j == last]
        arcs += [((i, j), (k, m)) for i, j, _ in edges for k, m, _ in edges if j == k]
        return labels, arcs


@dataclass(frozen=True)
class Cell:
    """Describes the parameters of a cell graph and reads the graph from their values.

    With operations on edges, every edge is a choice named ``{prefix}{source}-{destination}``. With operations on
    nodes, edges are present or absent (``{prefix}0-1``: ``False``, ``True``) and every interior node has an operation
    ``{prefix}op{node}``; a space with such a cell holds only those in which the output is reachable from the input.

    Args:
        nodes: number of nodes, input and output included.
        operations: what an edge or node can be.
        edges: ``(source, destination)`` with source < destination; all pairs by default, ordered by destination.
        on: where the operations are.
        prefix: put before parameter names, so that a space can have several cells.
        none: the operation that carries no signal, for path encodings.
        max_edges: most edges that may be present, with operations on nodes (NAS-Bench-101: 9).

    Raises:
        SpaceError: fewer than two nodes, an edge that does not go forward or is there twice, no way from input to
            output, no or repeated operations, ``max_edges`` with operations on edges or below 1.
    """

    nodes: int
    operations: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    on: Literal["edges", "nodes"] = "edges"
    prefix: str = ""
    none: str = "none"
    max_edges: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.nodes, int) or self.nodes < 2:
            raise SpaceError(f"a Cell needs at least two nodes, input and output, not {self.nodes!r}")
        if self.on not in ("edges", "nodes"):
            raise SpaceError(f"Cell: operations are on 'edges' or 'nodes', not on {self.on!r}")
        if self.max_edges is not None and (self.on == "edges" or self.max_edges < 1):
            raise SpaceError(f"Cell: max_edges is for on='nodes' and at least 1, not {self.max_edges!r}")
        object.__setattr__(self, "operations", self._checked_operations())
        object.__setattr__(self, "edges", self._checked_edges())
        if not self._reaches(dict.fromkeys(self.edges, True)):
            raise SpaceError(f"Cell: its edges {self.edges} have no way from node 0 to node {self.nodes - 1}")

    def _checked_operations(self) -> tuple[str, ...]:
        given: Any = self.operations
        if isinstance(given, str) or not given or not all(isinstance(operation, str) for operation in given):
            raise SpaceError(f"Cell: operations must be given as a list of names, not {given!r}")
        if len(set(given)) < len(given):
            raise SpaceError(f"Cell: operations must be all different, not {given!r}")
        return tuple(given)

    def _checked_edges(self) -> tuple[tuple[int, int], ...]:
        edges = self.edges or tuple((i, j) for j in range(self.nodes) for i in range(j))
        for source, destination in edges:
            if not 0 <= source < destination < self.nodes:
                raise SpaceError(f"Cell: the edge {source}-{destination} does not go forward among {self.nodes} nodes")
        if len(set(edges)) < len(edges):
            raise SpaceError(f"Cell: an edge is there twice in {edges}")
        return tuple((int(i), int(j)) for i, j in edges)

    def edge_name(self, source: int, destination: int) -> str:
        """The parameter of an edge."""
        return f"{self.prefix}{source}-{destination}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameter names: edges, then node operations."""
        edges = [self.edge_name(i, j) for i, j in self.edges]
        nodes = [f"{self.prefix}op{k}" for k in range(1, self.nodes - 1)] if self.on == "nodes" else []
        return tuple(edges + nodes)

    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name."""
        if self.on == "edges":
            return {name: Choice(*self.operations) for name in self.names}
        edges = len(self.edges)
        switches: dict[str, Parameter] = {name: Choice(False, True) for name in self.names[:edges]}
        return switches | {name: Choice(*self.operations) for name in self.names[edges:]}

    @property
    def constraints(self) -> tuple[tuple[Callable[[Mapping[str, Value]], bool], str], ...]:
        """With operations on nodes: the output is reachable from the input, over at most ``max_edges`` edges."""
        if self.on == "edges":
            return ()
        which = f"cell {self.prefix}" if self.prefix else "cell"
        rules = [(self.is_connected, f"{which}: the output must be reachable from the input")]
        if self.max_edges is not None:
            rules.append((self.is_small, f"{which}: at most {self.max_edges} edges"))
        return tuple(rules)

    def is_connected(self, architecture: Mapping[str, Value]) -> bool:
        """Whether present edges lead from the input to the output."""
        return self._reaches({edge: architecture[name] for edge, name in zip(self.edges, self.names)})

    def is_small(self, architecture: Mapping[str, Value]) -> bool:
        """Whether at most ``max_edges`` edges are present."""
        present = sum(bool(architecture[name]) for name in self.names[: len(self.edges)])
        return self.max_edges is None or present <= self.max_edges

    def _reaches(self, present: Mapping[tuple[int, int], object]) -> bool:
        reached = {0}
        for source, destination in self._outward:
            if source in reached and present[source, destination]:
                reached.add(destination)
        return self.nodes - 1 in reached

    @cached_property
    def _outward(self) -> list[tuple[int, int]]:
        return sorted(self.edges)

    def genotype(self, architecture: Mapping[str, Value]) -> Genotype:
        """The graph that an architecture denotes."""
        values = [architecture[name] for name in self.names]
        pairs = list(zip(self.edges, values))
        if self.on == "edges":
            return Genotype(self.nodes, tuple((i, j, str(op)) for (i, j), op in pairs), (None,) * self.nodes)
        present = tuple((i, j, None) for (i, j), there in pairs if there)
        inner = tuple(str(op) for op in values[len(self.edges) :])
        return Genotype(self.nodes, present, (None, *inner, None))

    def columns(self, kind: str) -> list[str]:
        """Names of the columns of an encoding."""
        if kind == "adjacency":
            if self.on == "edges":
                return [f"{name}={op}" for name in self.names for op in self.operations]
            edges = len(self.edges)
            return [
                *self.names[:edges],
                *(f"{name}={op}" for name in self.names[edges:] for op in self.operations),
            ]
        return [f"{self.prefix}{'>'.join(words) or 'direct'}" for words in self._sequences()]

    def encode(self, codes: Codes, kind: str) -> NDArray[np.float64]:
        """``n x width`` from the codes of this cell's parameters, ``n x len(names)``."""
        if kind == "path":
            return self._paths(codes)
        edges = len(self.edges) if self.on == "nodes" else 0
        words = np.arange(len(self.operations))
        one_hot = (codes[:, edges:, None] == words).reshape(len(codes), (codes.shape[1] - edges) * len(words))
        return np.hstack([codes[:, :edges], one_hot]).astype(np.float64)

    @cached_property
    def _routes(self) -> list[tuple[int, ...]]:
        """Node sequences from input to output along existing edges."""
        there = set(self.edges)
        inner = range(1, self.nodes - 1)
        routes = [(0, *middle, self.nodes - 1) for k in range(self.nodes - 1) for middle in combinations(inner, k)]
        return [r for r in routes if all(pair in there for pair in zip(r, r[1:]))]

    @cached_property
    def _live(self) -> list[str]:
        return [op for op in self.operations if op != self.none]

    @cached_property
    def _lengths(self) -> list[int]:
        """Numbers of operations that paths can have.

        Raises:
            SpaceError: there are too many sequences for a path encoding.
        """
        less = 0 if self.on == "edges" else 1
        lengths = sorted({len(route) - 1 - less for route in self._routes})
        width = sum(len(self._live) ** n for n in lengths)
        if width > WIDEST:
            raise SpaceError(f"the path encoding of this cell would have {width:,} columns; use adjacency or one_hot")
        return lengths

    def _sequences(self) -> list[tuple[str, ...]]:
        """Operation sequences that a path can have, short ones first."""
        return [words for n in self._lengths for words in product(self._live, repeat=n)]

    def _paths(self, codes: Codes) -> NDArray[np.float64]:
        """Which operation sequences lead from input to output (White et al. 2021, BANANAS)."""
        column = {name: i for i, name in enumerate(self.names)}
        live = np.array([self._live.index(op) if op in self._live else -1 for op in self.operations])
        sizes = [len(self._live) ** n for n in self._lengths]
        start = {n: sum(sizes[:k]) for k, n in enumerate(self._lengths)}
        found = np.zeros((len(codes), sum(sizes)))
        rows = np.arange(len(codes))
        for route in self._routes:
            edges = [column[self.edge_name(i, j)] for i, j in zip(route, route[1:])]
            if self.on == "edges":
                steps = live[codes[:, edges]]
                open_ = (steps >= 0).all(axis=1)
            else:
                nodes = [column[f"{self.prefix}op{k}"] for k in route[1:-1]]
                steps = live[codes[:, nodes]]
                open_ = (codes[:, edges] == 1).all(axis=1) & (steps >= 0).all(axis=1)
            weights = len(self._live) ** np.arange(steps.shape[1])[::-1]
            at = start[steps.shape[1]] + (steps * weights).sum(axis=1).astype(np.int64)
            found[rows[open_], at[open_]] = 1.0
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "nodes": self.nodes, "operations": list(self.operations), "edges": [list(e) for e in self.edges],
            "on": self.on, "prefix": self.prefix, "none": self.none, "max_edges": self.max_edges,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cell:
        """The inverse of :meth:`to_json`."""
        edges = tuple((int(i), int(j)) for i, j in data["edges"])
        limits = data.get("max_edges")
        return cls(data["nodes"], tuple(data["operations"]), edges, data["on"], data["prefix"], data["none"], limits)
