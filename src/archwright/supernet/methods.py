"""What is asked of a method of search inside one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from archwright.errors import SettingsError, unknown
from archwright.evaluate.settings import Training
from archwright.families.userfile import import_file
from archwright.hardware.shares import load_weights
from archwright.layers.operations import OPERATION_SETS
from archwright.supernet.micro import MicroSettings
from archwright.supernet.nasbench201 import EdgeSettings
from archwright.supernet.options import RunOptions
from archwright.supernet.presets import ALIASES, METHODS, Method
from archwright.supernet.settings import SWITCHES, JointSettings

__all__ = ["ALIASES", "METHODS", "Method", "OneShot", "find_method", "whole"]


def find_method(name: str) -> Method:
    """A method by name, or ``file.py:name`` for one that a user's file declares.

    Raises:
        SettingsError: there is none of this name, or it declares what there is not.
        FamilyError: the file breaks while it is imported.
    """
    path, colon, attribute = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        if name not in METHODS:
            raise SettingsError(f"{unknown('method', name, METHODS)} (one of your own: my_method.py:name)")
        return METHODS[name]
    if not Path(path).is_file():
        raise SettingsError(f"there is no file {path}")
    module = import_file(Path(path))
    found = getattr(module, attribute, None)
    if not isinstance(found, Method):
        declared = [n for n, value in vars(module).items() if isinstance(value, Method)]
        raise SettingsError(f"{path} declares no method {attribute!r}; it has {', '.join(declared) or 'none'}")
    _check_declared(name, found)
    return found


def _check_declared(name: str, method: Method) -> None:
    parts: Mapping[str, tuple[type, ...]] = {
        "micro": (MicroSettings, EdgeSettings), "settings": (JointSettings,), "options": (RunOptions,), "training": (Training,),
    }  # fmt: skip
    for part, kinds in parts.items():
        known = [f.name for kind in kinds for f in fields(kind)]
        for wrong in set(getattr(method, part)) - set(known):
            raise SettingsError(f"{name}: " + unknown(f"name in {part}", wrong, known))


SEARCH: Mapping[str, Any] = {"crop": 4, "flip": True}
"""Augmentation of the search, as published for CIFAR-10."""

RETRAINING: Mapping[str, Any] = {
    "epochs": 600, "batch_size": 128, "optimizer": "sgd", "lr": 0.025, "momentum": 0.9, "nesterov": False,
    "weight_decay": 5e-4, "decay": "all", "schedule": "cosine-epochs", "warmup_epochs": 0.0, "drop_path": 0.3,
    "drop_path_rates": "equal", "auxiliary_weight": 0.4, "gradient_clip": 5.0, "crop": 4, "flip": True, "cutout": 16,
}  # fmt: skip
"""Settings of the thesis's retraining on CIFAR-10 (Herron 2023, section 3.4.2)."""

BENCHMARK_TRAINING: Mapping[str, Any] = {
    "epochs": 200, "batch_size": 256, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True,
    "weight_decay": 5e-4, "warmup_epochs": 0.0, "gradient_clip": 0.0, "crop": 4, "flip": True,
}  # fmt: skip
"""Settings of NAS-Bench-201's own trainings (Dong and Yang 2020, table 1)."""

TOURNAMENT = {"tiers": 3, "largest": 8, "bundle": "edge"}
"""Options of a tournament beside its games'."""

RUN_NAMES = tuple(f.name for f in fields(RunOptions))
TEMPLATE_OPTIONS = ("macro_lr", "macro_lr_of", "type_reduction")

NETWORK = {"channels": 36, "cells": 20}
"""Size of retrained networks."""

FINAL: Mapping[str, tuple[Mapping[str, int], Mapping[str, Any]]] = {
    "darts": (NETWORK, RETRAINING),
    "nasbench201": ({"channels": 16, "cells": 5, "stages": 3}, BENCHMARK_TRAINING),
}
"""Size and training of retrained networks, by the family that is searched."""


