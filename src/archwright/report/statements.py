"""What a reproduction of ICDARTS at full scale must show (Herron 2023, chapters 3 to 6).

Only orders that are firm in the published tables are statements: absolute latencies depend on the machine, and differences within
noise are left to the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archwright.errors import SettingsError, unknown
from archwright.report.icdarts import SAME, Figure, Results
from archwright.report.runs import Runs, numbers, summary


class _AbsentError(Exception):
    """A figure that the results do not have; its words are the method's name."""


@dataclass(frozen=True)
class Look:
    """Figures of results, by method and metric."""

    results: Results

    def figure(self, method: str, metric: str = "accuracy") -> Figure:
        """Of a method, under any of its names."""
        names = [method, *(other for other, name in SAME.items() if name == method)]
        for name in names:
            if metric in self.results.get(name, {}):
                return self.results[name][metric]
        raise _AbsentError(method)

    def mean(self, method: str, metric: str = "accuracy") -> float:
        """Of a method."""
        return self.figure(method, metric).mean

    def std(self, method: str) -> float:
        """Of a method's accuracy."""
        return self.figure(method).std

    def gain(self, method: str, over: str) -> float:
        """Difference of two accuracies."""
        return self.mean(method) - self.mean(over)

    def slower(self, method: str, than: str) -> float:
        """Ratio of two latencies."""
        return self.mean(method, "latency") / self.mean(than, "latency")


@dataclass(frozen=True)
class Statement:
    """What must hold.

    Attributes:
        text: in words.
        holds: of results.
    """

    text: str
    holds: Callable[[Look], bool]


_BEST = ("opspace2", "opspace_dynamic", "icdarts")
_OPERATIONS = ("abl_pooling", "abl_identity", "abl_dilated")
_ROUTES = ("cdarts", "route_a1", "route_a2", "route_b1", "route_b2", "icdarts")
_ONE_TO_THREE = (("icdarts", "cdarts"), ("icdarts_v2", "cdarts_v2"), ("icdarts_v3", "cdarts_v3"))
_SEARCHED = (
    ("icdarts_v0", "random_v0"),
    ("icdarts", "random_v1"),
    ("icdarts_v2", "random_v2"),
    ("icdarts_v3", "random_v3"),
)
_HIERARCHICAL = ("hier_v1", "hier_v2")

