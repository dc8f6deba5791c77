"""Searching for the conditions in which a classifier fails."""

from __future__ import annotations

from functools import cache
from itertools import combinations, product

import numpy as np
import pytest

import archwright as aw
from archwright.errors import SettingsError, TableError
from archwright.failures import POLICIES, SubdomainTable, coverage, find_failures, read_subdomains

NAMES = ("viewpoint", "colour", "location", "time", "weather")
WORST = 103


@cache
def synthetic(seed: int = 0) -> SubdomainTable:
    """1032 conditions: 3 viewpoints x 8 colours x 43 of the 48 triples; additive effects, one interaction, noise."""
    rng = np.random.default_rng([seed, 41])
    triples = sorted(rng.permutation(48)[:43].tolist())
    rows = [(v, c, t // 8, t // 4 % 2, t % 4) for v, c, t in product(range(3), range(8), triples)]
    codes = np.array(rows)
    score = rng.normal(0, 0.3, len(rows))
    for column, (count, std) in enumerate(zip((3, 8, 6, 2, 4), (0.5, 1, 1, 0.6, 0.8))):
        score += rng.normal(0, std, count)[codes[:, column]]
    score += rng.normal(0, 0.7, (8, 6))[codes[:, 1], codes[:, 2]]
    accuracy = rng.binomial(50, 1 / (1 + np.exp(-score - 1.5))) / 50
    members = [aw.Architecture({n: f"{n}{x}" for n, x in zip(NAMES, row)}) for row in rows]
    return SubdomainTable(members, accuracy, seed)


@cache
def explored(policy: str, budget: int, seed: int = 0):
    return find_failures(synthetic(seed), policy=policy, budget=budget, seed=seed)


def test_oracle_covers_the_worst_after_exactly_their_number():
    covered = coverage(explored("oracle", 150).visited, synthetic())
    assert len(synthetic().worst()) == WORST
    assert covered[WORST - 2] == pytest.approx(1 - 1 / WORST)
    assert covered[WORST - 1] == 1


@pytest.mark.parametrize("count", [61, 300])
def test_random_covers_its_share_on_average(count):
    found = [coverage(explored("random", 300, seed).visited, synthetic(seed))[count - 1] for seed in range(20)]
    error = np.sqrt(count / 1032 * (1 - count / 1032) / WORST * (1032 - WORST) / 1031 / 20)
    assert abs(np.mean(found) - count / 1032) < 3 * error


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_greedy_bo_covers_half_by_200_and_most_by_400(seed):
    covered = coverage(explored("greedy-bo", 400, seed).visited, synthetic(seed))
    assert covered[199] >= 0.5
    assert covered[399] >= 0.9


def test_greedy_bo_finds_lower_accuracies_than_random_at_61():
    bo, random = (np.mean([np.mean(explored(p, 61, s).accuracies) for s in range(2)]) for p in ("greedy-bo", "random"))
    assert bo < random - 0.05


@pytest.mark.parametrize("acquisition", ["greedy", "ei"])
def test_deep_bo_finds_lower_accuracies_than_random(acquisition):
    deep = find_failures(synthetic(), policy="deep-bo", budget=40, members=2, acquisition=acquisition)
    assert np.mean(deep.accuracies) < np.mean(explored("random", 300).accuracies) - 0.1


@pytest.mark.slow
def test_deep_bo_covers_half_by_200():
    assert coverage(explored("deep-bo", 200).visited, synthetic())[-1] >= 0.5


def test_genetic_search_is_ahead_of_random():
    found = [coverage(explored("genetic", 300, seed).visited, synthetic(seed))[-1] for seed in range(3)]
    assert np.mean(found) > 0.4


@pytest.mark.parametrize("policy", POLICIES)
def test_no_condition_is_visited_twice_and_all_in_the_end(policy):
    members = [aw.Architecture({"a": a, "b": b}) for a, b in product("xyz", "uvw")]
    table = SubdomainTable(members, np.arange(9) / 9)
    visited = find_failures(table, policy=policy, budget=100).visited
    assert sorted(map(str, visited)) == sorted(map(str, members))
    budget = 16 if policy == "deep-bo" else 61
    assert len(set(explored(policy, budget).visited)) == budget


def test_combinatorial_testing_shows_every_pair_of_values_soon():
    table = synthetic()
    pairs = {p for member in table.members for p in combinations(member.items(), 2)}
    seen: set = set()
    visited = explored("combinatorial", 100).visited
    needed = 0
    for member in visited:
        if seen >= pairs:
            break
        seen |= set(combinations(member.items(), 2))
        needed += 1
    assert seen >= pairs
    assert 48 <= needed <= 75


def test_search_of_a_function_with_constraint_finds_its_minimum_and_survives_failures():
    space = aw.Space(
        {"a": aw.Choice(*range(8)), "b": aw.Choice(*range(8))},
        constraints=[(lambda c: (c["a"] + c["b"]) % 7 != 3, "no such pair")],
    )

    def accuracy(condition):
        if condition["a"] == 2:
            raise ValueError("no image")
        return 0.05 * abs(condition["a"] - 5) + 0.04 * condition["b"]

    found = find_failures(accuracy, space, budget=40, seed=1)
    assert found.worst(1)[0][0] == {"a": 5, "b": 0}
    assert all("no image" in reason for reason in found.reasons.values())
    assert len(found.visited) == 40


def test_interrupted_search_goes_on_as_if_it_had_not_been():
    table = synthetic()
    whole = explored("greedy-bo", 61).visited[:30]
    half = find_failures(table, budget=20)
    asked = []
    rest = find_failures(
        table,
        budget=30,
        known=dict(zip(half.visited, half.accuracies)),
        on_condition=lambda condition, _: asked.append(condition),
    )
    assert rest.visited == whole
    assert asked == list(whole[20:])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("a,accuracy\n", "no rows"),
        ("a,b\nx,1\n", "unknown column 'accuracy'"),
        ("accuracy\n1\n", "no column beside"),
        ("a,accuracy\nx,nan\n", "line 2: accuracy is 'nan'"),
        ("a,accuracy\nx,good\n", "finite number"),
        ("a,accuracy\nx,1,2\n", "line 2: its number of values"),
        ("a,accuracy\nx,1\nx,0\n", "there twice"),
    ],
)
def test_bad_tables_are_refused_with_their_place(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        read_subdomains(tmp_path / "t.csv")


def test_bad_requests_are_refused():
    space = aw.Space(a=aw.Choice(1, 2))
    for arguments, message in (
        ({"policy": "greedy"}, "did you mean greedy-bo"),
        ({"policy": "oracle"}, "needs a table"),
        ({"budget": 0}, "at least 1"),
        ({"population": 3}, "population"),
        ({"policy": "deep-bo", "members": 0}, "at least 1"),
        ({"policy": "deep-bo", "acquisition": "eii"}, "did you mean ei"),
    ):
        with pytest.raises(SettingsError, match=message):
            find_failures(lambda _: 0.5, space, **arguments)
    with pytest.raises(SettingsError, match="looked through"):
        find_failures(lambda _: 0.5, aw.Space(a=aw.Real(0, 1)))
    with pytest.raises(SettingsError, match="needs the space"):
        find_failures(lambda _: 0.5)
