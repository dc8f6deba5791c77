"""The loop: budgets, caching, failures, resuming."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toy import GOAL, SPACE, Toy, run

from archwright.errors import SettingsError, StudyError
from archwright.evaluation import Bound, Evaluation, Goal, Objective
from archwright.space import Architecture, Choice, Space
from archwright.study import Budget, EarlyStopping, Trial
from archwright.study.storage import load_trials


def architectures(loop):
    return [t.architecture for t in sorted(loop.trials, key=lambda t: t.number)]


def paid(loop):
    return sum(t.evaluation.status != "infeasible" for t in loop.trials)


def test_budget_counts_failures_but_not_infeasible_candidates():
    loop = run(None, 60, searcher="random")
    statuses = [t.evaluation.status for t in loop.trials]
    assert paid(loop) == 60
    assert "failed" in statuses
    assert "infeasible" in statuses


@pytest.mark.parametrize("searcher", ["random", "ls", "rea"])
def test_resume_continues_as_if_never_interrupted(tmp_path, searcher):
    whole = run(tmp_path / "whole", 40, searcher=searcher)
    run(tmp_path / "parts", 7, searcher=searcher)
    run(tmp_path / "parts", 23, searcher=searcher)
    parts = run(tmp_path / "parts", 40, searcher=searcher)
    assert architectures(parts) == architectures(whole)
    assert [t.seed for t in parts.trials] == [t.seed for t in whole.trials]


def test_isomorphic_architectures_are_answered_from_the_cache():
    evaluated = []

    class Counting(Toy):
        def __call__(self, architecture, **options):
            evaluated.append(architecture)
            return super().__call__(architecture, **options)

    loop = run(None, 300, evaluator=Counting(), searcher="random", key=lambda a: str(sorted(a.values())))
    keys = [str(sorted(a.values())) for a in evaluated]
    assert len(keys) == len(set(keys)) == 56  # multisets of 5 values out of 4
    assert loop.conversation.repeats > 0
    assert loop.reason == "every architecture of the space has been evaluated"


def test_resume_counts_the_same_repeats(tmp_path):
    key = lambda a: str(sorted(a.values()))  # noqa: E731
    whole = run(tmp_path / "whole", 40, searcher="ls", key=key)
    run(tmp_path / "parts", 15, searcher="ls", key=key)
    parts = run(tmp_path / "parts", 40, searcher="ls", key=key)
    assert architectures(parts) == architectures(whole)
    assert parts.conversation.repeats == whole.conversation.repeats > 0


@pytest.mark.parametrize("workers", [0, 2])
def test_parallel_and_serial_evaluate_no_architecture_twice(tmp_path, workers):
    loop = run(tmp_path / "study", 30, workers=workers)
    assert paid(loop) == 30
    assert len(set(architectures(loop))) == len(loop.trials)


def start(folder: Path, budget: int, workers: int, pause: float) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("toy.py")
    return subprocess.Popen([sys.executable, script, folder, str(budget), str(workers), str(pause)])


def stored(folder: Path) -> list[Trial]:
    try:
        return load_trials(folder, None)[1]
    except StudyError:
        return []


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_at_any_moment_loses_only_what_was_in_flight(tmp_path, workers):
    folder = tmp_path / "study"
    budget, kept = 24, 0
    for delay in itertools.cycle([0.3, 0.05, 0.55, 0.2]):
        process = start(folder, budget, workers, 0.01)
        deadline = time.monotonic() + 120
        while len(stored(folder)) <= kept and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(delay)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(stored(folder)) > kept
        kept = len(stored(folder))
    assert process.returncode == 0
    trials = stored(folder)
    assert len({t.architecture for t in trials}) == len(trials)
    if workers == 1:
        whole = run(tmp_path / "whole", budget)
        assert [t.architecture for t in trials] == architectures(whole)


class DiesOnce(Toy):
    """Kills its own process on one architecture, as the system does when memory runs out."""

    def __call__(self, architecture, **options):
        if architecture["x4"] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(architecture, **options)


def test_killed_worker_is_a_failed_trial_and_the_search_goes_on(tmp_path):
    loop = run(tmp_path / "study", 20, evaluator=DiesOnce(), workers=2, searcher="random")
    dead = [t for t in loop.trials if "killed (signal 9" in t.evaluation.reason]
    assert paid(loop) == 20
    assert {t.architecture["x4"] for t in dead} == {3}
    assert any(t.evaluation.status == "ok" for t in loop.trials)


class Hangs(Toy):
    """Never returns for one value, and does not look at the clock."""

    def __call__(self, architecture, **options):
        if architecture["x4"] == 3:
            time.sleep(3600)
        return super().__call__(architecture, **options)


def test_evaluation_far_over_its_time_limit_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("archwright.study.executors.GRACE", 0.3)
    loop = run(tmp_path / "study", 6, evaluator=Hangs(), workers=2, searcher="random", time_limit=0.2)
    late = [t for t in loop.trials if "time limit of 0.2 s" in t.evaluation.reason]
    assert paid(loop) == 6
    assert {t.architecture["x4"] for t in late} == {3}


class Unusable(Toy):
    def __setstate__(self, state):
        raise RuntimeError("no such model here")


def test_worker_that_cannot_load_the_model_is_an_error_not_a_failed_trial(tmp_path):
    with pytest.raises(StudyError, match="cannot load the model or the data: RuntimeError: no such model here"):
        run(tmp_path / "study", 5, evaluator=Unusable(), workers=1)


def test_search_ends_when_everything_fails():
    class Broken(Toy):
        def __call__(self, architecture, **options):
            return Evaluation(status="failed", reason="always")

    loop = run(None, 500, evaluator=Broken())
    assert paid(loop) == 20
    assert loop.reason == "the last 20 candidates were all failed: always"


def test_missing_or_infinite_objective_is_a_failure():
    class Silent(Toy):
        def __call__(self, architecture, **options):
            return Evaluation({"score": float("inf")} if architecture["x0"] else {})

    loop = run(None, 8, evaluator=Silent(), searcher="random")
    assert {t.evaluation.status for t in loop.trials} == {"failed"}
    assert "no finite score" in loop.trials[0].evaluation.reason


def test_warm_start_is_evaluated_first():
    given = [Architecture({f"x{i}": v for i in range(5)}) for v in (3, 2)]
    loop = run(None, 10, given=given)
    assert [t.architecture for t in loop.trials[:2]] == given
    assert [t.origin for t in loop.trials[:3]] == ["warm-start", "warm-start", "search"]


def test_warm_started_search_resumes_alike(tmp_path):
    given = [Architecture({f"x{i}": v for i in range(5)}) for v in (3, 2)]
    whole = run(tmp_path / "whole", 20, given=given)
    run(tmp_path / "parts", 9, given=given)
    assert architectures(run(tmp_path / "parts", 20, given=given)) == architectures(whole)


def test_equivalents_budget_counts_stopped_trials_in_part():
    stopping = EarlyStopping(GOAL, 3, after=3)
    loop = run(None, 0, searcher="random", limits=Budget(equivalents=15), stopping=stopping)
    stopped = [t for t in loop.trials if t.stopped_early]
    spent = sum(t.evaluation.cost for t in loop.trials)
    assert stopped
    assert 14 < spent <= 15
    assert all(t.evaluation.cost == pytest.approx(1 / 3) or t.evaluation.cost == pytest.approx(2 / 3) for t in stopped)


def test_wall_time_budget_ends_the_search():
    started = time.monotonic()
    run(None, 0, evaluator=Toy(0.01), limits=Budget(seconds=0.5))
    assert 0.5 <= time.monotonic() - started < 5


@pytest.mark.parametrize(
    "limits", [{}, {"evaluations": 0}, {"evaluations": -3}, {"seconds": 0.0}, {"equivalents": -1.0}]
)
def test_impossible_budgets_are_refused(limits):
    with pytest.raises(SettingsError, match="budget"):
        Budget(**limits)


def trial(number, curve, metrics=None):
    evaluation = Evaluation(metrics or curve[-1], curve=tuple(curve), cost=1.0)
    return Trial(number, Architecture({"x": number}), evaluation)


def test_median_rule_stops_the_worse_half_at_equal_epochs():
    rule = EarlyStopping(GOAL, 4, after=5)
    others = [trial(i, [{"score": i / 10}, {"score": i / 5}]) for i in range(5)]
    assert rule.goes_on(1, {"score": 0.25}, others)
    assert not rule.goes_on(1, {"score": 0.05}, others)
    assert rule.goes_on(1, {"score": 0.05}, others[:3])
    assert rule.goes_on(4, {"score": 0.0}, others)
    assert rule.goes_on(3, {"score": 0.0}, others), "no other trial has a third epoch"


def test_several_objectives_stop_by_non_dominated_rank():
    goal = Goal((Objective("score", "maximize"), Objective("params", "minimize")), (Bound("params", "at_most", 9),))
    rule = EarlyStopping(goal, 4, after=5)
    others = [trial(i, [{"score": i / 10}], {"score": 1.0, "params": float(i)}) for i in range(5)]
    assert rule.goes_on(1, {"score": 0.0, "params": 0.0}, others), "small enough to be on the front"
    assert not rule.goes_on(1, {"score": 0.05, "params": 4.0}, others)


def test_changed_searcher_is_refused_when_resuming(tmp_path):
    run(tmp_path / "study", 10, searcher="ls", seed=0)
    with pytest.raises(StudyError, match=r"cannot be continued: at trial 0 .* --warm-start"):
        run(tmp_path / "study", 20, searcher="ls", seed=1)


def test_small_space_is_exhausted_before_the_budget(tmp_path):
    small = Space({f"x{i}": Choice(1, 2) for i in range(5)})
    loop = run(tmp_path / "study", 100, space=small)
    assert len(loop.trials) == 32
    assert loop.reason == "every architecture of the space has been evaluated"


def test_space_of_the_toy_is_as_large_as_the_tests_assume():
    assert SPACE.size == 1024


NINTHS = (1 / 9, 3 / 9, 1.0)


class Sharing(Toy):
    """Costs what was asked for."""

    def __call__(self, architecture, *, fidelity=1.0, seed=0, on_epoch=None):
        done = super().__call__(architecture, seed=seed)
        return done if done.status == "infeasible" else replace(done, fidelity=fidelity, cost=fidelity)


def hyperband(path, limits, **more):
    return run(path, 0, evaluator=Sharing(), searcher="hyperband", limits=limits, fidelities=NINTHS, **more)


def test_short_trainings_are_resumed_at_their_fidelities(tmp_path):
    whole = hyperband(tmp_path / "whole", Budget(equivalents=12))
    for equivalents in (1.5, 4, 7.2):
        hyperband(tmp_path / "parts", Budget(equivalents=equivalents))
    parts = hyperband(tmp_path / "parts", Budget(equivalents=12))
    told = [(t.architecture, t.fidelity) for t in whole.trials]
    assert [(t.architecture, t.fidelity) for t in parts.trials] == told
    assert {t.fidelity for t in whole.trials} == set(NINTHS)


def test_a_budget_in_equivalents_is_never_overspent():
    loop = hyperband(None, Budget(equivalents=4.5))
    spent = sum(t.evaluation.cost for t in loop.trials)
    assert 4.5 - 1 < spent <= 4.5


def test_only_full_trainings_are_compared(tmp_path):
    hyperband(tmp_path / "s", Budget(equivalents=8))
    _, trials, _ = load_trials(tmp_path / "s", None)
    short = [t for t in trials if t.fidelity < 1]
    assert short
    assert not any(t.is_full or t.stopped_early for t in short)
    assert any(t.is_full for t in trials)


class Lined(Toy):
    """Takes a lineage, and knows what it was given."""

    def __init__(self):
        super().__init__()
        self.lineages = []

    def __call__(self, architecture, *, lineage, **options):
        self.lineages.append((architecture, lineage))
        return super().__call__(architecture, **options)


def test_the_best_trial_that_differs_in_one_parameter_is_the_parent(tmp_path):
    evaluator = Lined()
    loop = run(None, 60, evaluator=evaluator, inherits=True)
    found = {t.number: t for t in loop.trials}
    assert sum(lineage.parent is not None for _, lineage in evaluator.lineages) > 30
    for architecture, lineage in evaluator.lineages:
        trial = found[lineage.number]
        assert trial.architecture == architecture
        assert trial.parent == (lineage.parent.number if lineage.parent else None)
        before = [t for t in loop.trials[: loop.trials.index(trial)] if t.is_full]
        near = [t for t in before if sum(t.architecture[n] != architecture[n] for n in architecture) == 1]
        best = max((t.evaluation.metrics["score"] for t in near), default=None)
        assert (None if trial.parent is None else found[trial.parent].evaluation.metrics["score"]) == best


def test_parents_are_stored_and_replayed(tmp_path):
    whole = run(tmp_path / "whole", 40, evaluator=Lined(), inherits=True)
    run(tmp_path / "parts", 17, evaluator=Lined(), inherits=True)
    parts = run(tmp_path / "parts", 40, evaluator=Lined(), inherits=True)
    assert [(t.number, t.parent) for t in parts.trials] == [(t.number, t.parent) for t in whole.trials]
    assert any(t.parent is not None for t in whole.trials)


def test_parameters_that_come_and_go_do_not_count_as_differences():
    from archwright.study.loop import differing

    assert differing(Architecture({"a": 1}), Architecture({"a": 2, "b": 1})) == 1
    assert differing(Architecture({"a": 1, "b": 1}), Architecture({"a": 1, "b": 2})) == 1
