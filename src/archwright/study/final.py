"""The end of a search: the best candidates trained in full, one chosen by validation, the test split used once.

The protocol is that of Zouambi (2023, chapter 6) with its selection by *test* accuracy replaced by selection by
validation, which does not flatter the result. Baselines (the family's default architecture, random ones) are trained
in the same way, so that a reader sees what the search brought.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.errors import SettingsError, SpaceError
from archwright.evaluation import Evaluation, Goal
from archwright.space import Architecture
from archwright.study.executors import Executor, OnEpoch, Outcome, Task
from archwright.study.loop import Silent, Watcher
from archwright.study.record import StudyRecord, Trial, knee, pareto_front, write_json
from archwright.study.storage import Running

if TYPE_CHECKING:
    from torch import nn

    from archwright.evaluate import NetworkEvaluator, Training


@dataclass(frozen=True)
class FinalSettings:
    """What happens at the end of a search.

    Attributes:
        top: how many of the best candidates are trained in full; 0 leaves the whole stage out.
        epochs: of a full training; by default three times those of the search, and at least 30.
        baselines: random architectures to train for comparison, beside the default one; 0 for no baseline.
        onnx: also export to ONNX.

    Raises:
        SettingsError: a negative number.
    """

    top: int = 3
    epochs: int | None = None
    baselines: int = 1
    onnx: bool = True

    def __post_init__(self) -> None:
        if self.top < 0 or self.baselines < 0 or (self.epochs is not None and self.epochs < 1):
            raise SettingsError(f"top, baselines and final epochs cannot be negative: {self}")

    def training(self, search: Training) -> Training:
        """The training of the search, at full length."""
        return replace(search, epochs=self.epochs or max(30, 3 * search.epochs))


@dataclass
class Retrainer:
    """An evaluator that trains in full and keeps the weights in ``folder``.

    Its answers have validation metrics; the test split is not touched.
    """

    evaluator: NetworkEvaluator
    training: Training
    folder: Path

    def __call__(
        self, architecture: Architecture, *, fidelity: float = 1.0, seed: int = 0, on_epoch: OnEpoch | None = None
    ) -> Evaluation:
        """Train, or go on from this architecture's checkpoint."""
        from safetensors.torch import save_file

        place = self.weights(architecture, seed)
        checkpoint = place.with_suffix(".checkpoint")
        evaluation, network = self.evaluator.train_fully(
            architecture,
            training=self.training,
            seed=seed,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
        )
        if network is not None:
            temporary = place.with_suffix(".new")
            save_file({k: v.detach().cpu().clone() for k, v in network.state_dict().items()}, temporary)
            temporary.replace(place)
            checkpoint.unlink(missing_ok=True)
        return evaluation

    def warm_up(self) -> None:
        """As the evaluator's."""
        self.evaluator.warm_up()

    def weights(self, architecture: Architecture, seed: int) -> Path:
        """Where the weights of a training stand."""
        text = json.dumps([architecture.key, self.training.to_json(), seed], sort_keys=True)
        return self.folder / f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.safetensors"

    def network(self, architecture: Architecture, seed: int) -> nn.Module:
        """The trained network, in evaluation mode."""
        from safetensors.torch import load_file

        network = self.evaluator.build(architecture, seed=seed)
        network.load_state_dict(load_file(self.weights(architecture, seed)))
        return network.eval()


@dataclass
class _Job:
    """One network to train in full."""

    kind: str
    architecture: Architecture
    trial: Trial | None = None


