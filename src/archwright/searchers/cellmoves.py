"""Mutation and crossover as FreeREA does them, by the kind of space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from archwright.space import Architecture, Cell, Space
from archwright.space.architecture import Value

TRIES = 20


class Moves(Protocol):
    """How children come about."""

    def mutate(self, parent: Architecture, rng: np.random.Generator) -> Architecture: ...
    def cross(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture: ...


def moves_of(space: Space) -> Moves:
    """Those of node cells where the space is one such cell with an edge between any two nodes, else those of parameters."""
    if len(space.cells) == 1:
        (cell,) = space.cells
        whole = cell.nodes * (cell.nodes - 1) // 2
        if cell.on == "nodes" and len(cell.edges) == whole and cell.nodes > 2 and set(space.names) == set(cell.names):
            return NodeCellMoves(space, cell)
    return ParameterMoves(space)


@dataclass(frozen=True)
class ParameterMoves:
    """Another value for one parameter, uniformly; each parameter from either parent with probability 1/2."""

    space: Space

    def mutate(self, parent: Architecture, rng: np.random.Generator) -> Architecture:
        """Change one parameter."""
        return self.space.mutate(parent, rng)

    def cross(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Mix both."""
        return self.space.crossover_pair(first, second, rng, "uniform")[0]


@dataclass
class Gene:
    """A node: its operation (``None`` for input and output) and the earlier nodes that enter it."""

    operation: str | None
    inputs: list[int]

    def copy(self) -> Gene:
        """One that can be changed alone."""
        return Gene(self.operation, list(self.inputs))


Genes = list[Gene]


