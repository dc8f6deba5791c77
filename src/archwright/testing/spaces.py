"""What every space must do."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.space import Architecture, Space

ENUMERABLE = 20_000


class SpaceContract:
    """Inherit and give a fixture ``space`` with at least two architectures."""

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

    def test_default_is_a_member(self, space: Space) -> None:
        assert space.problems(space.default) == []

    def test_enumeration_agrees_with_size_and_membership(self, space: Space) -> None:
        if space.size is None or space.size > ENUMERABLE:
            pytest.skip("too large to enumerate")
        members = list(space.enumerate())
        assert len(members) == len(set(members)) == space.size
        assert all(a in space for a in members)

    def test_neighbours_are_other_members(self, space: Space, rng: np.random.Generator) -> None:
        for a in space.sample(rng, 10):
            around = space.neighbours(a, rng)
            assert len(set(around)) == len(around) > 0
            assert a not in around
            assert all(b in space for b in around)

    def test_mutants_and_children_are_members(self, space: Space, rng: np.random.Generator) -> None:
        for _ in range(30):
            a, b = space.sample(rng), space.sample(rng)
            mutant = space.mutate(a, rng)
            assert mutant in space
            assert mutant != a
            assert space.mutate(a, rng, 0.3) in space
            assert space.crossover(a, b, rng, "uniform") in space
            assert space.crossover(a, b, rng, "two_point") in space

    def test_architectures_round_trip_through_json(self, space: Space, rng: np.random.Generator) -> None:
        a = space.sample(rng)
        assert Architecture.from_json(a.to_json()) == a
        assert hash(Architecture.from_json(a.to_json())) == hash(a)

    def test_space_round_trips_through_json(self, space: Space) -> None:
        again = Space.from_json(space.to_json())
        assert again.names == space.names
        assert {**again.to_json(), "constraints": []} == {**space.to_json(), "constraints": []}

    def test_encodings_have_a_row_each_and_named_columns(self, space: Space, rng: np.random.Generator) -> None:
        sample = space.sample(rng, 12)
        kinds = ["ordinal", "one_hot", *(["adjacency", "path"] if space.cells else [])]
        for kind in kinds:
            encoded = space.encode(sample, kind)
            assert encoded.shape == (12, len(space.columns(kind)))
            assert np.isfinite(encoded).all()

    def test_ordinal_encoding_tells_architectures_apart(self, space: Space, rng: np.random.Generator) -> None:
        sample = list(dict.fromkeys(space.sample(rng, 40)))
        assert len(np.unique(space.encode(sample, "ordinal"), axis=0)) == len(sample)
