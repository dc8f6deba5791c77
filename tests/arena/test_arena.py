"""The arena: runs, statistics against known numbers, several objectives, what it writes, the command line."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from archwright.arena import Entry, Problem, Signal, compete, default_signal, read_signal, run, shares, statistics
from archwright.arena.writing import latex, markdown, write_comparison
from archwright.errors import SettingsError, TableError
from archwright.searchers import SEARCHERS
from archwright.space import Choice, Space
from archwright.tables import Column, Table, find_table

LS, RANDOM = Entry("ls", "ls", {}), Entry("random", "random", {})


def toy(missing=(), **columns):
    """125 architectures; accuracy rises with every digit, cost is its opposite on one of them."""
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    accuracy = 60 + codes @ [4.0, 2.0, 1.0]
    accuracy[list(missing)] = np.nan
    noisy = accuracy[:, None] + np.random.default_rng(0).normal(0, 1, (125, 3))
    cost = codes[:, 0] + 1.0
    every = (
        Column("digits", "val_accuracy", "maximize", np.stack([accuracy - 5, accuracy], axis=1)[:, :, None], (2, 8)),
        Column("digits", "noisy", "maximize", noisy[:, None, :], (8,), (0, 1, 2)),
        Column("digits", "test_accuracy", "maximize", (accuracy + 0.5)[:, None, None], (8,)),
        Column("", "params", "minimize", cost[:, None, None]),
    )
    return Table("toy", space, codes, every)


def problem(*signals, report=None, table=None):
    table = table or toy()
    read = [read_signal(table, "digits", s) for s in signals or ("val_accuracy",)]
    return Problem(table, "digits", tuple(read), read_signal(table, "digits", report) if report else read[0])


def test_the_default_signal_is_the_validation_accuracy_after_the_longest_training():
    assert default_signal(toy(), "digits") == Signal("val_accuracy", "maximize", 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acuracy", "unknown metric"),
        ("val_accuracy@3", "not known after 3 epochs; it is after 2, 8"),
        ("noisy#9", "has no seed 9; it has 0, 1, 2"),
        ("noisy#x", "must be a number, mean or random"),
        ("params#random", "no trainings to draw from"),
        ("@3", "not of the form"),
    ],
)
def test_bad_signals(text, message):
    with pytest.raises((TableError, SettingsError), match=message):
        read_signal(toy(), "digits", text)


def test_a_run_evaluates_each_architecture_once_and_repeats_itself():
    first, again = (run(problem(), LS, 125, 3) for _ in range(2))
    assert len(set(first.rows.tolist())) == 125
    assert first.rows.tolist() == again.rows.tolist()
    assert first.rows.tolist() != run(problem(), LS, 125, 4).rows.tolist()


def test_drawing_with_replacement_pays_for_repeats():
    done = run(problem(), Entry("random", "random", {"replace": True}), 125, 0)
    assert len(done.rows) == 125
    assert len(set(done.rows.tolist())) == 125 - done.repeats
    assert 20 < done.repeats < 70


def test_runs_of_one_seed_start_alike():
    found = compete(problem(), [RANDOM, LS, Entry("best", "ls-best", {})], runs=5, budget=10)
    starts = {label: [r.rows[0] for r in runs] for label, runs in found.runs.items()}
    assert starts["random"] == starts["ls"] == starts["best"]


def test_workers_change_nothing():
    one, two = (compete(problem(), [LS, RANDOM], runs=4, budget=30, workers=w) for w in (1, 2))
    for label in ("ls", "random"):
        assert [r.rows.tolist() for r in one.runs[label]] == [r.rows.tolist() for r in two.runs[label]]


def test_the_incumbent_is_chosen_by_the_signal_and_judged_by_the_report():
    p = problem("val_accuracy@2", report="test_accuracy")
    found = compete(p, [RANDOM], runs=3, budget=20)
    for curve, one in zip(found.curves["random"], found.runs["random"]):
        seen = p.values(p.signals[0])[one.rows]
        chosen = [one.rows[np.argmax(seen[: n + 1])] for n in range(20)]
        np.testing.assert_allclose(curve, p.values(p.report)[chosen])


def test_evaluations_to_the_optimum():
    found = compete(problem(), [LS, RANDOM], runs=20, budget=60)
    p = found.problem
    for label, runs in found.runs.items():
        for count, one in zip(found.to_optimum[label], runs):
            hits = [i for i, row in enumerate(one.rows, 1) if p.values(p.signals[0])[row] == 88]
            assert count == (hits[0] if hits else np.inf)
    rows = {r["searcher"]: r for r in found.result["results"]}
    assert rows["ls"]["to_optimum"]["reached"] == 20
    assert rows["ls"]["best_mean"] == 88
    assert rows["ls"]["best_std"] == 0
    test = next(t for t in found.result["tests"] if t["measure"] == "to_optimum" and t["test"] == "wilcoxon")
    x, y = (np.minimum(found.to_optimum[k], 61) for k in ("ls", "random"))
    assert test["p"] == pytest.approx(stats.wilcoxon(x, y).pvalue)
    assert test["effect"] > 0.9
    assert test["difference"] < 0


def test_a_random_seed_is_noise_of_its_own_for_each_run():
    p = problem("noisy#random", report="noisy")
    one, other = (np.array([e.metrics["noisy"] for e in p.evaluations_of_run(s)]) for s in (0, 1))
    again = [e.metrics["noisy"] for e in p.evaluations_of_run(0)]
    assert one.tolist() == again
    assert 0.5 < (one != other).mean() < 0.8
    table = p.column(p.signals[0]).values[:, 0]
    assert all(v in row for v, row in zip(one, table))


def test_a_missing_value_is_a_failed_evaluation():
    p = problem(table=toy(missing=(3, 50)))
    assert [e.status for e in p.evaluations_of_run(0)].count("failed") == 2
    found = compete(p, [LS], runs=3, budget=125)
    assert found.result["results"][0]["to_optimum"]["reached"] == 3


def part_of(table, step):
    columns = [Column(c.dataset, c.metric, c.direction, c.values[::step], c.epochs, c.seeds) for c in table.columns]
    return Table("part", table.space, table.codes[::step], tuple(columns))


@pytest.mark.parametrize("name", SEARCHERS)
def test_every_searcher_visits_a_part_of_a_space_whole(name):
    space = Space(block=Choice("conv", "mb"), n=Choice(1, 2, 3, 4), k=Choice(2, 4, 6, when={"block": "mb"}))
    codes = space.codes(list(space.enumerate()))
    value = Column("digits", "val_accuracy", "maximize", (codes @ [5.0, 2.0, 1.0])[:, None, None])
    for table, step in ((Table("conditional", space, codes, (value,)), 3), (toy(), 5)):
        part = part_of(table, step)
        assert not part.is_whole
        found = run(problem("val_accuracy", table=part), Entry(name, name, {}), len(part), 0)
        assert sorted(found.rows.tolist()) == list(range(len(part)))


def test_neighbours_in_a_part_of_a_space_are_the_nearest():
    part = part_of(toy(), 3)
    space = problem(table=part).space
    for row, architecture in enumerate(part.architectures):
        distances = (part.codes != part.codes[row]).sum(axis=1)
        least = distances[distances > 0].min()
        assert {part.rows[a] for a in space.neighbours(architecture)} == set(np.flatnonzero(distances == least))


def test_holm_against_a_worked_example():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_average_ranks_and_the_critical_difference_of_demsar():
    values = {"a": np.array([1.0, 1, 1, 1]), "b": np.array([2.0, 2, 1, 2]), "c": np.array([3.0, 3, 3, 3])}
    ranks, critical = statistics.average_ranks(values, smaller_is_better=True)
    assert ranks == pytest.approx({"a": 1.125, "b": 1.875, "c": 3.0})
    assert critical == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 4)), abs=1e-3)


def test_front_measures_against_the_hand_example():
    space = Space(x=Choice(*range(5)))
    points = np.array([[0.1, 0.8], [0.4, 0.4], [0.8, 0.1], [0.5, 0.5], [1.0, 1.0]])
    scale = [Column("d", name, "minimize", points[:, i].reshape(-1, 1, 1)) for i, name in enumerate("ab")]
    table = Table("hand", space, np.arange(5)[:, None], tuple(scale))
    signals = tuple(read_signal(table, "d", s) for s in "ab")
    hand = Problem(table, "d", signals, signals[0])
    object.__setattr__(hand, "losses", points)
    seen = run(hand, Entry("random", "random", {}), 5, 0)
    object.__setattr__(seen, "rows", np.array([0, 3, 2, 1]))
    found = statistics.front_progress(hand, seen, [3, 4])
    assert found["hypervolume"] == pytest.approx([0.41, 0.48])
    assert found["front_share"] == pytest.approx([2 / 3, 1.0])


def test_several_objectives():
    found = compete(problem("val_accuracy", "params"), [RANDOM, Entry("rea", "rea", {})], runs=4, budget=125)
    row = found.result["results"][0]
    assert [at["evaluations"] for at in row["hypervolume"]] == [25, 50, 100, 125]
    assert row["front_share"][-1]["mean"] == 1.0
    assert row["hypervolume"][-1]["mean"] == pytest.approx(found.result["optimum"]["hypervolume"])
    assert row["igd_plus"][-1]["mean"] == pytest.approx(0)
    assert {t["measure"] for t in found.result["tests"]} == {"hypervolume", "front_share"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 126}, "beyond the table: it has 125"),
        ({"budget": 0}, "budget must be at least 1"),
        ({"runs": -1}, "runs must be at least 1"),
        ({"searchers": [LS, LS]}, "is there twice"),
        ({"searchers": []}, "at least one searcher"),
        ({"searchers": [Entry("lss", "lss", {})]}, "unknown searcher 'lss'; did you mean ls"),
        ({"searchers": [Entry("ls", "ls", {"tie": 1})]}, "unknown option 'tie'"),
    ],
)
def test_bad_settings(changes, message):
    options = {"searchers": [LS], "runs": 2, "budget": 10} | changes
    with pytest.raises(SettingsError, match=message):
        compete(problem(), options.pop("searchers"), **options)


def test_what_is_written(tmp_path):
    found = compete(
        problem(report="test_accuracy"), [LS, RANDOM, Entry("ls:ties=true", "ls", {"ties": True})], runs=4, budget=50
    )
    files = write_comparison(found, tmp_path / "out")
    assert set(files) == {"curves", "reached", "ranks", "html", "json", "markdown", "latex"}
    assert json.loads(Path(files["json"]).read_text()) == found.result
    page = Path(files["html"]).read_text()
    assert page.count("<svg") == 3
    assert "http-equiv" not in page
    assert 'src="http' not in page
    assert "| ls:ties=true | 88" in markdown(found)
    assert r"ls:ties=true & 88.500 $\pm$ 0.000" in latex(found)


def test_local_search_beats_random_search_on_a_published_table(shared_data):
    table = find_table("nasbench-macro", shared_data)
    signal = default_signal(table, "cifar10")
    found = compete(Problem(table, "cifar10", (signal,), signal), [LS, RANDOM], runs=30, budget=300)
    test = next(t for t in found.result["tests"] if t["measure"] == "to_optimum" and t["test"] == "wilcoxon")
    assert test["p_holm"] < 1e-3
    assert test["effect"] > 0.8


@pytest.mark.parametrize("name", ["nasbench201-digits", "toy"])
def test_a_problem_reaches_processes_that_are_started_anew(name):
    table = toy() if name == "toy" else find_table(name)
    asked = Problem(table, "digits", (default_signal(table, "digits"),), default_signal(table, "digits"))
    assert run(asked, LS, 20, 0).rows.tolist() == run(pickle.loads(pickle.dumps(asked)), LS, 20, 0).rows.tolist()


def curves_table():
    """A table whose accuracy after 1, 3 and 9 epochs agrees ever better with the last."""
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    final = codes @ [4.0, 2.0, 1.0]
    rng = np.random.default_rng(1)
    curve = np.stack([final + rng.normal(0, s, 125) for s in (6.0, 3.0, 0.0)], axis=1)[:, :, None]
    return Table("curves", space, codes, (Column("digits", "val_accuracy", "maximize", curve, (1, 3, 9)),))


HYPERBAND = Entry("hyperband", "hyperband", {})


def test_short_trainings_cost_their_share_and_only_full_ones_count():
    table = curves_table()
    p = problem("val_accuracy", table=table)
    p = Problem(p.table, p.dataset, p.signals, p.report, fidelities=shares(table, "digits", p.signals))
    assert p.fidelities == pytest.approx((1 / 9, 3 / 9, 1.0))
    done = run(p, HYPERBAND, 20, 0)
    assert done.short > 0
    assert len(done.rows) == len(done.costs)
    assert done.costs[0] == pytest.approx(3.0)  # 9 of 1/9, 3 of 3/9 and the first full one
    assert done.costs[-1] <= 20
    assert (np.diff(done.costs) > 0).all()
    curve = statistics.incumbents(p, [done], 20)[0]
    assert np.isnan(curve[:2]).all()
    assert curve[2] == table.columns[0].values[done.rows[0], 2, 0]
    reached = compete(p, [HYPERBAND, RANDOM], runs=8, budget=100).result["results"]
    assert reached[0]["short_evaluations"] > 0 == reached[1]["short_evaluations"]


def test_a_random_training_is_the_same_one_at_all_fidelities():
    table = curves_table()
    values = np.arange(125.0)[:, None, None] + np.array([0.0, 1000.0])[None, None, :] + np.zeros((1, 3, 1))
    noisy = Table("noisy", table.space, table.codes, (Column("digits", "acc", "maximize", values, (1, 3, 9), (0, 1)),))
    p = problem("acc#random", table=noisy)
    short, full = (np.array([e.metrics["acc"] for e in p.evaluations_of_run(3, f)]) for f in (1 / 9, 1.0))
    assert (short == full).all()
    assert 0 < (full >= 1000).sum() < 125


@pytest.mark.parametrize(
    ("epochs", "message"),
    [((2, 9), "after 2 epochs; it has 1, 3, 9"), ((1, 3), "end with the signal's 9 epochs"), ((3, 1, 9), "ascending")],
)
def test_fidelities_that_a_table_lacks_are_refused(epochs, message):
    table = curves_table()
    with pytest.raises((TableError, SettingsError), match=message):
        shares(table, "digits", problem("val_accuracy", table=table).signals, epochs)


def test_what_needs_no_training_has_no_fidelities():
    table = toy()
    signals = (read_signal(table, "digits", "params"),)
    assert shares(table, "digits", signals) == (1.0,)
    with pytest.raises(SettingsError, match="no signal is trained"):
        shares(table, "digits", signals, (2, 8))
