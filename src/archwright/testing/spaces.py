"""What every space must do."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from archwright.space import Architecture, Space

ENUMERABLE = 20_000


class SpaceContract:
    """Inherit and give a fixture ``space`` with at least two architectures.

    Attributes:
        symmetric: every architecture is a neighbour of its neighbours. Set it to ``False`` where neighbours are drawn
            (real and long integer parameters), where a change makes more than 32 combinations active, and for lists.
    """

    symmetric = True

    @pytest.fixture
    def space(self) -> Space:
        raise NotImplementedError("give a fixture space")

    @pytest.fixture
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(0)

    def test_samples_are_members_and_repeatable(self, space: Space) -> None:
        first = [space.sample(np.random.default_rng(s)) for s in range(30)]
        again = [space.sample(np.random.default_rng(s)) for s in range(30)]
        assert first == again
        assert all(a in space for a in first)
        assert len(set(first)) > 1

    def test_many_samples_at_once_are_members_and_repeatable(self, space: Space) -> None:
        first, again = (space.sample(np.random.default_rng(3), 50) for _ in range(2))
        assert first == again
        assert len(first) == 50
        assert all(a in space for a in first)

    def test_default_is_a_member(self, space: Space) -> None:
        assert space.problems(space.default) == []

    def test_strangers_are_refused_with_a_reason(self, space: Space) -> None:
        extra = space.default.replace(no_such_parameter=1)
        without = Architecture(dict(list(space.default.items())[1:]))
        for stranger in (extra, without):
            assert stranger not in space
            assert space.problems(stranger)

    def test_enumeration_agrees_with_size_and_membership(self, space: Space) -> None:
        if space.size is None or space.size > ENUMERABLE:
            pytest.skip("too large to enumerate")
        members = list(space.enumerate())
        assert len(members) == len(set(members)) == space.size
        assert all(a in space for a in members)
        assert members == list(space.enumerate())

    def test_neighbours_are_other_members(self, space: Space, rng: np.random.Generator) -> None:
        for a in space.sample(rng, 10):
            around = space.neighbours(a, rng)
            assert len(set(around)) == len(around) > 0
            assert a not in around
            assert all(b in space for b in around)

    def test_neighbours_come_in_the_same_order_each_time(self, space: Space, rng: np.random.Generator) -> None:
        a = space.sample(rng)
        first, again = (space.neighbours(a, np.random.default_rng(1)) for _ in range(2))
        assert first == again

    def test_neighbours_are_neighbours_of_each_other(self, space: Space, rng: np.random.Generator) -> None:
        if not self.symmetric:
            pytest.skip("not symmetric")
        for a in space.sample(rng, 5):
            assert all(a in space.neighbours(b) for b in space.neighbours(a)[:30])

    def test_mutants_and_children_are_members(self, space: Space, rng: np.random.Generator) -> None:
        for _ in range(30):
            a, b = space.sample(rng), space.sample(rng)
            mutant = space.mutate(a, rng)
            assert mutant in space
            assert mutant != a
            assert space.mutate(a, rng, 0.3) in space
            for kind in ("uniform", "two_point"):
                assert space.crossover(a, b, rng, kind) in space
                assert all(child in space for child in space.crossover_pair(a, b, rng, kind))

    def test_mutation_and_crossover_are_repeatable(self, space: Space) -> None:
        def walk() -> list[Architecture]:
            rng = np.random.default_rng(5)
            path = [space.sample(rng), space.sample(rng)]
            for _ in range(10):
                path.append(space.crossover(space.mutate(path[-1], rng), path[-2], rng))
            return path

        assert walk() == walk()

    def test_architectures_round_trip_through_json(self, space: Space, rng: np.random.Generator) -> None:
        for a in space.sample(rng, 10):
            again = Architecture.from_json(json.loads(json.dumps(a.to_json())))
            assert again == a
            assert (hash(again), again.key) == (hash(a), a.key)
            assert again in space

    def test_different_architectures_have_different_keys(self, space: Space, rng: np.random.Generator) -> None:
        sample = set(space.sample(rng, 50))
        assert len({a.key for a in sample}) == len(sample)

    def test_space_round_trips_through_json(self, space: Space) -> None:
        again = Space.from_json(json.loads(json.dumps(space.to_json())))
        assert again.names == space.names
        assert {**again.to_json(), "constraints": []} == {**space.to_json(), "constraints": []}

    def test_encodings_have_a_row_each_and_named_columns(self, space: Space, rng: np.random.Generator) -> None:
        sample = space.sample(rng, 12)
        kinds = ["ordinal", "one_hot", "thermometer", *(["adjacency", "path"] if space.cells else [])]
        for kind in kinds:
            encoded = space.encode(sample, kind)
            assert encoded.shape == (12, len(space.columns(kind)))
            assert len(set(space.columns(kind))) == len(space.columns(kind))
            assert np.isfinite(encoded).all()
            assert space.encode([], kind).shape == (0, len(space.columns(kind)))

    def test_ordinal_encoding_tells_architectures_apart(self, space: Space, rng: np.random.Generator) -> None:
        sample = list(dict.fromkeys(space.sample(rng, 40)))
        assert len(np.unique(space.encode(sample, "ordinal"), axis=0)) == len(sample)

    def test_codes_are_invertible(self, space: Space, rng: np.random.Generator) -> None:
        if any(p.values is None for p in space.parameters.values()):
            pytest.skip("real parameters have no codes")
        sample = space.sample(rng, 20)
        assert space.from_codes(space.codes(sample)) == sample

    def test_walking_through_neighbours_leaves_the_start(self, space: Space, rng: np.random.Generator) -> None:
        path = [space.sample(rng)]
        for _ in range(10):
            around = space.neighbours(path[-1], rng)
            path.append(around[int(rng.integers(len(around)))])
        assert all(a != b for a, b in pairwise(path))