@dataclass
class FinalStage:
    """Trains candidates and baselines, chooses, tests.

    ``run`` returns the mapping that stands in the study's ``final.json``; trainings found there are not repeated.
    """

    record: StudyRecord
    retrainer: Retrainer
    settings: FinalSettings
    make_executor: Callable[[Retrainer], Executor]
    seed: int = 0
    watcher: Watcher = field(default_factory=Silent)

    def run(self) -> dict[str, Any] | None:
        """The final results, or ``None`` when no candidate ended well."""
        jobs = self._jobs()
        if not any(job.kind == "candidate" for job in jobs):
            return None
        done = self._train(jobs)
        goal = self.record.final_goal
        candidates = [self._candidate(job, e) for job, e in zip(jobs, done) if job.kind == "candidate"]
        front = self.record.pareto if goal == self.record.goal else ()
        winner = choose([c["validation"] for c in candidates], goal, front)
        if winner is None:
            return None
        baselines = [self._baseline(job, e) for job, e in zip(jobs, done) if job.kind != "candidate"]
        final = {
            "candidates": candidates,
            "winner": winner,
            "test": self._test(Architecture(candidates[winner]["architecture"])),
            "baselines": [b for b in baselines if b is not None],
            "training": self.retrainer.training.to_json(),
            "seed": self.seed,
            "seconds": sum(e.seconds for e in done),
        }
        write_json(self.record.path / "final.json", final)
        return final

    def winner_network(self, final: Mapping[str, Any]) -> nn.Module:
        """The chosen network with its trained weights."""
        architecture = Architecture(final["candidates"][final["winner"]]["architecture"])
        return self.retrainer.network(architecture, self.seed)

    def _jobs(self) -> list[_Job]:
        jobs = [_Job("candidate", t.architecture, t) for t in self.record.ranked()[: self.settings.top]]
        if self.settings.baselines and jobs:
            family = self.record.family
            jobs.append(_Job("default", family.default or family.space.default))
            jobs += [_Job("random", a) for a in self._random(self.settings.baselines)]
        return jobs

    def _random(self, n: int) -> list[Architecture]:
        """Random architectures that keep the bounds which need no training."""
        rng = np.random.default_rng([self.seed, 3])
        found: list[Architecture] = []
        for _ in range(200):
            if len(found) == n:
                break
            try:
                architecture = self.record.family.space.sample(rng)
            except SpaceError:
                break
            if not self.record.goal.broken(self.retrainer.evaluator.cheap_metrics(architecture)):
                found.append(architecture)
        return found

    def _train(self, jobs: list[_Job]) -> list[Evaluation]:
        """One evaluation per job; equal architectures are trained once, finished ones are read from disk."""
        self.retrainer.folder.mkdir(parents=True, exist_ok=True)
        wanted = list(dict.fromkeys(job.architecture for job in jobs))
        results: dict[Architecture, Evaluation] = {}
        missing = []
        for architecture in wanted:
            stored = self._stored(architecture)
            if stored is None:
                missing.append(architecture)
            else:
                results[architecture] = stored
        if missing:
            results |= self._train_missing(missing)
        return [results[job.architecture] for job in jobs]

    def _train_missing(self, missing: list[Architecture]) -> dict[Architecture, Evaluation]:
        executor = self.make_executor(self.retrainer)
        try:
            futures = {}
            for number, architecture in enumerate(missing):
                self.watcher.started(Running(number, architecture, self.seed, 0, "final"))
                task = Task(number, architecture, 1.0, self.seed)
                futures[architecture] = executor.submit(task, self._on_epoch(number))
            results = {}
            for number, (architecture, future) in enumerate(futures.items()):
                outcome = future.result()
                results[architecture] = outcome.evaluation
                self._keep(architecture, outcome.evaluation)
                self.watcher.finished(self._trial(number, architecture, outcome), [])
        finally:
            executor.shutdown()
        return results

    def _on_epoch(self, number: int) -> OnEpoch:
        def go_on(epoch: int, metrics: Mapping[str, float]) -> bool:
            self.watcher.epoch(number, epoch, metrics)
            return True

        return go_on

    def _trial(self, number: int, architecture: Architecture, outcome: Outcome) -> Trial:
        return Trial(
            number,
            architecture,
            outcome.evaluation,
            self.seed,
            outcome.started,
            outcome.finished,
            outcome.worker,
            "final",
        )

    def _evaluation_file(self, architecture: Architecture) -> Path:
        return self.retrainer.weights(architecture, self.seed).with_suffix(".json")

    def _keep(self, architecture: Architecture, evaluation: Evaluation) -> None:
        if evaluation.status != "failed":
            write_json(self._evaluation_file(architecture), evaluation.to_json())

    def _stored(self, architecture: Architecture) -> Evaluation | None:
        file = self._evaluation_file(architecture)
        if not file.is_file() or not self.retrainer.weights(architecture, self.seed).is_file():
            return None
        return Evaluation.from_json(json.loads(file.read_text()))

    def _candidate(self, job: _Job, evaluation: Evaluation) -> dict[str, Any]:
        assert job.trial is not None
        return {
            "number": job.trial.number,
            "architecture": job.architecture.to_json(),
            "search": dict(job.trial.evaluation.metrics),
            "validation": dict(evaluation.metrics) if evaluation.status == "ok" else {},
            "curve": [dict(point) for point in evaluation.curve],
            "seconds": evaluation.seconds,
            "reason": evaluation.reason,
        }

    def _baseline(self, job: _Job, evaluation: Evaluation) -> dict[str, Any] | None:
        if evaluation.status == "failed":
            return None
        return {
            "kind": job.kind,
            "architecture": job.architecture.to_json(),
            "validation": dict(evaluation.metrics),
            "test": self._test(job.architecture),
            "seconds": evaluation.seconds,
        }

    def _test(self, architecture: Architecture) -> dict[str, float]:
        network = self.retrainer.network(architecture, self.seed)
        return dict(self.retrainer.evaluator.test(network))


def choose(validation: list[Mapping[str, float]], goal: Goal, front: Sequence[Trial] = ()) -> int | None:
    """Index of the candidate with the best validation metrics; ``None`` when none has finite objectives.

    With several objectives, the one nearest to the ideal point, on the scale of the search's ``front``.
    """
    trials = [Trial(i, Architecture({}), Evaluation(metrics)) for i, metrics in enumerate(validation)]
    usable = [t for t in trials if np.isfinite(goal.values(t.evaluation)).all()]
    kept = [t for t in usable if goal.violation(t.evaluation.metrics) == 0] or usable
    return knee(pareto_front(kept, goal), goal, front).number if kept else None
