"""Studies in a database: what is refused, and what stays readable."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from toy import GOAL, SPACE, run

from archwright.errors import StudyError
from archwright.evaluation import Evaluation
from archwright.space import Architecture
from archwright.study.storage import Store, load_trials


def test_a_study_is_an_optuna_study(tmp_path):
    loop = run(tmp_path / "toy", 40, searcher="random")
    study = optuna.load_study(study_name="toy", storage=f"sqlite:///{tmp_path / 'toy' / 'study.db'}")
    best = max(t.evaluation.metrics.get("score", 0) for t in loop.trials)
    assert study.best_value == best
    complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    assert set(complete[0].params) == set(SPACE.names)
    assert len(complete[0].intermediate_values) == 3
    assert {t.state.name for t in study.trials} == {"COMPLETE", "FAIL", "PRUNED"}


def test_second_process_on_the_same_folder_is_refused(tmp_path):
    store = Store(tmp_path / "study")
    code = f"from pathlib import Path; from archwright.study.storage import Store; Store(Path({str(tmp_path / 'study')!r}))"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    store.close()
    assert "is in use by another process" in second.stderr
    Store(tmp_path / "study").close()


def test_second_folder_on_the_same_database_is_refused_while_the_first_is_open(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    first = Store(tmp_path / "a" / "study", url)
    first.open({}, GOAL)
    second = Store(tmp_path / "b" / "study", url)
    with pytest.raises(StudyError, match="in use by process"):
        second.open({}, GOAL)
    second.close()
    first.close()
    third = Store(tmp_path / "b" / "study", url)
    assert third.open({}, GOAL) == {}
    third.close()


def test_named_database_holds_several_studies(tmp_path):
    url = f"sqlite:///{tmp_path / 'all.db'}"
    run(tmp_path / "one", 4, url=url)
    run(tmp_path / "two", 6, url=url)
    assert len(load_trials(tmp_path / "one", url)[1]) >= 4
    assert {s.study_name for s in optuna.get_all_study_summaries(url)} == {"one", "two"}


def test_renamed_folder_is_still_the_same_study(tmp_path):
    run(tmp_path / "before", 5)
    (tmp_path / "before").rename(tmp_path / "after")
    assert len(run(tmp_path / "after", 8).trials) >= 8


@pytest.mark.parametrize("content", [b"not a database at all", b"\x00" * 4096])
def test_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.db").write_bytes(content)
    with pytest.raises(StudyError, match="not an SQLite database"):
        Store(folder)
    assert (folder / "study.db").read_bytes() == content


def test_database_of_another_program_is_refused(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute("create table version_info (x int)")
    with pytest.raises(StudyError, match=r"database|open"):
        Store(folder).open({}, GOAL)


def test_optuna_study_that_is_not_ours_is_refused(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    optuna.create_study(storage=f"sqlite:///{folder / 'study.db'}", study_name="theirs")
    store = Store(folder)
    with pytest.raises(StudyError, match="'theirs' that Archwright did not make"):
        store.open({}, GOAL)
    store.close()


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "study").write_text("")
    with pytest.raises(StudyError, match="is a file; name a folder"):
        Store(tmp_path / "study")


def test_place_that_cannot_be_written_is_refused():
    with pytest.raises(StudyError, match="cannot write in /proc"):
        Store(Path("/proc/study"))


def test_database_that_becomes_read_only_says_so(tmp_path, monkeypatch):
    from sqlalchemy.exc import OperationalError

    store = Store(tmp_path / "study")
    store.open({}, GOAL)

    def full(*_):
        raise OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full"))

    monkeypatch.setattr(store._storage, "set_study_user_attr", full)
    with pytest.raises(StudyError, match="disk is full; free disk space"):
        store.set("x", 1)
    monkeypatch.undo()
    store.close()


def test_trial_stored_but_not_settled_when_the_process_died_is_kept(tmp_path):
    loop = run(tmp_path / "study", 5)
    number = next(t.number for t in loop.trials if t.evaluation.status == "ok")
    with sqlite3.connect(tmp_path / "study" / "study.db") as connection:
        connection.execute("update trials set state = 'RUNNING' where number = ?", (number,))
    again = run(tmp_path / "study", 5)
    assert [t.number for t in again.trials] == [t.number for t in loop.trials]
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path / 'study' / 'study.db'}")
    assert study.trials[number].state is optuna.trial.TrialState.COMPLETE


def test_evaluations_survive_the_database_unchanged(tmp_path):
    loop = run(tmp_path / "study", 12)
    _, trials, _ = load_trials(tmp_path / "study", None)
    assert trials == loop.trials


def test_nan_in_metrics_is_stored_as_nothing():
    evaluation = Evaluation({"auc": float("nan"), "score": 1.0}, curve=({"auc": float("nan")},))
    again = Evaluation.from_json(evaluation.to_json())
    assert evaluation.to_json()["metrics"] == {"auc": None, "score": 1.0}
    assert str(again.metrics["auc"]) == "nan"


def test_no_study_says_how_to_start_one(tmp_path):
    with pytest.raises(StudyError, match="archwright search"):
        load_trials(tmp_path, None)


def test_sampler_runs_a_searcher_in_a_script_of_optunas_own():
    from archwright.searchers import make_searcher
    from archwright.study.sampler import ArchwrightSampler

    def objective(trial):
        return sum(trial.suggest_categorical(name, [0, 1, 2, 3]) for name in SPACE.names)

    study = optuna.create_study(
        direction="maximize", sampler=ArchwrightSampler(make_searcher("ls", SPACE, GOAL, seed=3))
    )
    study.optimize(objective, n_trials=60)
    searcher = make_searcher("ls", SPACE, GOAL, seed=3)
    for trial in study.trials:
        (architecture,) = searcher.ask(1)
        assert architecture == Architecture(trial.params)
        searcher.tell(architecture, Evaluation({"score": trial.value}))
    assert study.best_value == 15


def test_reading_while_a_search_makes_its_database_harms_neither(tmp_path):
    import threading

    ended = threading.Event()
    refused = []

    def read():
        while not ended.is_set():
            try:
                load_trials(tmp_path / "study", None)
            except StudyError as error:
                refused.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        loop = run(tmp_path / "study", 5)
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert len(loop.trials) >= 5
    assert all("there is no study" in message or "database" in message for message in refused)
