"""Methods of search inside one network, by name, and what is asked of them.

A method is a declaration: which search, and what differs from ICDARTS's defaults in what is searched and how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from archwright.errors import SettingsError, unknown
from archwright.evaluate.settings import Training
from archwright.hardware.shares import load_weights
from archwright.layers.operations import OPERATION_SETS
from archwright.layers.templates import TEMPLATES
from archwright.supernet.joint import JointSettings
from archwright.supernet.micro import MicroSettings
from archwright.supernet.nasbench201 import EdgeSettings


@dataclass(frozen=True)
class Method:
    """A declaration.

    Attributes:
        summary: one line.
        search: ``cells`` alone; ``random`` cells; ``dynamic``, a tournament of cell searches; ``combined``, one with XDARTS cells and latency;
            ``skips`` or ``types``, cells and then the template.
        micro, settings: what differs from the defaults of :class:`~archwright.supernet.micro.MicroSettings` and
            :class:`~archwright.supernet.joint.JointSettings`.
    """

    summary: str
    search: Literal["cells", "random", "dynamic", "combined", "skips", "types"] = "cells"
    micro: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


_VAL = {"e_split": "val", "warmup_split": "val"}
_E_LEARNS = {"e_distill": True, "s_distill": False}

METHODS: Mapping[str, Method] = {
    "icdarts": Method("ICDARTS, no zero operation, cells of DARTS"),
    "cdarts": Method(
        "CDARTS: both networks learn from the validation half and from each other", settings=_VAL | _E_LEARNS
    ),
    "route_a1": Method(
        "between CDARTS and ICDARTS: distillation to both networks", settings=_VAL | {"e_distill": True}
    ),
    "route_a2": Method("between CDARTS and ICDARTS: ICDARTS with w_E on the validation half", settings=_VAL),
    "route_b1": Method("between CDARTS and ICDARTS: CDARTS with w_E on the training half", settings=_E_LEARNS),
    "route_b2": Method(
        "between CDARTS and ICDARTS: distillation to the architecture alone", settings={"s_distill": False}
    ),
    "darts1": Method(
        "DARTS, first order; the evaluation network is trained beside it for the curve alone",
        settings={
            "distill": 0.0,
            "lr": 0.025,
            "arch_weight_decay": 1e-3,
            "epochs": 50,
            "pretrain_epochs": 0,
            "warmup_epochs": 0,
        },
    ),
    **{
        f"random_v{v}": Method(f"random cells under zero configuration V{v}", "random", {"zeros": f"V{v}"})
        for v in range(5)
    },
    **{
        f"{method}_v{v}": Method(
            f"{method.upper()} under zero configuration V{v}", "cells", {"zeros": f"V{v}"}, settings
        )
        for method, settings in (("icdarts", {}), ("cdarts", _VAL | _E_LEARNS))
        for v in range(5)
    },
    "cell_idarts": Method("ICDARTS with one softmax per node, two edges kept", micro={"cell": "idarts"}),
    "cell_xdarts": Method("ICDARTS with one softmax per node, an edge kept per predecessor", micro={"cell": "xdarts"}),
    **{
        f"xdarts_lat_{delta}": Method(
            f"XDARTS cells, latency penalty {delta}", micro={"cell": "xdarts"}, settings={"penalty": float(delta)}
        )
        for delta in ("0.01", "0.05", "0.1")
    },
    **{
        f"opspace{i}": Method(f"ICDARTS over the {name} operations", micro={"operations": OPERATION_SETS[name]})
        for i, name in enumerate(("basic", "simple", "darts", "mbconv"), start=1)
    },
    **{f"nodes{n}": Method(f"ICDARTS with {n} nodes per cell", micro={"nodes": n}) for n in (3, 5)},
    **{
        name: Method(f"ICDARTS, template ablation {name[4:]}", micro={"template": around})
        for name, around in TEMPLATES.items()
        if name != "base"
    },
    "opspace_dynamic": Method("a tournament of ICDARTS searches over 33 operations", "dynamic"),
    "combined": Method("the tournament with XDARTS cells and a measured latency penalty", "combined"),
    "hier_v1": Method("ICDARTS, then the skips between its cells", "skips"),
    "hier_v2": Method("ICDARTS of four cell types, then the type at every depth", "types"),
}
"""Every method by name."""

RETRAINING: Mapping[str, Any] = {
    "epochs": 600, "batch_size": 128, "optimizer": "sgd", "lr": 0.025, "momentum": 0.9, "nesterov": False,
    "weight_decay": 5e-4, "warmup_epochs": 0.0, "drop_path": 0.3, "auxiliary_weight": 0.4, "gradient_clip": 5.0,
    "crop": 4, "flip": True, "cutout": 16,
}  # fmt: skip
"""Settings of the thesis's retraining on CIFAR-10 (Herron 2023, section 3.4.2)."""