STATEMENTS: Mapping[str, Sequence[Statement]] = {
    "cifar10": (
        Statement(
            "ICDARTS has 97.1 +- 0.2 %, with a deviation of at most 0.2",
            lambda r: abs(r.mean("icdarts") - 97.1) <= 0.2 and r.std("icdarts") <= 0.2,
        ),
        Statement("ICDARTS spreads less than CDARTS", lambda r: r.std("icdarts") < r.std("cdarts")),
        Statement(
            "random cells have 96.5 to 96.8 %, at least 0.3 below ICDARTS",
            lambda r: 96.5 <= r.mean("random_v1") <= 96.8 and r.gain("icdarts", "random_v1") >= 0.3,
        ),
        Statement(
            "spaces 2, 3 and dynamic are at least 0.3 above space 4 and 1.5 above space 1",
            lambda r: all(r.gain(m, "opspace4") >= 0.3 and r.gain(m, "opspace1") >= 1.5 for m in _BEST),
        ),
        Statement(
            "spaces 2, 3 and dynamic are within 0.35 of one another",
            lambda r: max(map(r.mean, _BEST)) - min(map(r.mean, _BEST)) <= 0.35,
        ),
        Statement(
            "XDARTS cells are at least 0.1 above I-DARTS cells", lambda r: r.gain("cell_xdarts", "cell_idarts") >= 0.1
        ),
        Statement(
            "XDARTS cells take 1.4 to 1.8 times as long as DARTS cells",
            lambda r: 1.4 <= r.slower("cell_xdarts", "icdarts") <= 1.8,
        ),
        Statement(
            "under V4 CDARTS collapses below 50 %; ICDARTS is better, and spreads by more than 5",
            lambda r: r.mean("cdarts_v4") < 50 and r.gain("icdarts_v4", "cdarts_v4") > 0 and r.std("icdarts_v4") > 5,
        ),
        Statement(
            "without separable convolutions at least 0.6 are lost", lambda r: r.gain("icdarts", "abl_separable") >= 0.6
        ),
        Statement(
            "without separable convolutions networks are the fastest of those that lack an operation",
            lambda r: all(r.slower("abl_separable", m) < 1 for m in _OPERATIONS),
        ),
        Statement(
            "without a stem less than 90 % are reached, with copies of the image less than 94 %",
            lambda r: r.mean("abl_stem_identity") < 90 and r.mean("abl_stem_concat") < 94,
        ),
        Statement(
            "max pooling and convolution in place of reduction cells lose at least 0.1",
            lambda r: min(r.gain("icdarts", "abl_reduce_max"), r.gain("icdarts", "abl_reduce_conv")) >= 0.1,
        ),
        Statement(
            "routes A1 and A2 are at least 0.3 below ICDARTS",
            lambda r: min(r.gain("icdarts", "route_a1"), r.gain("icdarts", "route_a2")) >= 0.3,
        ),
        Statement("route A1 spreads the most of all routes", lambda r: r.std("route_a1") == max(map(r.std, _ROUTES))),
        Statement(
            "a latency penalty of 0.05 takes at most 0.9, of 0.1 at most 0.85 of the time without",
            lambda r: (
                r.slower("xdarts_lat_0.05", "cell_xdarts") <= 0.9 and r.slower("xdarts_lat_0.1", "cell_xdarts") <= 0.85
            ),
        ),
        Statement(
            "a latency penalty of 0.05 or 0.1 stays within 0.2 of the accuracy without",
            lambda r: all(abs(r.gain(m, "cell_xdarts")) <= 0.2 for m in ("xdarts_lat_0.05", "xdarts_lat_0.1")),
        ),
        Statement(
            "3 nodes are not better than 4; 5 not by more than 0.1, even with 750 epochs",
            lambda r: (
                r.gain("nodes3", "icdarts") <= 0
                and max(r.gain("nodes5", "icdarts"), r.gain("nodes5_750", "icdarts")) <= 0.1
            ),
        ),
        Statement(
            "searching the template gains no more than 0.3",
            lambda r: all(r.mean(m) - r.mean(m, "initial_accuracy") <= 0.3 for m in _HIERARCHICAL),
        ),
        Statement(
            "searching the template changes the latency by no more than 15 %",
            lambda r: all(abs(r.mean(m, "latency") / r.mean(m, "initial_latency") - 1) <= 0.15 for m in _HIERARCHICAL),
        ),
    ),
    "cifar100": (
        Statement(
            "searched cells are at least 1.5 above random ones under V0 to V3",
            lambda r: all(r.gain(m, chance) >= 1.5 for m, chance in _SEARCHED),
        ),
        Statement(
            "ICDARTS spreads at most 0.6 times as much as CDARTS under V1 to V3",
            lambda r: all(r.std(m) <= 0.6 * r.std(c) for m, c in _ONE_TO_THREE),
        ),
    ),
    "sglfc": (
        Statement(
            "every form of ICDARTS has a higher F_beta than CDARTS",
            lambda r: all(
                r.mean(f"sglfc_{m}", "f_beta") > r.mean("sglfc_cdarts", "f_beta")
                for m in ("icdarts", "op2", "xdarts005", "dynamic")
            ),
        ),
    ),
    "em": (
        Statement(
            "ICDARTS spreads at most a fifth as much as CDARTS", lambda r: r.std("em_icdarts") <= r.std("em_cdarts") / 5
        ),
        Statement("ICDARTS has 97.0 +- 0.2 %", lambda r: abs(r.mean("em_icdarts") - 97.0) <= 0.2),
    ),
}
"""Per data set what 8 runs of each method (6 where a table has a star) must show."""


def check(study: str, results: Results) -> list[dict[str, Any]]:
    """Every statement on a data set: ``text``, ``holds`` (``None`` where a method is missing) and ``missing``, its name.

    Raises:
        SettingsError: an unknown data set.
    """
    if study not in STATEMENTS:
        raise SettingsError(unknown("set of published results", study, STATEMENTS))
    look, found = Look(results), []
    for statement in STATEMENTS[study]:
        holds: bool | None = None
        missing = ""
        try:
            holds = statement.holds(look)
        except _AbsentError as absent:
            missing = str(absent)
        found.append({"text": statement.text, "holds": holds, "missing": missing})
    return found


METRICS: Mapping[str, tuple[str, float]] = {
    "accuracy": ("retrain.test_accuracy", 100.0),
    "latency": ("retrain.seconds_per_batch", 1.0),
    "auc": ("retrain.test_auc", 1.0),
    "f_beta": ("retrain.test_f_beta", 1.0),
    "initial_accuracy": ("initial.test_accuracy", 100.0),
    "initial_latency": ("initial.seconds_per_batch", 1.0),
}
"""What results of runs call the published figures, and the factor to their unit."""


def figures(groups: Sequence[Runs]) -> dict[str, dict[str, Figure]]:
    """The figures of groups of runs, named after their methods; a single run has no deviation, and is left out."""
    found: dict[str, dict[str, Figure]] = {}
    for group in groups:
        values = [dict(numbers(result)) for result in group.results]
        found[group.name] = {}
        for metric, (name, factor) in METRICS.items():
            known = [run[name] for run in values if name in run]
            if len(known) > 1:
                mean, std = (summary(known)[k] or 0.0 for k in ("mean", "std"))
                found[group.name][metric] = Figure(factor * mean, factor * std)
    return found
