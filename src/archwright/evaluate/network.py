"""The evaluator of a search: build the network, see what it costs, train it, see what it is worth."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from archwright.data import Data, DeviceSplit
from archwright.errors import FamilyError, SettingsError
from archwright.evaluate.attempt import Attempt, explain
from archwright.evaluate.checkpoint import network_tensors, write_checkpoint
from archwright.evaluate.cost import profile_network
from archwright.evaluate.devices import derived_seed, resolve_device, seeded
from archwright.evaluate.inheritance import read_weights
from archwright.evaluate.metrics import METRICS, absent_classes, check_metrics, confidence_intervals
from archwright.evaluate.precision import Precision
from archwright.evaluate.ranks import Ranks, check_processes
from archwright.evaluate.scoring import evaluate_split
from archwright.evaluate.settings import Training
from archwright.evaluate.training import OnEpoch, Trained, device_splits, train
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.families import Family, check_output, for_shape
from archwright.hardware.profile import DeviceProfile
from archwright.space import Architecture

if TYPE_CHECKING:
    from archwright.study.executors import Lineage

ALWAYS = ("params", "macs")
"""Costs that every evaluation has, asked for or not."""


@dataclass
class NetworkEvaluator:
    """Trains the network of an architecture and measures what the goal asks for.

    It can be sent to another process; what it keeps on the device stays behind.

    Attributes:
        family: makes the networks.
        data: to train, validate and, at the very end, test with.
        training: of a full evaluation.
        goal: objectives and bounds. Bounds that need no training are checked before it.
        device: ``auto``, or a name that torch knows.
        repeats: trainings with other initial weights and orders of examples, averaged; the standard deviation of
            ``m`` is then in ``m_std``. Each costs a full evaluation.
        time_limit: seconds for one evaluation, all repeats included.
        weights: folder in which trained weights are left and looked for, where trials inherit them.
        inherit_epochs: of a training that starts from inherited weights; those of the training by default.
        profile_batch_size, profile_repeats, profile_threads: for latency, throughput and memory, see
            :func:`~archwright.evaluate.profile_network`. ``training_memory_mb`` has the training's batch size.
        latency: times of a device that predict ``latency_ms``, which is then not measured.
        processes: that share each training, see :class:`~archwright.evaluate.ranks.Ranks`; on CUDA each has a GPU.

    Raises:
        SettingsError: an unknown metric, a device or precision that is not there, more processes than devices, numbers that make no sense, AUC
            wanted where the validation split lacks a class, augmentation that is not for such data, or a latency
            profile of something else.
        FamilyError: the family cannot take the data's shape.
    """

    family: Family
    data: Data
    training: Training = field(default_factory=Training)
    goal: Goal = field(default_factory=lambda: Goal((Objective("accuracy", "maximize"),)))
    device: str = "auto"
    repeats: int = 1
    time_limit: float | None = None
    weights: Path | None = None
    inherit_epochs: int | None = None
    profile_batch_size: int = 1
    profile_repeats: int = 30
    profile_threads: int | None = None
    latency: DeviceProfile | None = None
    processes: int = 1
    _splits: tuple[DeviceSplit, DeviceSplit] | None = field(default=None, init=False, repr=False, compare=False)
    _ranks: Ranks | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_metrics(self.goal)
        if self.repeats < 1:
            raise SettingsError(f"repeats must be at least 1, not {self.repeats}")
        if self.time_limit is not None and not self.time_limit > 0:
            raise SettingsError(f"the time limit must be above 0 seconds, not {self.time_limit:g}")
        device = resolve_device(self.device)
        check_processes(self.processes, self.training, device)
        Precision(self.training.precision, device)
        self.training.augmentation(self.data.input_shape)
        missing = absent_classes(self.data.validation.targets, self.data.num_classes)
        if missing and "auc" in self.goal.metrics:
            name = self.data.classes[missing[0]]
            raise SettingsError(f"auc is undefined: no validation example has class {name!r}; choose another metric")
        self.family = for_shape(self.family, self.data.input_shape)
        if self.family.check_shape is not None:
            self.family.check_shape(self.data.input_shape)
        if self.latency is not None:
            self.latency.check(self.family, self.data.input_shape, self.data.num_classes)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_splits": None, "_ranks": None}

    def __call__(
        self,
        architecture: Architecture,
        *,
        fidelity: float = 1.0,
        seed: int = 0,
        on_epoch: OnEpoch | None = None,
        lineage: Lineage | None = None,
    ) -> Evaluation:
        """Evaluate; what goes wrong with the candidate makes a ``failed`` evaluation and is never raised.

        Args:
            architecture: what to build.
            fidelity: share of the training's epochs (one at least); the schedule of learning rates is compressed.
            seed: of initial weights, order of examples, augmentation and dropout.
            on_epoch: called as ``on_epoch(epoch, metrics)`` in the first training, costs included; ``False`` stops.
            lineage: whose weights to start from, and under which number to leave one's own in ``weights``. The metric
                ``inherited`` is the share of parameters that came from there. Weights that are missing, damaged or not
                finite are as if there was no parent.
        """
        inherited = self._inherited(lineage)
        epochs = max(1, round(fidelity * self.training.epochs))
        if inherited is not None and self.inherit_epochs is not None:
            epochs = self.inherit_epochs
        attempt = Attempt(
            self,
            architecture,
            replace(self.training, epochs=epochs),
            on_epoch,
            share=fidelity,
            full_epochs=self.training.epochs,
            repeats=self.repeats,
            time_limit=self.time_limit,
            inherited=inherited,
        )
        evaluation = attempt.evaluation(seed)
        if lineage is not None and self.weights is not None and attempt.network is not None:
            with suppress(OSError):  # without its weights the trial is nobody's parent, but its result is kept
                write_checkpoint(self.weights / f"{lineage.number}.safetensors", network_tensors(attempt.network), {})
        return evaluation

    def _inherited(self, lineage: Lineage | None) -> tuple[Architecture, dict[str, Tensor]] | None:
        """Architecture and weights of the parent, if there are any."""
        if lineage is None or lineage.parent is None or self.weights is None:
            return None
        found = read_weights(self.weights / f"{lineage.parent.number}.safetensors")
        return None if found is None else (lineage.parent.architecture, found)

    def build(self, architecture: Architecture, *, seed: int = 0) -> nn.Module:
        """A fresh network on the evaluator's device. What the family's ``build`` raises goes through."""
        device = resolve_device(self.device)
        with seeded(derived_seed(seed, 0), device):
            network = self.family.build(architecture, self.data.input_shape, self.data.num_classes)
        if not isinstance(network, nn.Module):
            raise FamilyError(f"build must return a torch.nn.Module, not {type(network).__name__}")
        return network.to(device)

    def cheap_metrics(self, architecture: Architecture) -> dict[str, float]:
        """Costs that need no training: ``params``, ``macs`` and those in the goal; nothing where ``build`` breaks."""
        try:
            return self.costs(self.build(architecture))
        except (Exception, SystemExit):
            return {}

    def costs(self, network: nn.Module) -> dict[str, float]:
        """``params``, ``macs`` and every other metric of the goal that needs no training, of the network as it is deployed."""
        used = self.family.deploy(network)
        wanted = [m for m in self.goal.metrics if METRICS[m].needs != "training" and m not in ALWAYS]
        for_training = [m for m in wanted if m == "training_memory_mb"]
        found: dict[str, float] = {}
        if self.latency is not None and "latency_ms" in wanted:
            wanted.remove("latency_ms")
            found["latency_ms"] = self.latency.predict(used)
        for names, batch_size in (
            ([*ALWAYS, *(m for m in wanted if m not in for_training)], self.profile_batch_size),
            (for_training, self.training.batch_size),
        ):
            found |= profile_network(
                network,
                self.data.input_shape,
                metrics=names,
                device=self.device,
                batch_size=batch_size,
                repeats=self.profile_repeats,
                threads=self.profile_threads,
                channels_last=self.training.channels_last,
                deployed=used,
            )
        return found

    def train(self, network: nn.Module, training: Training, **how: Any) -> Trained:
        """Train a network, in place, in as many processes as there are to be; ``how`` as for :func:`~archwright.evaluate.train`.

        Raises:
            RankError: something went wrong in one of several processes.
        """
        if self.processes == 1:
            return train(network, self.data, training, device=self.device, splits=self.splits(), **how)
        return self._team().train(network, training, **how)

    def _team(self) -> Ranks:
        if self._ranks is None:
            self._ranks = Ranks(self.data, self.processes, resolve_device(self.device), source=self.family.source)
        return self._ranks

    def train_fully(
        self,
        architecture: Architecture,
        *,
        training: Training | None = None,
        seed: int = 0,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> tuple[Evaluation, nn.Module | None]:
        """Train once with another ``training``, without time limit or bounds, and keep the network.

        Args:
            architecture: what to build.
            training: how; by default the evaluator's own.
            seed: as of an evaluation.
            checkpoint: file to go on from and to write, see :func:`~archwright.evaluate.train`. It is left in place.
            on_epoch: as of an evaluation.

        Returns:
            Validation metrics and costs, and the trained network (``None`` when it failed).
        """
        training = training or self.training
        attempt = Attempt(
            self,
            architecture,
            training,
            on_epoch,
            full_epochs=training.epochs,
            bounded=False,
            checkpoint=checkpoint,
        )
        return attempt.evaluation(seed), attempt.network

    def test(self, network: nn.Module) -> dict[str, float]:
        """Metrics on the test split, each with the 95 % interval ``<metric>_low``, ``<metric>_high``."""
        device = resolve_device(self.device)
        scored = evaluate_split(
            network,
            self.data,
            self.data.test,
            device=device,
            batch_size=2 * self.training.batch_size,
            precision=Precision(self.training.precision, device),
        )
        found = dict(scored.metrics)
        for name, (low, high) in confidence_intervals(scored.logits, scored.targets).items():
            found |= {f"{name}_low": low, f"{name}_high": high}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def check(self) -> None:
        """Build the default architecture before a search, so that a broken ``build`` is known at once.

        Raises:
            FamilyError: its output has a wrong size; or neither it nor any of three random ones can be built.
            SettingsError: the latency profile does not know its operations.
        """
        family = self.family
        rng = np.random.default_rng(0)
        first: BaseException | None = None
        for i in range(4):
            architecture = (family.default or family.space.default) if i == 0 else family.space.sample(rng)
            try:
                network = self.build(architecture)
            except (Exception, SystemExit) as error:
                first = first or error
                continue
            check_output(network, self.data.input_shape, self.data.num_classes, where=f"family {family.name!r}: build")
            if self.latency is not None:
                self.latency.predict(family.deploy(network))
            return
        assert first is not None
        raise FamilyError(f"family {family.name!r}: {explain('build', first, family.source)}") from first

    def warm_up(self) -> None:
        """Do what torch does once in a process, seconds of it, before a first evaluation has its time measured."""
        from torch import optim, zeros

        device = resolve_device(self.device)
        optim.AdamW([nn.Parameter(zeros(1, device=device))])
        if self.processes == 1:
            self.splits()
        else:
            self._team().start()

    def splits(self) -> tuple[DeviceSplit, DeviceSplit]:
        """Training and validation examples on the device, copied there once per process."""
        if self._splits is None:
            self._splits = device_splits(self.data, self.training, resolve_device(self.device))
        return self._splits