BENCHMARK_TRAINING: Mapping[str, Any] = {
    "epochs": 200, "batch_size": 256, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True,
    "weight_decay": 5e-4, "warmup_epochs": 0.0, "gradient_clip": 0.0, "crop": 4, "flip": True,
}  # fmt: skip
"""Settings of NAS-Bench-201's own trainings (Dong and Yang 2020, table 1)."""

TOURNAMENT = {"tiers": 3, "largest": 8}
"""Options of a tournament beside its games'."""

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
        method: one of :data:`METHODS`.
        options: of the search: fields of ``MicroSettings`` (``EdgeSettings`` for nasbench201) and ``JointSettings``, ``tiers``
            and ``largest``.
        network: ``channels`` and ``cells`` of the retrained network, and for nasbench201 ``stages``.
        training: differences from :data:`RETRAINING` or :data:`BENCHMARK_TRAINING`.
        retrain: whether to retrain.
        seed: of everything random.
        device: where.
        workers: processes for the games of a tournament.
        family: whose cells are searched, ``darts`` or ``nasbench201``.
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
    family: str = "darts"
    sample: int = 0

    def __post_init__(self) -> None:
        if self.family not in FINAL:
            raise SettingsError(unknown("family of search inside one network", self.family, FINAL))
        if self.sample and self.family != "nasbench201":
            raise SettingsError("a sample is judged for nasbench201 alone; leave it out")

    def settings(self) -> tuple[Method, MicroSettings, JointSettings]:
        """The declaration with the options filled in.

        Raises:
            SettingsError: an unknown method or option, or a value out of range.
        """
        method = self._method()
        micro_names = [f.name for f in fields(MicroSettings) if f.name not in ("lists", "template", "types")]
        joint_names = [f.name for f in fields(JointSettings)]
        rules = list(TOURNAMENT) if method.search in ("dynamic", "combined") else []
        self._check_options([*micro_names, *joint_names, *rules])
        read: Mapping[str, Callable[[Any], Any]] = {"operations": _operations, "latency": _latency_table}
        micro = {k: read[k](v) if k in read else v for k, v in self.options.items() if k in micro_names}
        for name in ("nodes", "channels", "search_cells", "evaluation_cells"):
            whole(name, micro.get(name, 3))
        joint = {k: v for k, v in self.options.items() if k in joint_names}
        return method, MicroSettings(**{**method.micro, **micro}), JointSettings(**{**method.settings, **joint})

    def edges(self) -> tuple[Method, EdgeSettings, JointSettings]:
        """The same for a search over NAS-Bench-201's cells.

        Raises:
            SettingsError: as :meth:`settings`, or a method that makes no sense there.
        """
        method = self._method()
        refuse_for_edges(self.method)
        edge_names = [f.name for f in fields(EdgeSettings)]
        joint_names = [f.name for f in fields(JointSettings) if f.name != "penalty"]
        self._check_options([*edge_names, *joint_names])
        edge = {k: v for k, v in self.options.items() if k in edge_names}
        for name in ("channels", "search_cells", "evaluation_cells", "stages"):
            whole(name, edge.get(name, 1))
        joint = {k: v for k, v in self.options.items() if k in joint_names}
        return method, EdgeSettings(**{**method.micro, **edge}), JointSettings(**{**method.settings, **joint})

    def _method(self) -> Method:
        if self.method not in METHODS:
            raise SettingsError(unknown("method", self.method, METHODS))
        if not isinstance(self.workers, int) or self.workers < 0:
            raise SettingsError(f"workers must be a whole number of at least 0, not {self.workers!r}")
        return METHODS[self.method]

    def _check_options(self, known: list[str]) -> None:
        for name in self.options:
            if name not in known:
                raise SettingsError(unknown("option", name, known))

    def final(self) -> tuple[dict[str, int], Training]:
        """Size and training of the retrained network.

        Raises:
            SettingsError: an unknown name, or a value out of range.
        """
        size, training = FINAL[self.family]
        for name, value in self.network.items():
            if name not in size:
                raise SettingsError(unknown("setting of the network", name, size))
            whole(name, value)
        return {**size, **self.network}, Training.from_json({**training, **self.training})


def refuse_for_edges(name: str) -> None:
    """Refuse a method that makes no sense for cells whose every edge has one of five operations.

    Raises:
        SettingsError: it is one, with what it would need.
    """
    method = METHODS[name]
    needs = {
        "cell": "a choice of predecessors", "operations": "other operations", "nodes": "other numbers of nodes",
        "template": "the template of DARTS cells", "dynamic": "lists of operations per edge",
        "combined": "lists of operations per edge", "skips": "cells that read two others", "types": "several cell types",
    }  # fmt: skip
    for part in (*method.micro, method.search):
        if part in needs:
            raise SettingsError(f"{name} needs {needs[part]}, which nasbench201 does not have; search darts with it")


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
