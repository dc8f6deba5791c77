"""Runs that are kept, and runs that end at the optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archwright.arena import Entry, Problem, compete, read_signal
from archwright.errors import SettingsError
from archwright.space import Choice, Space
from archwright.tables import Column, Table

LS, RANDOM = Entry("ls", "ls", {}), Entry("random", "random", {})
BANDS = Entry("hyperband", "hyperband", {})


def problem(*, fidelities: tuple[float, ...] = (1.0,), shift: float = 0.0) -> Problem:
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    accuracy = (60 + shift + codes @ [4.0, 2.0, 1.0])[:, None, None]
    columns = (
        Column("digits", "val_accuracy", "maximize", np.concatenate([accuracy - 5, accuracy], axis=1), (2, 8)),
        Column("digits", "test_accuracy", "maximize", accuracy + 0.5, (8,)),
    )
    table = Table("toy", space, codes, columns)
    signal = read_signal(table, "digits", "val_accuracy")
    return Problem(table, "digits", (signal,), signal, fidelities=fidelities)


def timeless(found):
    return {**found.result, "results": [{**r, "seconds": 0} for r in found.result["results"]]}


@pytest.mark.parametrize("workers", [1, 2])
def test_kept_runs_are_those_of_a_call_without_keeping(tmp_path, workers):
    p, how = problem(fidelities=(0.25, 1.0)), {"runs": 4, "budget": 20}
    plain = compete(p, [LS, BANDS], **how)
    kept = compete(p, [LS, BANDS], **how, workers=workers, keep=tmp_path / "runs.jsonl")
    again = compete(p, [LS, BANDS], **how, keep=tmp_path / "runs.jsonl")
    assert timeless(plain) == timeless(kept) == timeless(again)
    assert kept.result == again.result


def test_only_what_is_missing_is_run(tmp_path, monkeypatch):
    from archwright.arena import runs

    file, ran = tmp_path / "runs.jsonl", []
    monkeypatch.setattr(runs, "run", lambda *a, run=runs.run: ran.append((a[1].label, a[3])) or run(*a))
    compete(problem(), [LS], runs=2, budget=20, keep=file)
    file.write_text(file.read_text()[:-20])
    compete(problem(), [LS, RANDOM], runs=3, budget=20, keep=file)
    assert ran == [("ls", 0), ("ls", 1), ("ls", 1), ("ls", 2), ("random", 0), ("random", 1), ("random", 2)]


@pytest.mark.parametrize("other", [{"budget": 21}, {"until_optimum": True}, {"entry": "ls:ties"}, {"shift": 1.0}])
def test_a_run_of_another_problem_or_searcher_is_not_taken(tmp_path, other):
    file = tmp_path / "runs.jsonl"
    compete(problem(), [LS], runs=1, budget=20, keep=file)
    entry = Entry("ls", "ls", {"ties": True}) if "entry" in other else LS
    how = {"budget": 20} | {k: v for k, v in other.items() if k in ("budget", "until_optimum")}
    compete(problem(shift=other.get("shift", 0.0)), [entry], runs=1, keep=file, **how)
    assert len(file.read_text().splitlines()) == 2


def test_runs_that_end_at_the_optimum_say_the_same_as_whole_ones():
    whole = compete(problem(), [LS, RANDOM], runs=10, budget=100)
    ended = compete(problem(), [LS, RANDOM], runs=10, budget=100, until_optimum=True)
    for key in ("optimum", "tests", "ranks"):
        assert whole.result[key] == ended.result[key]
    for a, b in zip(whole.result["results"], ended.result["results"]):
        assert (a["at"], a["to_optimum"]) == (b["at"], b["to_optimum"])
        assert a["evaluations"] > b["evaluations"]


@pytest.mark.parametrize("text", ['{"format": "else"}\n', "[1]\n", '{"format": "archwright-arena-runs 1"}\n'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "runs.jsonl").write_text(text)
    with pytest.raises(SettingsError, match="something else than runs"):
        compete(problem(), [LS], runs=1, budget=5, keep=tmp_path / "runs.jsonl")


def test_the_optimum_must_be_what_is_judged():
    p = problem()
    other = replace(p, report=read_signal(p.table, "digits", "test_accuracy"))
    with pytest.raises(SettingsError, match="signal is also the report"):
        compete(other, [LS], runs=1, budget=5, until_optimum=True)
    with pytest.raises(SettingsError, match="whole table"):
        compete(replace(p, complete=False), [LS], runs=1, budget=5, until_optimum=True)
