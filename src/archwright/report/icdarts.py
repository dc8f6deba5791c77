"""Published results of ICDARTS (Herron 2023, chapters 3 to 6); accuracies in percent, latencies in seconds per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """Mean and standard deviation (n - 1) over runs."""

    mean: float
    std: float


Results = Mapping[str, Mapping[str, Figure]]
"""Per method its figures ``accuracy``, ``latency``, ``f_beta``; of hierarchical methods also ``initial_accuracy``, ``initial_latency``."""

SAME: Mapping[str, str] = {
    **dict.fromkeys(("icdarts_v1", "route_icdarts", "opspace3", "nodes4", "cell_darts"), "icdarts"),
    **dict.fromkeys(("cdarts_v1", "route_cdarts"), "cdarts"),
    "xdarts_lat_0": "cell_xdarts",
    "random_v4": "random_v3",
}
"""Methods that are one configuration."""


def _rows(metrics: Sequence[str], text: str) -> dict[str, dict[str, Figure]]:
    found = {}
    for line in text.strip().splitlines():
        name, *numbers = line.split()
        pairs = zip(numbers[::2], numbers[1::2])
        found[name] = {metric: Figure(float(mean), float(std)) for metric, (mean, std) in zip(metrics, pairs)}
    return found


PUBLISHED: Mapping[str, Results] = {
    "cifar10": {
        **_rows(("accuracy",), """
            random_v0 96.78 0.39
            cdarts_v0 97.17 0.21
            icdarts_v0 96.99 0.16
            random_v1 96.57 0.32
            random_v2 96.52 0.37
            cdarts_v2 96.97 0.27
            icdarts_v2 96.92 0.15
            random_v3 96.58 0.31
            cdarts_v3 96.96 0.28
            icdarts_v3 96.93 0.14
            cdarts_v4 23.68 29.71
            icdarts_v4 90.00 12.72
        """),
        **_rows(("accuracy", "latency"), """
            icdarts 97.13 0.14 0.10 0.01
            abl_pooling 97.19 0.23 0.09 0.02
            abl_identity 96.96 0.35 0.11 0.02
            abl_dilated 97.02 0.26 0.10 0.01
            abl_separable 96.15 0.27 0.07 0.00
            abl_aux 96.86 0.14 0.11 0.00
            abl_stem_identity 80.01 2.18 0.09 0.02
            abl_stem_conv 96.81 0.38 0.11 0.03
            abl_stem_concat 92.40 0.33 0.16 0.00
            abl_reduce_avg 96.94 0.19 0.12 0.07
            abl_reduce_max 96.87 0.06 0.10 0.03
            abl_reduce_conv 96.77 0.12 0.09 0.01
            cdarts 96.94 0.30 0.09 0.01
            route_a1 96.35 0.48 0.08 0.00
            route_b1 96.99 0.22 0.09 0.01
            route_a2 96.69 0.22 0.08 0.00
            route_b2 97.05 0.18 0.11 0.00
            opspace1 95.08 0.39 0.11 0.02
            opspace2 97.29 0.29 0.10 0.02
            opspace4 96.55 0.21 0.21 0.01
            opspace_dynamic 97.25 0.06 0.10 0.01
            nodes3 96.91 0.26 0.09 0.01
            nodes5 97.05 0.24 0.11 0.02
            nodes5_750 97.12 0.27 0.11 0.02
            cell_idarts 96.87 0.27 0.10 0.01
            cell_xdarts 97.21 0.09 0.17 0.01
            xdarts_lat_0.01 97.26 0.10 0.17 0.01
            xdarts_lat_0.05 97.27 0.18 0.14 0.01
            xdarts_lat_0.1 97.26 0.18 0.13 0.01
        """),
        **_rows(("initial_accuracy", "initial_latency", "accuracy", "latency"), """
            hier_v1 96.81 0.20 0.11 0.01 96.60 0.24 0.12 0.00
            hier_v2 95.85 0.30 0.13 0.01 95.92 0.32 0.13 0.01
        """),
    },
    "cifar100": _rows(("accuracy",), """
        random_v0 81.11 1.39
        cdarts_v0 83.66 0.29
        icdarts_v0 83.10 0.65
        random_v1 80.54 1.05
        cdarts 83.13 0.71
        icdarts 83.33 0.19
        random_v2 80.63 1.26
        cdarts_v2 83.19 0.68
        icdarts_v2 83.19 0.21
        random_v3 80.84 1.13
        cdarts_v3 83.05 0.72
        icdarts_v3 83.15 0.36
        cdarts_v4 10.98 25.91
        icdarts_v4 63.13 28.35
    """),
    "sglfc": _rows(("f_beta", "auc", "accuracy", "latency"), """
        sglfc_cdarts 0.79 0.06 0.73 0.03 70.54 3.13 1.40 0.05
        sglfc_icdarts 0.83 0.06 0.72 0.02 69.48 2.14 1.46 0.00
        sglfc_op2 0.83 0.05 0.75 0.02 71.48 1.38 1.47 0.02
        sglfc_xdarts005 0.85 0.06 0.75 0.02 70.33 1.70 1.45 0.13
        sglfc_dynamic 0.88 0.07 0.72 0.04 68.11 2.15 1.93 0.15
    """),
    "em": _rows(("accuracy", "latency"), """
        em_cdarts 96.80 0.58 0.09 0.01
        em_icdarts 97.01 0.05 0.09 0.02
        em_op2 96.93 0.09 0.10 0.02
        em_xdarts005 96.98 0.21 0.08 0.01
        em_dynamic 97.03 0.09 0.12 0.01
    """),
}  # fmt: skip
"""Per data set (CIFAR-100: cells searched on CIFAR-10) what is printed in tables 3.2 to 5.2 and 6.1, 6.2."""
