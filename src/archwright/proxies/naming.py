"""What a proxy is called where scores are stored: a column of a table, or a combination such as ``hybrid:alpha=1``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archwright.arena.problem import read_signal
from archwright.errors import SettingsError, TableError, unknown
from archwright.proxies.combining import Hybrid, Learned, LogRanks, Vote, WeightedSum
from archwright.tables.table import Table

Floats = NDArray[np.float64]
SCORES = (
    "params", "flops", "l2_norm", "grad_norm", "plain", "snip", "grasp", "fisher", "synflow", "logsynflow", "jacov", "nwot",
    "naswot", "epe_nas", "zen", "vote", "zico", "meco", "swap", "nregions", "ntk_cond", "nwot_live", "synflow_raw",
    "synflow_normalised", "az_expressivity", "az_progressivity", "az_trainability", "l0", "l1", "l2", "param_variance",
    "l0_var", "l1_var", "l0_l1",
)  # fmt: skip
"""Columns of these names are proxies. They count as they are defined, larger is predicted better, sizes too."""
PREFIXES = ("suite_", "naslib_", "freerea_", "computed_")
ALIASES = (("nwot", "naswot"), ("jacov", "jacob_cov"), ("grad_norm", "grad"))
SECONDS = "_seconds"


class Combination(Protocol):
    """Scores of a set from those of its parts."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The proxies it needs."""

    def __call__(self, scores: Mapping[str, Floats]) -> Floats:
        """The scores of a set."""


@dataclass(frozen=True)
class Named:
    """A proxy by its name.

    Attributes:
        name: as it was asked for.
        columns: ``METRIC[@EPOCH][#SEED]`` of the stored scores it needs.
        combination: of those, or ``None`` for a stored score.
        train: architectures that a learned combination is fitted on.
    """

    name: str
    columns: tuple[str, ...]
    combination: Combination | None = None
    train: int = 0


def split_names(words: Iterable[str]) -> list[str]:
    """``["a,hybrid:di=b,alpha=1,c"]`` as ``["a", "hybrid:di=b,alpha=1", "c"]``: what has ``=`` belongs to the name before."""
    names: list[str] = []
    for word in (w.strip() for text in words for w in text.split(",")):
        if "=" in word and ":" not in word and names and ":" in names[-1]:
            names[-1] += f",{word}"
        elif word:
            names.append(word)
    return names


def read_name(table: Table, dataset: str, text: str) -> Named:
    """A stored score, ``hybrid[:OPTIONS]``, ``sum:PROXY=WEIGHT,...``, ``vote[:proxies=A+B+C]`` or
    ``learned:proxies=A+B[,OPTIONS]``.

    Raises:
        SettingsError: options that are unknown or make no sense.
        TableError: a score that the table does not hold, with those it does.
    """
    kind, colon, rest = text.partition(":")
    if kind not in COMBINATIONS:
        return Named(text, (stored(table, dataset, text),))
    options = _options(kind, rest if colon else "")
    return COMBINATIONS[kind](text, options, lambda name: stored(table, dataset, name))


def stored(table: Table, dataset: str, text: str) -> str:
    """The column of a score, under its own name or another that is in use (nwot, naswot).

    Raises:
        TableError: there is none, with the scores that are there.
    """
    name, at = text, ""
    for sign in "@#":
        if sign in name:
            name, at = name[: name.index(sign)], name[name.index(sign) :] + at
    there = table.metrics(dataset)
    for group in ALIASES:
        if name in group and name not in there:
            name = next((other for other in group if other in there), name)
    if name not in there:
        scores = [m for m in there if base_name(m) in SCORES]
        near = [m for m in scores if base_name(m) == name]
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(scores) or 'none'}"
        raise TableError(
            f"table {table.name} has no scores {text!r} on {dataset or 'any data set'}; {hint} "
            f"(combinations: {', '.join(COMBINATIONS)}; any other column can be named too)"
        )
    read_signal(table, dataset, name + at)
    return name + at


def base_name(metric: str) -> str:
    """``suite_snip`` is a ``snip``."""
    for prefix in PREFIXES:
        metric = metric.removeprefix(prefix)
    return metric


