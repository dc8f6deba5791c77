"""A search with all its parts made: run, retrain, export, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.families import Family, family_spec
from archwright.searchers import Clues, make_searcher, searcher_options
from archwright.space import Architecture
from archwright.study.conversation import Conversation
from archwright.study.executors import Evaluator, Executor, Workers
from archwright.study.loop import Loop, Watcher
from archwright.study.record import StudyRecord, jsonable, write_json
from archwright.study.result import Result
from archwright.study.settings import refuse_other_settings, save_settings, versions
from archwright.study.stopping import Budget, EarlyStopping
from archwright.study.storage import Store

if TYPE_CHECKING:
    from archwright.evaluate import NetworkEvaluator
    from archwright.study.final import FinalSettings


@dataclass
class Job:
    """What :func:`archwright.search` was asked to do; see there.

    Attributes:
        described: what the evaluator and the rest add to the settings of the study.
        given: architectures to evaluate first.
        fidelities: shares of a full training, ascending.
    """

    family: Family
    goal: Goal
    evaluator: Evaluator
    described: Mapping[str, Any]
    path: Path | None
    storage: str | None
    budget: Budget
    seed: int
    workers: Workers
    stop_early: bool
    searcher: str
    searcher_options: Mapping[str, Any]
    fidelities: tuple[float, ...]
    replicate: bool
    clues: Clues | None
    given: list[Architecture]
    final: FinalSettings
    watcher: Watcher
    final_watcher: Watcher

    def run(self) -> Result:
        """Search, or go on with the study; then retrain, export and report.

        Raises:
            StudyError: the study cannot be used, or was made with other settings.
        """
        asked = self._settings()
        searcher = make_searcher(
            self.searcher,
            self.family.space,
            self.goal,
            seed=self.seed,
            fidelities=self.fidelities,
            clues=self.clues,
            **self.searcher_options,
        )
        conversation = Conversation(searcher, self.family.key, self.given, replicate=self.replicate)
        store = Store(self.path, self.storage)
        try:
            self._open(store, asked)
            loop = self._loop(store, conversation)
            interrupted = False
            try:
                reason = loop.run()
            except KeyboardInterrupt:
                reason, interrupted = "stopped by the user", True
            remarks = tuple(searcher.remarks())
            store.set("remarks", remarks)
            record = StudyRecord(
                path=self.path or Path("."),
                settings=asked,
                goal=self.goal,
                family=self.family,
                trials=tuple(loop.trials),
                repeats=conversation.repeats,
                seconds=loop.seconds,
                remarks=remarks,
            )
            return self._conclude(record, reason, interrupted)
        finally:
            store.close()

    def _open(self, store: Store, asked: dict[str, Any]) -> None:
        """Make the study or find it, and keep in its folder what it needs to be read and continued."""
        stored = store.open(asked, self.goal)
        if stored is not None:
            refuse_other_settings(stored, asked, self.path)
        self._prepare(store, asked)
        if self.path is not None:
            save_settings(self.path, asked)
            self._save_profile(self.path)

    def _prepare(self, store: Store, asked: dict[str, Any]) -> None:
        """What scores are relative to is made once and kept in the study."""
        prepare = getattr(self.evaluator, "prepare", None)
        if prepare is not None and (reference := prepare(store.get("reference"))):
            store.set("reference", dict(reference))
            asked["evaluate"]["reference"] = dict(reference)

    def _save_profile(self, folder: Path) -> None:
        profile = getattr(self.evaluator, "latency", None)
        if profile is not None:
            from archwright.hardware.profile import STORED

            profile.save(folder / STORED)

    def _loop(self, store: Store, conversation: Conversation) -> Loop:
        return Loop(
            space=self.family.space,
            goal=self.goal,
            conversation=conversation,
            store=store,
            executor=self._executor(self.evaluator),
            budget=self.budget,
            seed=self.seed,
            fidelities=self.fidelities,
            repeats=int(self.described.get("repeats", 1)),
            early_stopping=self._early_stopping(),
            inherits="inherit" in self.described,
            watcher=self.watcher,
        )

    def _executor(self, evaluator: Evaluator) -> Executor:
        logs = None
        if self.path is not None and self.workers.count:
            logs = self.path / "logs"
            logs.mkdir(exist_ok=True)
        return self.workers.executor(evaluator, logs)

    def _early_stopping(self) -> EarlyStopping | None:
        if not self.stop_early:
            return None
        training = getattr(self.evaluator, "training", None)
        if training is None:
            raise SettingsError(
                "stopping early needs trainings with epochs; it does not go with a function of your own"
            )
        return EarlyStopping(self.goal, training.epochs)

    def _conclude(self, record: StudyRecord, reason: str, interrupted: bool) -> Result:
        """Retrain, export and report, as far as there is something to and a place to keep it."""
        result = Result(record, reason, interrupted)
        if self.path is None:
            return result
        from archwright.evaluate import NetworkEvaluator

        result.files["study"] = str(self.path)
        networks = getattr(self.evaluator, "networks", self.evaluator)
        if not interrupted and self.final.top and isinstance(networks, NetworkEvaluator):
            try:
                self._retrain(result, networks, self.path)
            except KeyboardInterrupt:
                result.interrupted, result.reason = True, "stopped by the user while retraining"
        for file in result.report():
            if file.suffix == ".html":
                result.files["report"] = str(file)
        result.files["result"] = str(self.path / "result.json")
        write_json(self.path / "result.json", result.to_json())
        return result

    def _retrain(self, result: Result, evaluator: NetworkEvaluator, folder: Path) -> None:
        from archwright.export import export_model
        from archwright.study.final import FinalStage, Retrainer

        retrainer = Retrainer(evaluator, self.final.training(evaluator.training), (folder / "checkpoints").absolute())
        stage = FinalStage(
            result.record, retrainer, self.final, self._executor, seed=self.seed, watcher=self.final_watcher
        )
        final = stage.run()
        if final is None:
            return
        result.record = replace(result.record, final=final)
        chosen = final["candidates"][final["winner"]]
        files = export_model(
            stage.winner_network(final),
            folder / "model",
            family=self.family,
            architecture=Architecture(chosen["architecture"]),
            data=evaluator.data,
            metrics={"validation": chosen["validation"], "test": final["test"], "baselines": final["baselines"]},
            settings=dict(result.record.settings),
            onnx=self.final.onnx,
        )
        result.files |= {name: str(file) for name, file in files.items()}

    def _settings(self) -> dict[str, Any]:
        options = {**searcher_options(self.searcher), **self.searcher_options}
        settings = {
            "format": 1,
            "family": family_spec(self.family),
            "space": self.family.space.to_json(),
            "goal": self.goal.to_json(),
            "searcher": {"name": self.searcher, "options": options},
            "seed": self.seed,
            "stop_early": self.stop_early,
            "replicate": self.replicate,
            "budget": asdict(self.budget),
            "workers": self.workers.count,
            "threads": self.workers.threads,
            "time_limit": self.workers.time_limit,
            "storage": self.storage,
            "final": asdict(self.final),
            "versions": versions(),
            **self.described,
            "warm_start": [a.to_json() for a in self.given],
        }
        plain: dict[str, Any] = jsonable(settings)
        return plain
