"""The tournament of operation lists: which games are played, what survives, resuming, workers."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import SettingsError
from archwright.genotypes import depth, depth_counts, operation_counts, parse_cells
from archwright.layers.operations import MASTER, OPERATION_SETS
from archwright.supernet.relaxation import bundles
from archwright.supernet.tournament import Game, Played, Tournament, play


def noise(game: Game) -> Played:
    rng = np.random.default_rng(game.seed)
    alpha = {k: [rng.normal(size=len(ops)).tolist() for ops in lists] for k, lists in game.lists.items()}
    cells = {k: [[(lists[rows.start][0], 0), (lists[rows.start][0], 1)] for rows in bundles(4)]
             for k, lists in game.lists.items()}  # fmt: skip
    return Played(alpha, cells)


def best_half(ops, values):
    ranked = sorted(zip(values, ops), key=lambda pair: -pair[0])
    return {name for _, name in ranked[: math.ceil(len(ops) / 2)]}


@given(st.integers(0, 10**6), st.sampled_from([2, 5, 8]))
@settings(max_examples=15, deadline=None)
def test_seven_searches_whose_lists_come_from_the_survivors_below(seed, largest) -> None:
    outcome = play(Tournament(largest=largest), noise, seed=seed)
    assert [(g.tier, g.number) for g, _ in outcome.games] == [(3, 0), (3, 1), (3, 2), (3, 3), (2, 0), (2, 1), (1, 0)]
    assert outcome.played == 7
    played = {(g.tier, g.number): (g, p) for g, p in outcome.games}
    for (tier, number), (game, _) in played.items():
        for kind in ("normal", "reduce"):
            assert len(game.lists[kind]) == 14
            for edge, ops in enumerate(game.lists[kind]):
                assert 1 <= len(ops) == len(set(ops)) <= largest
                if tier < 3:
                    children = [played[tier + 1, 2 * number + i] for i in (0, 1)]
                    allowed = [best_half(g.lists[kind][edge], p.alpha[kind][edge]) for g, p in children]
                    assert set(ops) <= allowed[0] | allowed[1]
                    if largest % 2 == 0:
                        assert set(ops) == allowed[0] | allowed[1]
    assert outcome.lists == played[1, 0][0].lists


def test_pools_have_the_published_sizes() -> None:
    assert len(MASTER) == 33
    assert [len(OPERATION_SETS[n]) for n in ("basic", "simple", "darts", "mbconv")] == [12, 9, 7, 6]


def test_ties_go_to_the_operation_that_comes_first_in_the_pool() -> None:
    rules = Tournament(pool=("b", "a", "c", "d"), largest=4, nodes=1)
    lists = {k: [("a", "b", "c", "d")] * 2 for k in rules.kinds}
    left = rules.survivors(lists, {k: [[0.0] * 4] * 2 for k in rules.kinds})
    assert left["normal"] == [{"b", "a"}, {"b", "a"}]


def test_one_list_per_node_is_ranked_by_its_largest_parameter() -> None:
    rules = Tournament(bundle="node", pool=("a", "b"), largest=2, nodes=1)
    drawn = rules.draw(0)
    assert drawn["normal"][0] == drawn["normal"][1] == ("a", "b")
    alpha = {k: [[0.5, 0.0], [0.0, 0.9]] for k in rules.kinds}
    assert rules.survivors(drawn, alpha)["normal"] == [{"b"}, {"b"}]


def test_a_tournament_that_broke_off_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    calls = []

    def breaks(game: Game) -> Played:
        calls.append(game)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return noise(game)

    with pytest.raises(KeyboardInterrupt):
        play(Tournament(), breaks, seed=3, folder=tmp_path)
    resumed = play(Tournament(), noise, seed=3, folder=tmp_path)
    whole = play(Tournament(), noise, seed=3)
    assert resumed.played == 2
    assert (resumed.cells, resumed.lists) == (whole.cells, whole.lists)
    assert play(Tournament(), noise, seed=3, folder=tmp_path).played == 0
    with pytest.raises(SettingsError, match="another tournament"):
        play(Tournament(), noise, seed=4, folder=tmp_path)
    with pytest.raises(SettingsError, match="another tournament"):
        play(Tournament(), noise, seed=3, folder=tmp_path, settings={"epochs": 2})
    (tmp_path / "game-1-0.json").write_text("{")
    with pytest.raises(SettingsError, match="play that game again"):
        play(Tournament(), noise, seed=3, folder=tmp_path)


@pytest.mark.slow
def test_workers_play_the_same_tournament() -> None:
    alone, together = (play(Tournament(), noise, seed=5, workers=w) for w in (0, 2))
    assert (alone.cells, alone.lists) == (together.cells, together.lists)


def test_frequencies_weigh_the_cells_of_each_type() -> None:
    sep, pool = [[("sep_conv_3x3", 0), ("sep_conv_3x3", 1)]] * 4, [[("max_pool_3x3", 0), ("max_pool_3x3", 1)]] * 4
    cells = parse_cells({"normal": sep, "reduce": pool})
    assert operation_counts(cells, 20) == {"sep_conv_3x3": 144, "max_pool_3x3": 16}
    assert operation_counts(cells, 14) == {"sep_conv_3x3": 96, "max_pool_3x3": 16}
    assert depth(parse_cells({"normal": [[("relu", i), ("relu", i + 1)] for i in range(4)]}), "normal") == 4
    assert depth(cells, "normal") == 1
    assert depth(parse_cells({"normal": [[("none", 0), ("relu", 0)], [("none", 2), ("relu", 1)]]}), "normal") == 1
    tiers = play(Tournament(), noise).frequencies(20)
    assert sorted(tiers) == [1, 2, 3]
    assert all(sum(tiers[t]["operations"].values()) == pytest.approx(160) for t in tiers)
    assert all(tiers[t]["depths"] == {1: 20.0} for t in tiers)


def test_depth_of_the_published_darts_cells() -> None:
    sep, skip, dil, pool = "sep_conv_3x3", "skip_connect", "dil_conv_3x3", "max_pool_3x3"
    normal = [[(sep, 0), (sep, 1)], [(sep, 0), (sep, 1)], [(sep, 1), (skip, 0)], [(skip, 0), (dil, 2)]]
    reduce = [[(pool, 0), (pool, 1)], [(skip, 2), (pool, 1)], [(pool, 0), (skip, 2)], [(skip, 2), (pool, 1)]]
    assert depth_counts(parse_cells({"normal": normal, "reduce": reduce}), 20) == {2: 20}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"tiers": 0}, "needs a tier"), ({"largest": 1}, "from 2 to 33"), ({"largest": 34}, "from 2 to 33"),
     ({"pool": ("a", "a")}, "twice"), ({"bundle": "cell"}, "per edge or per node")],
)  # fmt: skip
def test_rules_that_make_no_sense_are_refused(wrong, message) -> None:
    with pytest.raises(SettingsError, match=message):
        Tournament(**wrong)


def test_parameters_that_are_not_finite_are_refused() -> None:
    def broken(game: Game) -> Played:
        played = noise(game)
        played.alpha["normal"][0][0] = float("nan")
        return played

    with pytest.raises(SettingsError, match="not finite"):
        play(Tournament(tiers=1), broken)
