"""Methods of search inside one network: declarations, by name.

A method is which search, and what differs from ICDARTS's defaults in what is searched and how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archwright.layers.operations import OPERATION_SETS
from archwright.layers.templates import TEMPLATES
from archwright.supernet.steps import darts


@dataclass(frozen=True)
class Method:
    """A declaration.

    Attributes:
        summary: one line.
        search: ``cells`` alone; ``random`` cells; ``dynamic``, a tournament of cell searches; ``combined``, one with XDARTS cells and latency;
            ``skips`` or ``types``, cells and then the template.
        micro, settings: what differs from the defaults of :class:`~archwright.supernet.micro.MicroSettings` and
            :class:`~archwright.supernet.settings.JointSettings` (with :data:`~archwright.supernet.methods.SEARCH`), such as the
            ``relaxation`` and the ``steps``.
        options: what differs from those of :class:`~archwright.supernet.options.RunOptions`.
        network, training: what differs from :data:`~archwright.supernet.methods.NETWORK` and
            :data:`~archwright.supernet.methods.RETRAINING`.
    """

    summary: str
    search: Literal["cells", "random", "dynamic", "combined", "skips", "types"] = "cells"
    micro: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, int] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


_VAL = {"e_split": "val", "warmup_split": "val"}
_E_LEARNS = {"e_distill": True, "s_distill": False}

_METHODS: Mapping[str, Method] = {
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
    **{
        name: Method(
            f"DARTS, {order} order; the evaluation network is trained beside it for the curve alone",
            settings={
                "steps": darts(unrolled=order == "second"),
                "lr": 0.025,
                "arch_weight_decay": 1e-3,
                "epochs": 50,
                "pretrain_epochs": 0,
                "warmup_epochs": 0,
            },
        )
        for name, order in (("darts1", "first"), ("darts2", "second"))
    },
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
    "nodes5_750": Method(
        "ICDARTS with 5 nodes per cell, 750 epochs of retraining", micro={"nodes": 5}, training={"epochs": 750}
    ),
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

STUDIES: Mapping[str, Method] = {
    "sglfc": Method(
        "strong lenses",
        micro={"evaluation_cells": 14},
        settings={
            "pretrain_epochs": 10, "warmup_epochs": 3, "lr": 0.8, "weight_decay": 1e-5, "arch_weight_decay": 1e-5, "crop": 0,
            "vertical_flip": True,
        },
        options={"lr_batch": 1024},
        network={"cells": 14},
        training={
            "epochs": 250, "lr": 0.25, "weight_decay": 3e-5, "drop_path": 0.0, "crop": 0, "cutout": 0, "vertical_flip": True,
        },
    ),
    "em": Method("electron microscopy", settings={"lr": 0.2}, training={"lr": 6.25e-3}),
}  # fmt: skip
"""What the case studies of chapter 5 change in every method that they compare."""


def _in_study(method: Method, study: Method) -> Method:
    """A method with the settings of a case study."""
    return Method(
        f"{method.summary}; settings for {study.summary}",
        method.search,
        {**method.micro, **study.micro},
        {**method.settings, **study.settings},
        {**method.options, **study.options},
        {**method.network, **study.network},
        {**method.training, **study.training},
    )


_COMPARED = {
    "cdarts": _METHODS["cdarts"],
    "icdarts": _METHODS["icdarts"],
    "op2": _METHODS["opspace2"],
    "xdarts005": _METHODS["xdarts_lat_0.05"],
    "dynamic": _METHODS["opspace_dynamic"],
}

ALIASES: Mapping[str, str] = {
    "route_icdarts": "icdarts",
    "nodes4": "icdarts",
    "cell_darts": "icdarts",
    "route_cdarts": "cdarts",
    "xdarts_lat_0": "cell_xdarts",
}
"""Further names of methods, under which published tables have their results too."""

METHODS: Mapping[str, Method] = {
    **_METHODS,
    **{
        f"{name}_{short}": _in_study(method, study)
        for name, study in STUDIES.items()
        for short, method in _COMPARED.items()
    },
    **{alias: _METHODS[name] for alias, name in ALIASES.items()},
}
"""Every method by name."""