@dataclass(frozen=True)
class OneShot:
    """What is asked for.

    Attributes:
        method: one of :data:`METHODS`, or ``file.py:name``.
        options: of the search: fields of ``MicroSettings`` (``EdgeSettings`` for nasbench201), ``JointSettings`` and
            ``RunOptions``, and those of :data:`TOURNAMENT`.
        network: ``channels`` and ``cells`` of the retrained network, and for nasbench201 ``stages``.
        training: differences from :data:`RETRAINING` or :data:`BENCHMARK_TRAINING`.
        retrain: whether to retrain.
        seed: of everything random.
        device: where.
        workers: processes for the games of a tournament.
        onnx: whether to export to ONNX too.
        command: words that called for it, for the model card.
        family: whose cells are searched, ``darts`` or ``nasbench201``.
        cells: study or result whose cells are retrained, without a search.
        sample: random cells of nasbench201 that are judged with the weights of the search; 0 for none.

    Raises:
        SettingsError: a family that has no such search, or ``sample`` for another one than nasbench201.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, int] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    retrain: bool = True
    seed: int = 0
    device: str = "cpu"
    workers: int = 0
    onnx: bool = False
    command: Sequence[str] = ()
    family: str = "darts"
    sample: int = 0
    cells: str = ""

    def __post_init__(self) -> None:
        if self.cells and not self.retrain:
            raise SettingsError("cells that were found before are there to be retrained; leave --no-retrain out")
        if self.family not in FINAL:
            raise SettingsError(unknown("family of search inside one network", self.family, FINAL))
        if self.sample and self.family != "nasbench201":
            raise SettingsError("a sample is judged for nasbench201 alone; leave it out")

    @property
    def searching(self) -> dict[str, Any]:
        """The options that make a search another one."""
        return {name: value for name, value in self.options.items() if name != "memory"}

    def settings(self) -> tuple[Method, MicroSettings, JointSettings]:
        """The declaration with the options filled in.

        Raises:
            SettingsError: an unknown method or option, or a value out of range.
        """
        method = self._method()
        micro_names = [f.name for f in fields(MicroSettings) if f.name not in ("lists", "template", "types")]
        joint_names = [f.name for f in fields(JointSettings) if f.name != "steps"]
        rules = list(TOURNAMENT) if method.search in ("dynamic", "combined") else []
        self._check_options(method, [*micro_names, *joint_names, *rules, *RUN_NAMES])
        read: Mapping[str, Callable[[Any], Any]] = {"operations": _operations, "latency": _latency_table}
        micro = {k: read[k](v) if k in read else v for k, v in self.options.items() if k in micro_names}
        for name in ("nodes", "channels", "search_cells", "evaluation_cells"):
            whole(name, micro.get(name, 3))
        return method, MicroSettings(**{**method.micro, **micro}), self._joint(method, joint_names)

    @property
    def run(self) -> RunOptions:
        """The options of the run.

        Raises:
            SettingsError: a value out of range.
        """
        return RunOptions(**{**self._method().options, **{k: self.options[k] for k in RUN_NAMES if k in self.options}})

    def _around(self, settings: JointSettings) -> JointSettings:
        """Settings of the search as the options of the run have them."""
        if self.run.centre_safe:
            settings = replace(settings, crop=0)
        scale = settings.batch_size / self.run.lr_batch if self.run.lr_batch else 1.0
        return replace(settings, lr=settings.lr * scale)

    def edges(self) -> tuple[Method, EdgeSettings, JointSettings]:
        """The same for a search over NAS-Bench-201's cells.

        Raises:
            SettingsError: as :meth:`settings`, or a method that makes no sense there.
        """
        method = self._method()
        refuse_for_edges(self.method, method)
        edge_names = [f.name for f in fields(EdgeSettings)]
        joint_names = [f.name for f in fields(JointSettings) if f.name not in ("steps", "penalty")]
        self._check_options(method, [*edge_names, *joint_names, *(n for n in RUN_NAMES if n != "keep_tower")])
        edge = {k: v for k, v in self.options.items() if k in edge_names}
        for name in ("channels", "search_cells", "evaluation_cells", "stages"):
            whole(name, edge.get(name, 1))
        return method, EdgeSettings(**{**method.micro, **edge}), self._joint(method, joint_names)

    def _method(self) -> Method:
        if not isinstance(self.workers, int) or self.workers < 0:
            raise SettingsError(f"workers must be a whole number of at least 0, not {self.workers!r}")
        return find_method(self.method)

    def _check_options(self, method: Method, known: list[str]) -> None:
        for name in self.options:
            if name not in known:
                raise SettingsError(unknown("option", name, known))
        idle = [name for name in SWITCHES if name in self.options and "steps" in method.settings]
        if idle:
            raise SettingsError(f"{self.method} declares its steps; {', '.join(idle)} would change nothing")
        later = [name for name in TEMPLATE_OPTIONS if name in self.options and method.search not in ("skips", "types")]
        if later:
            raise SettingsError(f"{', '.join(later)} would change nothing: only hier_v1 and hier_v2 search a template")

    def _joint(self, method: Method, names: list[str]) -> JointSettings:
        """Settings of the search, as the options of the run have them."""
        joint = {**SEARCH, **method.settings, **{k: v for k, v in self.options.items() if k in names}}
        if "e_split" in self.options:
            joint["warmup_split"] = self.options.get("warmup_split", joint["e_split"])
        return self._around(JointSettings(**joint))

    def final(self) -> tuple[dict[str, int], Training]:
        """Size and training of the retrained network.

        Raises:
            SettingsError: an unknown name, or a value out of range.
        """
        size, retraining = FINAL[self.family]
        for name, value in self.network.items():
            if name not in size:
                raise SettingsError(unknown("setting of the network", name, size))
            whole(name, value)
        method = self._method()
        safe = {"centre_safe": True} if self.run.centre_safe else {}
        training = Training.from_json({**retraining, **method.training, **safe, **self.training})
        return {**size, **method.network, **self.network}, training


def refuse_for_edges(name: str, method: Method) -> None:
    """Refuse a method that makes no sense for cells whose every edge has one of five operations.

    Raises:
        SettingsError: it is one, with what it would need.
    """
    needs = {
        "cell": "a choice of predecessors", "operations": "other operations", "nodes": "other numbers of nodes",
        "template": "the template of DARTS cells", "relaxation": "another relaxation", "evaluation_cells": "networks of DARTS cells",
        "dynamic": "lists of operations per edge", "combined": "lists of operations per edge",
        "skips": "cells that read two others", "types": "several cell types",
    }  # fmt: skip
    for part in (*method.micro, method.search):
        if part in needs:
            raise SettingsError(f"{name} needs {needs[part]}, which nasbench201 does not have; search darts with it")
    if method.network or method.training:
        raise SettingsError(f"{name} is made for the retraining of DARTS cells; search darts with it")


def whole(name: str, value: object) -> None:
    """Refuse what is no whole number of at least 1.

    Raises:
        SettingsError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingsError(f"{name} must be a whole number of at least 1, not {value!r}")


def _operations(value: Any) -> tuple[str, ...]:
    """A set's name, or names with commas between."""
    text = str(value)
    return OPERATION_SETS[text] if text in OPERATION_SETS else tuple(n.strip() for n in text.split(","))


def _latency_table(path: Any) -> dict[str, float]:
    return load_weights(str(path)).table()