@dataclass(frozen=True)
class NodeCellMoves:
    """Nodes and edges come, go and change (Cavagnero et al. 2023, for NAS-Bench-101).

    A cell is a list of genes, one per node on a way from the input to the output; the first is the input. Nodes that are
    inserted or removed do not renumber the inputs of later ones, as in the original. Three things are ours: what has
    become too large loses random edges (the original breaks), a child that the space lacks is bred again, and a cell
    without an inner node may get its first one (the original's never does).
    """

    space: Space
    cell: Cell

    def mutate(self, parent: Architecture, rng: np.random.Generator) -> Architecture:
        """One change of a node or an edge; perhaps none, where the move that was drawn has no target."""
        for _ in range(TRIES):
            child = self._written(self._mutated(read(self.cell, parent), rng), rng)
            if child in self.space:
                return child
        return self.space.mutate(parent, rng)

    def cross(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Each gene of the shorter parent's length from either; the output's is the shorter parent's in place of an inner one."""
        for _ in range(TRIES):
            one, two = read(self.cell, first), read(self.cell, second)
            shorter = min(one, two, key=len)
            child = [pair[int(rng.integers(2))].copy() for pair in zip(one, two)]
            if child[-1].operation is not None:
                child[-1] = shorter[-1].copy()
            found = self._written(child, rng)
            if found in self.space:
                return found
        return first

    def _mutated(self, genes: Genes, rng: np.random.Generator) -> Genes:
        nodes, edges = len(genes), count(genes)
        more_nodes, more_edges = nodes < self.cell.nodes, edges < self._most_edges
        if more_edges and not more_nodes and edges < nodes:
            add_edge(genes, rng)
        elif (more_nodes or more_edges) and _coin(rng):
            if _coin(rng) if more_nodes and more_edges else more_nodes:
                self._add_node(genes, rng)
            else:
                add_edge(genes, rng)
        else:
            self._modify(genes, rng)
        return genes

    @property
    def _most_edges(self) -> int:
        return self.cell.max_edges or len(self.cell.edges)

    def _modify(self, genes: Genes, rng: np.random.Generator) -> None:
        if _coin(rng):
            if len(genes) > 3 and _coin(rng):
                remove_node(genes, rng)
            else:
                self._change_operation(genes, rng)
        elif count(genes) > len(genes) - 1 and _coin(rng):
            remove_edge(genes, rng)
        else:
            remove_edge(genes, rng)
            add_edge(genes, rng)

    def _change_operation(self, genes: Genes, rng: np.random.Generator) -> None:
        if len(genes) > 2 and len(self.cell.operations) > 1:
            gene = genes[int(rng.integers(1, len(genes) - 1))]
            others = [op for op in self.cell.operations if op != gene.operation]
            gene.operation = others[int(rng.integers(len(others)))]

    def _add_node(self, genes: Genes, rng: np.random.Generator) -> None:
        """Before an inner node but the first, without renumbering; a bare cell gets its first node between its ends."""
        operation = self.cell.operations[int(rng.integers(len(self.cell.operations)))]
        if len(genes) == 2:
            genes.insert(1, Gene(operation, [0]))
            genes[2].inputs.append(1)
            return
        position = int(rng.integers(1, len(genes) - 1))
        if position > 1:
            genes.insert(position, Gene(operation, [int(rng.integers(position))]))

    def _written(self, genes: Genes, rng: np.random.Generator) -> Architecture:
        while count(genes) > self._most_edges and any(len(g.inputs) > 1 for g in genes):
            remove_edge(genes, rng)
        return write(self.cell, pruned(genes))


def read(cell: Cell, architecture: Mapping[str, Value]) -> Genes:
    """The genes of the nodes that count."""
    genotype = cell.genotype(architecture)
    genes = [Gene(op, []) for op in genotype.operations]
    for i, j, _ in genotype.edges:
        genes[j].inputs.append(i)
    return pruned(genes)


def write(cell: Cell, genes: Genes) -> Architecture:
    """An architecture with the output moved to the last node; nodes that are not needed have the first operation."""
    last = len(genes) - 1
    place = [*range(last), cell.nodes - 1]
    present = {(place[i], place[j]) for j, gene in enumerate(genes) for i in gene.inputs}
    values: dict[str, Value] = {cell.edge_name(i, j): (i, j) in present for i, j in cell.edges}
    for k in range(1, cell.nodes - 1):
        values[f"{cell.prefix}op{k}"] = (genes[k].operation if k < last else None) or cell.operations[0]
    return Architecture({name: values[name] for name in cell.names})


def pruned(genes: Genes) -> Genes:
    """Without nodes that are on no way from the input to the output."""
    last = len(genes) - 1
    forward, backward = {0}, {last}
    for j, gene in enumerate(genes):
        if forward.intersection(gene.inputs):
            forward.add(j)
    for j in range(last, 0, -1):
        if j in backward:
            backward.update(genes[j].inputs)
    kept = sorted(forward & backward | {0, last})
    place = {node: k for k, node in enumerate(kept)}
    return [Gene(genes[j].operation, sorted(place[i] for i in genes[j].inputs if i in place)) for j in kept]


def count(genes: Genes) -> int:
    """Edges."""
    return sum(len(gene.inputs) for gene in genes)


def add_edge(genes: Genes, rng: np.random.Generator) -> None:
    """A missing edge into a random node that lacks one, if there is any."""
    lacking = [j for j in range(2, len(genes)) if len(genes[j].inputs) < j]
    if lacking:
        j = lacking[int(rng.integers(len(lacking)))]
        missing = [i for i in range(j) if i not in genes[j].inputs]
        genes[j].inputs.append(missing[int(rng.integers(len(missing)))])


def remove_edge(genes: Genes, rng: np.random.Generator) -> None:
    """A random edge of a random node that has more than one, if there is any."""
    able = [gene for gene in genes if len(gene.inputs) > 1]
    if able:
        gene = able[int(rng.integers(len(able)))]
        del gene.inputs[int(rng.integers(len(gene.inputs)))]


def remove_node(genes: Genes, rng: np.random.Generator) -> None:
    """A random inner node; numbers of inputs stay, but where they would not be earlier any more."""
    del genes[int(rng.integers(1, len(genes) - 1))]
    for j, gene in enumerate(genes):
        gene.inputs = sorted({min(i, j - 1) for i in gene.inputs})


def _coin(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))
