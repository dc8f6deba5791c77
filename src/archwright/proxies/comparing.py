"""Proxies compared on a table: how well each ranks its architectures, and how alike they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from archwright.arena.problem import Signal, default_signal, read_signal
from archwright.errors import SettingsError, TableError
from archwright.proxies.combining import Hybrid, Learned, combine
from archwright.proxies.correlation import assess, best_first, check
from archwright.proxies.naming import Named, base_name, read_name, seconds_of, values_of
from archwright.tables.scores import TARGET
from archwright.tables.table import Table

Floats = NDArray[np.float64]
DECIMALS = 5
"""Of accuracies: stored ones carry float noise that would break ties."""


DATA_INDEPENDENT = ("synflow", "logsynflow", "zen", "l2_norm")
DATA_DEPENDENT = ("epe_nas", "fisher", "grad_norm", "jacov", "grasp", "nwot", "naswot", "plain", "snip")
"""The two kinds of proxies from which the hybrid's parts are chosen (Poeta 2023, table 5.1)."""


@dataclass(frozen=True)
class Correlations:
    """Proxies compared on one set of architectures.

    Attributes:
        result: all figures as plain data.
        scores: of the set, by proxy.
        worth: of the set, as it is stored.
        target: what the worth is.
    """

    result: dict[str, Any]
    scores: Mapping[str, Floats]
    worth: Floats
    target: Signal


def correlate(
    table: Table,
    dataset: str,
    names: Sequence[str],
    *,
    target: str | None = None,
    sample: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    on_done: Callable[[str], None] | None = None,
) -> Correlations:
    """Compare proxies on the architectures that have all their scores and the target.

    Combinations are normalised over these. Where one is learned, it is fitted on some of them, drawn at random, and all
    proxies are compared on the others.

    Args:
        table, dataset: where scores and worth are.
        names: see :func:`~archwright.proxies.naming.read_name`.
        target: ``METRIC[@EPOCH][#SEED]``; by default the accuracy of published proxy studies (``naslib_accuracy``) where the
            table has it, else the validation (else test) accuracy after the longest training.
        sample: so many of the architectures, drawn at random; all by default.
        seed: of the sample, the fit and the bootstrap.
        resamples: of the bootstrap; 0 for none.
        on_done: called with each proxy's name when it is done.

    Raises:
        SettingsError: a name twice; nothing to correlate, see :func:`~archwright.proxies.correlation.check`.
        TableError: scores or a target that the table lacks; fewer architectures than ``sample``.
    """
    if len(set(names)) < len(names) or not names:
        raise SettingsError(f"name each proxy once; got {', '.join(names) or 'none'}")
    goal = read_target(table, dataset, target)
    worth = target_values(table, dataset, goal)
    wanted = [read_name(table, dataset, name) for name in names]
    stored = {c: values_of(table, dataset, c) for proxy in wanted for c in proxy.columns}
    rows = _drawn(_common(table, stored, worth), table, sample, seed)
    fit, rows = _held_out(rows, max(p.train for p in wanted), seed)
    turned = -worth if goal.direction == "minimize" else worth
    scores, results = {}, []
    for proxy in wanted:
        values, said = _score(proxy, stored, turned, fit, rows)
        found = assess(values, turned[rows], resamples=resamples, seed=seed, name=proxy.name)
        scores[proxy.name] = values
        results.append(
            {
                "proxy": proxy.name,
                **_worth(found.to_json(), goal),
                "failed": _failed(proxy, stored, rows),
                **said,
                "seconds": _seconds(table, dataset, proxy),
            }
        )
        if on_done:
            on_done(proxy.name)
    best = turned[rows].max()
    result = {
        "table": table.name, "dataset": dataset, "n": len(rows), "missing": len(table) - len(_common(table, stored, worth)),
        "target": str(goal), "ceiling": float(worth[rows][turned[rows] == best][0]), "sample": sample, "seed": seed,
        "resamples": resamples, "fitted_on": len(fit),
        "results": results, "selected": dict(zip(("data_independent", "data_dependent"), select(results))),
        "proxy_to_proxy": {"proxies": list(scores), "spearman": _matrix(scores).tolist()},
    }  # fmt: skip
    return Correlations(result, scores, worth[rows], goal)


