"""ensemble-bo against the other searchers on every table: what is compared, and one correction over all."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.arena.ensemble_arena import CONTESTS, OWN, SLOW, reproduce_arena
from archwright.arena.statistics import holm
from archwright.errors import SettingsError
from archwright.searchers import SEARCHERS


def test_every_searcher_of_a_contest_is_there_and_can_use_its_fidelities():
    for contest in CONTESTS:
        assert set(contest.searchers) <= set(SEARCHERS)
        short = [
            n for n in contest.searchers if SEARCHERS[n].several_fidelities and not SEARCHERS[n].fidelities_are_optional
        ]
        assert bool(short) == (contest.epochs is not None)


def test_the_correction_is_over_all_contests_and_rivals_of_a_measure(tmp_path):
    done: list[tuple[str, int, int]] = []
    found = reproduce_arena(runs=6, budget=5, only=["digits"], out=tmp_path, on_done=lambda *a: done.append(a))
    rivals = [row for row in found["rows"] if row["searcher"] != OWN]
    assert len(rivals) == sum(len(c.searchers) - 1 for c in CONTESTS if c.table == "nasbench201-digits")
    assert not any("test_best" in row for row in found["rows"] if row["searcher"] == OWN)
    for measure in ("test_best", "test_to_optimum"):
        p = [row[measure]["p"] for row in rivals]
        assert [row[measure]["p_holm"] for row in rivals] == pytest.approx(holm(p))
    assert done[-1][1] == done[-1][2] == 6 * len(found["rows"])


def test_kept_runs_are_taken(tmp_path):
    how = {"runs": 2, "budget": 3, "only": ["digits val_loss"], "out": tmp_path}
    first, again = (reproduce_arena(**how) for _ in range(2))
    assert first == again
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().splitlines()) == 2 * len(first["rows"])


def test_the_slow_ones_take_part_when_asked_for_and_kept_runs_of_the_others_are_taken(tmp_path):
    how = {"runs": 1, "budget": 2, "only": ["digits val_loss"], "out": tmp_path}
    without = {row["searcher"]: row["at"] for row in reproduce_arena(**how)["rows"]}
    done: list[str] = []
    whole = {
        row["searcher"]: row["at"]
        for row in reproduce_arena(**how, slow=True, on_done=lambda *a: done.append(a))["rows"]
    }
    assert set(whole) == {*without, *SLOW}
    assert done[-1][1:] == (len(whole), len(whole))
    assert all(whole[name] == at for name, at in without.items())
    (file,) = tmp_path.iterdir()
    assert len(file.read_text().splitlines()) == len(whole)


def test_every_searcher_of_one_objective_but_the_published_recipe_is_compared():
    single = {name for name, kind in SEARCHERS.items() if not kind.several_objectives}
    assert single - {*CONTESTS[0].searchers, *SLOW} <= {"ensemble-bo-thesis"}


@pytest.mark.parametrize("how", [{"budget": 0}, {"only": ["nasbench2001"]}, {"runs": 0, "only": ["digits"]}])
def test_what_makes_no_sense_is_refused(how):
    with pytest.raises(SettingsError):
        reproduce_arena(**how)


def test_the_probability_of_superiority_is_that_of_ensemble_bo(tmp_path):
    rows = reproduce_arena(runs=6, budget=5, only=["digits val_accuracy"], out=tmp_path)["rows"]
    mine = next(r for r in rows if r["searcher"] == OWN)["at"][5]
    for row in rows[1:]:
        if row["at"][5] is not None and abs(row["at"][5] - mine) > 0.05:
            assert np.sign(row["test_best"]["effect"] - 0.5) == np.sign(mine - row["at"][5])
