"""Where a study lives: a folder, and an Optuna study in SQLite (or in any database that Optuna takes).

One Optuna trial is one evaluation. Architecture parameters are trial parameters, objectives are trial values, and
what Optuna has no place for stands in user attributes:

=================  =====================================================================================
``conversation``   ``{"asked": i, "told": j, "origin": ..., "fidelity": f}``: positions in the study's
                   conversation, the share of a full training that was asked for, and ``"parent": n``, the trial
                   whose weights it starts from
``seed``           of initial weights, data order and augmentation
``evaluation``     the :class:`~archwright.evaluation.Evaluation` as JSON, learning curve included
``timing``         ``{"started": s, "finished": s, "worker": k}``
=================  =====================================================================================

Infeasible trials are ``PRUNED`` and failed ones are ``FAIL`` for Optuna. A trial that is still ``RUNNING`` when a
study is opened was in flight when the study was interrupted; it is evaluated again with the same seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import optuna
from filelock import FileLock
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from archwright.errors import StudyError
from archwright.evaluation import Evaluation, Goal
from archwright.space import Architecture, Space
from archwright.study.claims import Lease, lock_folder
from archwright.study.database import OURS, connect, first_line, may_pass, read_settings, storage_url, study_name
from archwright.study.record import Trial

T = TypeVar("T")
_STATES = {"ok": TrialState.COMPLETE, "infeasible": TrialState.PRUNED, "failed": TrialState.FAIL}


@dataclass(frozen=True)
class Running:
    """A trial that was asked for and has no answer yet."""

    number: int
    architecture: Architecture
    seed: int
    asked: int
    origin: str
    fidelity: float = 1.0
    parent: int | None = None


class Store:
    """One study's storage, owned by one process at a time.

    Args:
        path: the study's folder; ``None`` keeps the study in memory.
        url: database; by default ``study.db`` in the folder.

    Raises:
        StudyError: the folder or the database cannot be used, is not ours, or is in use by another process.
    """

    def __init__(self, path: Path | None, url: str | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path = path
        self.url = url
        self._ids: dict[int, int] = {}
        self._lock: FileLock | None = None
        self._lease: Lease | None = None
        if path is not None:
            self._lock = lock_folder(path)
        self._storage: BaseStorage = self._connect()
        self._study: int | None = None
        self.name = study_name(self._storage, path, url)

    def _connect(self) -> BaseStorage:
        if self.path is None and self.url is None:
            return InMemoryStorage()
        return connect(storage_url(self.path, self.url))

    def open(self, settings: Mapping[str, Any], goal: Goal) -> Mapping[str, Any] | None:
        """Create the study, or find it: then its stored settings are returned and nothing is written."""
        stored = read_settings(self._storage, self.name)
        if stored is not None:
            self._study = self._storage.get_study_id_from_name(self.name)
        else:
            directions = [
                StudyDirection.MAXIMIZE if o.direction == "maximize" else StudyDirection.MINIMIZE
                for o in goal.objectives
            ]
            self._study = self._write(lambda: self._storage.create_new_study(directions, self.name))
            self.set(OURS, dict(settings))
            self.set("metric_names", [o.metric for o in goal.objectives], system="study:metric_names")
        if self.url is not None and self._lock is not None:
            self._lease = Lease(self)
        return stored

    def close(self) -> None:
        """Let other processes have the study."""
        if self._lease is not None:
            self._lease.end()
        if isinstance(self._storage, RDBStorage):
            self._storage.remove_session()
            self._storage.engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def set(self, key: str, value: Any, *, system: str | None = None) -> None:
        """Store a JSON value with the study."""
        if system is not None:
            self._write(lambda: self._storage.set_study_system_attr(self._id, system, value))
        else:
            self._write(lambda: self._storage.set_study_user_attr(self._id, key, value))

    def get(self, key: str, default: Any = None) -> Any:
        """A value stored with :meth:`set`."""
        return self._storage.get_study_user_attrs(self._id).get(key, default)

    def begin(self, trial: Running, space: Space) -> None:
        """Store that a trial runs, before it does."""
        distributions = space.to_optuna()
        frozen = create_trial(
            state=TrialState.RUNNING,
            params=dict(trial.architecture),
            distributions={name: distributions[name] for name in trial.architecture},
            user_attrs={
                "conversation": _conversation(trial),
                "seed": trial.seed,
            },
        )
        frozen.datetime_start = datetime.now()
        self._ids[trial.number] = self._write(lambda: self._storage.create_new_trial(self._id, template_trial=frozen))

    def finish(self, trial: Trial, goal: Goal) -> None:
        """Store what a trial gave. Once this returns, it is never lost."""
        trial_id = self._ids[trial.number]
        evaluation = trial.evaluation

        def write() -> None:
            store = self._storage.set_trial_user_attr
            store(trial_id, "timing", {"started": trial.started, "finished": trial.finished, "worker": trial.worker})
            store(trial_id, "conversation", _conversation(trial) | {"told": trial.told})
            for metric, value in evaluation.to_json()["metrics"].items():
                if value is not None and metric not in {o.metric for o in goal.objectives}:
                    store(trial_id, metric, value)
            if evaluation.reason:
                store(trial_id, "reason", evaluation.reason)
            store(trial_id, "evaluation", evaluation.to_json())
            self._store_curve(trial_id, evaluation, goal)
            self._settle(trial_id, evaluation, goal)

        self._write(write)

    def _store_curve(self, trial_id: int, evaluation: Evaluation, goal: Goal) -> None:
        """Optuna takes intermediate values when there is one objective; they show in its dashboard."""
        if len(goal.objectives) == 1:
            for epoch, point in enumerate(evaluation.to_json()["curve"], start=1):
                value = point.get(goal.objectives[0].metric)
                if value is not None:
                    self._storage.set_trial_intermediate_value(trial_id, epoch, value)

    def _settle(self, trial_id: int, evaluation: Evaluation, goal: Goal) -> None:
        values = [evaluation.metrics[o.metric] for o in goal.objectives] if evaluation.status == "ok" else None
        self._storage.set_trial_state_values(trial_id, _STATES[evaluation.status], values)

    def trials(self, goal: Goal) -> tuple[list[Trial], list[Running]]:
        """Finished trials in the order of finishing, and those that were in flight, in the order of asking.

        A trial whose evaluation was stored but whose state was not (the process died in between) is settled here.
        """
        finished, running = [], []
        for frozen in self._storage.get_all_trials(self._id):
            self._ids[frozen.number] = frozen._trial_id
            if "evaluation" not in frozen.user_attrs:
                running.append(_running(frozen))
                continue
            trial = _trial(frozen)
            if frozen.state is TrialState.RUNNING:
                self._write(lambda t=trial, i=frozen._trial_id: self._settle(i, t.evaluation, goal))  # type: ignore[misc]
            finished.append(trial)
        return sorted(finished, key=lambda t: t.told), sorted(running, key=lambda r: r.asked)

    @property
    def _id(self) -> int:
        if self._study is None:
            raise StudyError("the study is not open")
        return self._study

    def _write(self, action: Callable[[], T], tries: int = 6) -> T:
        """Do a write; a busy database is tried again for a few seconds."""
        for attempt in range(tries):
            try:
                return action()
            except SQLAlchemyError as error:
                if attempt == tries - 1 or not may_pass(error):
                    raise StudyError(self._refusal(error)) from error
            except optuna.exceptions.StorageInternalError as error:
                if attempt == tries - 1 or not may_pass(error):
                    raise StudyError(self._refusal(error)) from error
            time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")

    def _refusal(self, error: Exception) -> str:
        return (
            f"cannot write the study {self.path or self.url}: {first_line(error)}; free disk space or make it "
            "writable, then run the same command again: all evaluations stored so far are kept"
        )


def load_trials(path: Path, url: str | None) -> tuple[Mapping[str, Any], list[Trial], dict[str, Any]]:
    """Settings, finished trials and other stored values of a study, without taking hold of it.

    Raises:
        StudyError: there is no study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None and not (path / "study.db").is_file():
        if any((path / name).is_file() for name in ("oneshot.json", "runs.json")):
            raise StudyError(
                f"{path} is of archwright oneshot and has no trials; archwright oneshot-report and archwright cells read it, and "
                "archwright export takes the folder of each of its runs"
            )
        raise StudyError(
            f"there is no study in {path}: it has no study.db; start one with archwright search ... --study {path}"
        )
    storage = connect(storage_url(path, url))
    name = study_name(storage, path, url)
    settings = read_settings(storage, name)
    if settings is None:
        raise StudyError(f"there is no study named {name!r} in the database of {path}")
    study_id = storage.get_study_id_from_name(name)
    frozen = [t for t in storage.get_all_trials(study_id) if "evaluation" in t.user_attrs]
    attrs = dict(storage.get_study_user_attrs(study_id))
    return settings, sorted((_trial(t) for t in frozen), key=lambda t: t.told), attrs


def _conversation(trial: Running | Trial) -> dict[str, Any]:
    return {"asked": trial.asked, "origin": trial.origin, "fidelity": trial.fidelity, "parent": trial.parent}


def _trial(frozen: FrozenTrial) -> Trial:
    attrs = frozen.user_attrs
    return Trial(
        number=frozen.number,
        architecture=Architecture(frozen.params),
        evaluation=Evaluation.from_json(attrs["evaluation"]),
        seed=attrs["seed"],
        started=attrs["timing"]["started"],
        finished=attrs["timing"]["finished"],
        worker=attrs["timing"]["worker"],
        origin=attrs["conversation"]["origin"],
        asked=attrs["conversation"]["asked"],
        told=attrs["conversation"]["told"],
        fidelity=attrs["conversation"].get("fidelity", 1.0),
        parent=attrs["conversation"].get("parent"),
    )


def _running(frozen: FrozenTrial) -> Running:
    conversation = frozen.user_attrs["conversation"]
    return Running(
        frozen.number,
        Architecture(frozen.params),
        frozen.user_attrs["seed"],
        conversation["asked"],
        conversation["origin"],
        conversation.get("fidelity", 1.0),
        conversation.get("parent"),
    )