def select(results: Sequence[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """The best data-independent and the best data-dependent proxy among the results of a comparison.

    By tau at two decimals, then rho, then seconds; as defined, so that a strongly negative proxy is not chosen.
    """

    def merit(row: Mapping[str, Any]) -> tuple[float, float, float]:
        seconds = row["seconds"]
        return round(row["kendall"], 2), row["spearman"], -np.inf if seconds is None else -seconds

    kinds = ([r for r in results if base_name(r["proxy"]) in kind] for kind in (DATA_INDEPENDENT, DATA_DEPENDENT))
    best = [max(rows, key=merit)["proxy"] if rows else None for rows in kinds]
    return best[0], best[1]


def read_target(table: Table, dataset: str, text: str | None = None) -> Signal:
    """What architectures are worth, see :func:`correlate`."""
    if text is not None:
        return read_signal(table, dataset, text)
    return read_signal(table, dataset, TARGET) if TARGET in table.metrics(dataset) else default_signal(table, dataset)


def target_values(table: Table, dataset: str, goal: Signal) -> Floats:
    """The worth of all architectures; accuracies rounded, so that equal ones are ties."""
    if goal.seed == "random":
        raise SettingsError("the target is one number per architecture; name a seed, or mean, not random")
    values = table.column(dataset, goal.metric).at(goal.epoch, goal.seed)  # type: ignore[arg-type]
    return np.round(values, DECIMALS) if "acc" in goal.metric.lower() else values


def _common(table: Table, stored: Mapping[str, Floats], worth: Floats) -> NDArray[np.int64]:
    there = np.isfinite(worth)
    for name, values in stored.items():
        if np.isnan(values).all():
            raise TableError(f"table {table.name} has no values of {name} there")
        there &= ~np.isnan(values)
    if not there.any():
        raise TableError(f"table {table.name}: no architecture has all of {', '.join(stored)}; ask for fewer at once")
    return np.flatnonzero(there)


def _drawn(rows: NDArray[np.int64], table: Table, sample: int | None, seed: int) -> NDArray[np.int64]:
    if sample is None:
        return rows
    if not 3 <= sample <= len(rows):
        raise SettingsError(
            f"a sample of {sample} is not possible; table {table.name} has {len(rows)} such architectures, and three are needed"
        )
    return np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))


def _held_out(rows: NDArray[np.int64], train: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to fit on, and the others."""
    if train + 3 > len(rows):
        raise SettingsError(
            f"learned: of {len(rows)} architectures {train} cannot be fitted on and three or more be left"
        )
    mixed = np.random.default_rng([seed, 1]).permutation(rows)
    return mixed[:train], np.sort(mixed[train:])


def _score(
    proxy: Named, stored: Mapping[str, Floats], worth: Floats, fit: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[Floats, dict[str, Any]]:
    """Scores of a set, and what else there is to say about a combination."""
    parts = {c: stored[c][rows] for c in proxy.columns}
    made = proxy.combination
    if made is None:
        return parts[proxy.columns[0]], {}
    for name, values in parts.items():
        check(values, worth[rows], name)
    if isinstance(made, Learned):
        mine = fit[: proxy.train]
        fitted = made.fit({c: stored[c][mine] for c in proxy.columns}, worth[mine])
        return fitted(parts), {"weights": fitted.weights}
    values = made(parts)
    return values, _condition(made, parts, worth[rows]) if isinstance(made, Hybrid) and made.mode == "thesis" else {}


def _condition(made: Hybrid, parts: Mapping[str, Floats], worth: Floats) -> dict[str, Any]:
    """What the condition of the hybrid does: on how many it fires, and who would be first without it."""
    din, ddn = made.normalised(parts)
    first = best_first(combine(din, ddn, made.alpha, made.beta, "unconditional"))[0]
    return {"condition_fires": int((din > ddn).sum()), "top1_accuracy_unconditional": float(worth[first])}


def _worth(found: dict[str, Any], goal: Signal) -> dict[str, Any]:
    """Figures in units of the target, where larger is not better."""
    if goal.direction == "maximize":
        return found
    turned = {n: -v for n, v in found.items() if n in ("top1_accuracy", "top10_accuracy", "top10_mean")}
    ends = {n: [-v[1], -v[0]] for n, v in found.items() if n in ("top1_accuracy_interval", "top10_accuracy_interval")}
    return {**found, **turned, **ends}


def _failed(proxy: Named, stored: Mapping[str, Floats], rows: NDArray[np.int64]) -> int:
    """Architectures whose score, or a part of it, failed."""
    return int(np.logical_or.reduce([~np.isfinite(stored[c][rows]) for c in proxy.columns]).sum())


def _seconds(table: Table, dataset: str, proxy: Named) -> float | None:
    taken = [seconds_of(table, dataset, column) for column in proxy.columns]
    known = [t for t in taken if t is not None]
    return sum(known) if known and len(known) == len(taken) else None


def _matrix(scores: Mapping[str, Floats]) -> Floats:
    """Spearman's rho between all pairs of proxies."""
    ranks = [rankdata(np.where(np.isfinite(s), s, -np.inf)) for s in scores.values()]
    return np.atleast_2d(np.corrcoef(np.stack(ranks)))