def default_names(table: Table, dataset: str) -> list[str]:
    """The scores that all architectures have and that rank them, and the hybrid proxy where its parts are among them.

    Raises:
        TableError: there are none.
    """
    names = [m for m in table.metrics(dataset) if m in SCORES and _ranks_all(table.column(dataset, m).at())]
    if "logsynflow" in names and {"naswot", "nwot"} & set(names):
        names.append("hybrid")
    if not names:
        others = [m for m in table.metrics(dataset) if base_name(m) in SCORES]
        raise TableError(
            f"table {table.name} has no scores of all architectures on {dataset or 'any data set'}; "
            f"name some with --proxies: {', '.join(others or table.metrics(dataset))}"
        )
    return names


def _ranks_all(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return not np.isnan(values).any() and len(known) > 0 and (len(known) < len(values) or bool(np.ptp(known) > 0))


def values_of(table: Table, dataset: str, column: str) -> Floats:
    """The stored scores of all architectures, larger is predicted better; NaN where there is none.

    What is no proxy and should be small, such as a loss after few epochs, is turned round.
    """
    signal = read_signal(table, dataset, column)
    values = table.column(dataset, signal.metric).at(signal.epoch, signal.seed)  # type: ignore[arg-type]
    turned = signal.direction == "minimize" and base_name(signal.metric) not in SCORES
    return -values if turned else values


def seconds_of(table: Table, dataset: str, column: str) -> float | None:
    """Mean seconds that a stored score took, if that is on record."""
    name = f"{column}{SECONDS}"
    if name not in table.metrics(dataset):
        return None
    return float(np.nanmean(table.column(dataset, name).at()))


def _options(kind: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in (w for w in text.split(",") if w):
        name, equals, value = word.partition("=")
        if not equals or not name or name in found:
            raise SettingsError(f"{kind}: options are NAME=VALUE, each once, with commas between, not {word!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = {"True": True, "False": False}.get(value, value)
    return found


def _known(kind: str, options: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in options:
        if name not in (known := tuple(names)):
            raise SettingsError(f"{kind}: " + unknown("option", name, known))


def _hybrid(text: str, options: Mapping[str, Any], find: Callable[[str], str]) -> Named:
    _known("hybrid", options, [f.name for f in fields(Hybrid)])
    made = Hybrid(**options)
    made = Hybrid(**{**options, "di": find(str(made.di)), "dd": find(str(made.dd))})
    return Named(text, made.parts, made)


def _sum(text: str, options: Mapping[str, Any], find: Callable[[str], str]) -> Named:
    said = {n: options[n] for n in ("normaliser", "failures") if n in options}
    weights: dict[str, Any] = {find(n): w for n, w in options.items() if n not in said}
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            raise SettingsError(f"sum: the weight of {name} must be a number, not {weight!r}")
    made = WeightedSum(weights, **said)
    return Named(text, made.parts, made)


def _vote(text: str, options: Mapping[str, Any], find: Callable[[str], str]) -> Named:
    _known("vote", options, ("proxies",))
    wanted = str(options["proxies"]).split("+") if "proxies" in options else Vote().proxies
    made = Vote(tuple(find(n) for n in wanted if n))
    return Named(text, made.parts, made)


def _log_ranks(text: str, options: Mapping[str, Any], find: Callable[[str], str]) -> Named:
    _known("az_nas", options, ("proxies",))
    wanted = str(options["proxies"]).split("+") if "proxies" in options else LogRanks().proxies
    made = LogRanks(tuple(find(n) for n in wanted if n))
    return Named(text, made.parts, made)


def _learned(text: str, options: Mapping[str, Any], find: Callable[[str], str]) -> Named:
    _known("learned", options, ("proxies", "train", "monotone", "penalty"))
    parts = tuple(find(n) for n in str(options.get("proxies", "")).split("+") if n)
    train = options.get("train", 100)
    if isinstance(train, bool) or not isinstance(train, int) or train < 1:
        raise SettingsError(f"learned: train is a number of architectures, not {train!r}")
    made = Learned(parts, **{n: v for n, v in options.items() if n in ("monotone", "penalty")})
    return Named(text, made.parts, made, train)


COMBINATIONS: Mapping[str, Callable[[str, Mapping[str, Any], Callable[[str], str]], Named]] = {
    "hybrid": _hybrid,
    "sum": _sum,
    "vote": _vote,
    "az_nas": _log_ranks,
    "learned": _learned,
}
