"""The published tables of Bayesian optimisation with pretrained ensembles (Ouertatani 2024, chapter 5), run again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.arena.ensemble_runs import Found, Job, Method, do_all, pretraining_path
from archwright.errors import SettingsError, unknown
from archwright.searchers import searcher_options
from archwright.tables.known import find_table

RUNS = 20
CAP = 1000
"""Equivalents after which a run that has not found the optimum ends."""
EVERYTHING = 15_625
METRICS = ("params", "flops", "2080ti_1_help_latency_ms")
SETS = ("cifar10", "cifar100", "imagenet16-120")
OWN = "ensemble-bo-thesis"

LATENCY = (
    "latency is that of an RTX 2080 Ti at batch 1 (HELP) in place of the benchmark's, which is not in the table; epochs per update, "
    "optimiser, ties and proposing head are readings of ours"
)
BASELINE = "this project's searcher; the thesis's ran in naszilla with settings it does not state, recorded every 10 evaluations"
NOT_PRINTED = "no number is printed; the text says 2.5 times faster with pretraining, 1.6 times with two fidelities"
FIGURE = "in a figure only: simultaneous is faster at every number of epochs"
PUBLISHED_METRICS = "which metrics is not stated; ours is the mean over all subsets of that size"

FULL = Method(OWN, OWN, metrics=METRICS)
NO_PRETRAINING = Method("no pretraining", OWN)
ONE_FIDELITY = Method("one fidelity", OWN, metrics=METRICS, epochs=500, low=False)
NEITHER = Method("no pretraining, one fidelity", OWN, low=False)
BASELINES = {
    "random": Method("random", "random"),
    "evolution": Method("rea:population=30,sample=10", "rea", (("population", 30), ("sample", 10))),
    "bananas": Method("bananas", "bananas"),
    "local": Method("ls", "ls"),
}


@dataclass(frozen=True)
class Line:
    """One figure of a table.

    Attributes:
        dataset: of NAS-Bench-201.
        label: what is shown.
        methods: whose runs are pooled.
        measure: ``to_optimum`` (equivalents, booked at the end of a cycle or batch), ``best@N``, or ``spearman@METRIC`` of the
            pretrained ensemble over all architectures.
        published: mean, standard deviation, least, largest, as far as printed.
        budget: of a run.
        differs: in what ours differs.
    """

    dataset: str
    label: str
    methods: tuple[Method, ...]
    measure: str
    published: Mapping[str, float]
    budget: int
    differs: str


def _time(dataset: str, method: Method, low: float, high: float, mean: float, std: float) -> Line:
    known = {"mean": mean, "std": std, "min": low, "max": high}
    own = method.searcher == OWN
    budget = EVERYTHING if method.searcher == "random" else CAP
    return Line(dataset, method.label, (method,), "to_optimum", known, budget, LATENCY if own else BASELINE)


def _best(method: Method, at: int, *means: float) -> list[Line]:
    note = LATENCY if method.searcher == OWN else BASELINE
    return [
        Line(dataset, method.label, (method,), f"best@{at}", {"mean": mean}, 200, note)
        for dataset, mean in zip(SETS, means)
    ]


def _subsets(size: int, mean: float) -> Line:
    methods = tuple(replace(FULL, label="+".join(names), metrics=names) for names in combinations(METRICS, size))
    return Line(
        "cifar10", f"{size} metric{'s'[: size - 1]}", methods, "to_optimum", {"mean": mean}, CAP, PUBLISHED_METRICS
    )


def _pretrained(pretraining: str, epochs: int) -> Line:
    label = f"{pretraining}, {epochs} epochs"
    method = replace(FULL, label=label, pretraining=pretraining, epochs=epochs)
    return Line("cifar10", label, (method,), "to_optimum", {}, CAP, FIGURE)


LINES: Mapping[str, tuple[str, tuple[Line, ...]]] = {
    "ensemble-search-time": (
        "Ouertatani 2024, table 5.3: equivalent full evaluations to the optimum",
        (
            _time("cifar10", BASELINES["random"], 280, 13690, 7717.0, 4498.8),
            _time("cifar10", BASELINES["evolution"], 20, 1000, 250.0, 247.41),
            _time("cifar10", BASELINES["bananas"], 20, 470, 128.5, 118.59),
            _time("cifar10", BASELINES["local"], 30, 190, 99.0, 56.82),
            _time("cifar10", FULL, 36, 132, 78.9, 25.45),
            _time("cifar100", BASELINES["random"], 520, 14690, 7141.5, 4137.08),
            _time("cifar100", BASELINES["evolution"], 40, 650, 247.5, 154.2),
            _time("cifar100", BASELINES["bananas"], 40, 310, 101.0, 54.49),
            _time("cifar100", BASELINES["local"], 20, 490, 118.5, 96.4),
            _time("cifar100", FULL, 18, 96, 53.7, 24.03),
        ),
    ),
    "ensemble-best-value": (
        "Ouertatani 2024, table 5.4: best accuracy after 100 and 200 equivalent full evaluations",
        (
            *_best(BASELINES["random"], 100, 93.70, 70.94, 45.44),
            *_best(BASELINES["local"], 100, 94.26, 73.15, 46.09),
            *_best(BASELINES["evolution"], 100, 94.20, 72.70, 46.03),
            *_best(BASELINES["bananas"], 100, 94.15, 73.28, 46.46),
            *_best(FULL, 100, 94.36, 73.51, 47.19),
            *_best(BASELINES["random"], 200, 93.86, 71.78, 45.70),
            *_best(BASELINES["local"], 200, 94.37, 73.48, 46.21),
            *_best(BASELINES["evolution"], 200, 94.24, 73.07, 46.30),
            *_best(BASELINES["bananas"], 200, 94.20, 73.43, 46.51),
            *_best(FULL, 200, 94.37, 73.51, 47.31),
        ),
    ),
    "ensemble-ablations": (
        "Ouertatani 2024, table 5.2 and figures 5.7 and 5.11: equivalent full evaluations to the optimum, CIFAR-10",
        (
            Line("cifar10", "full method: 3 metrics", (FULL,), "to_optimum", {"mean": 78.9, "std": 25.45}, CAP, LATENCY),
            _subsets(2, 96.0),
            _subsets(1, 113.4),
            *(
                Line("cifar10", method.label, (method,), "to_optimum", {}, CAP, NOT_PRINTED)
                for method in (ONE_FIDELITY, NO_PRETRAINING, NEITHER)
            ),
            *(_pretrained(how, n) for n in (100, 300, 500) for how in ("simultaneous", "sequential")),
            *(Line("cifar10", "pretrained ensemble", (FULL,), f"spearman@{name}", {}, CAP, "") for name in METRICS),
        ),
    ),
}  # fmt: skip


def reproduce_ensemble(
    name: str,
    *,
    data_dir: str | Path | None = None,
    runs: int | None = None,
    seed: int = 0,
    workers: int = 1,
    options: Mapping[str, Any] | None = None,
    budget: int | None = None,
    only: Sequence[str] = (),
    pretrainings: int | None = None,
    out: str | Path | None = None,
    on_done: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Run a published table on NAS-Bench-201 (test accuracy, 12 and 200 epochs); ours beside the published figures.

    Each seed has its own pretraining, which serves all data sets; with ``pretrainings`` some serve all seeds.

    Args:
        name: one of :data:`LINES`.
        data_dir: where tables are, see :func:`~archwright.tables.find_table`.
        runs: 20 by default, as published.
        seed: of the first run.
        workers: processes.
        options: of ``ensemble-bo-thesis``, in place of the published ones; rows say so.
        budget: equivalents of a run that does not find the optimum, at most, if that is less than the table's own.
        only: texts, one of which the label of a line must contain.
        pretrainings: how many different ones: the search of seed ``s`` takes that of seed ``s`` modulo this; rows say so.
        out: folder that keeps pretrained ensembles and finished runs; the same call goes on from there.
        on_done: called with a label and the numbers of jobs done and of all.

    Raises:
        SettingsError: an unknown name or option, or a number below 1.
        TableError: the table is not at hand.
    """
    if name not in LINES:
        raise SettingsError(unknown("publication", name, LINES))
    runs = RUNS if runs is None else runs
    numbers = {"runs": runs, "workers": workers, "budget": budget, "pretrainings": pretrainings}
    for what, value in numbers.items():
        if value is not None and value < 1:
            raise SettingsError(f"{what} must be at least 1, not {value}")
    changed = _checked(options or {})
    source, lines = LINES[name]
    lines = tuple(line for line in lines if not only or any(text in line.label for text in only))
    if not lines:
        raise SettingsError(unknown("line", only[0], dict.fromkeys(line.label for line in LINES[name][1])))
    most = EVERYTHING if budget is None else budget
    lines = tuple(
        replace(line, methods=tuple(m.changed(changed) for m in line.methods), budget=min(line.budget, most))
        for line in lines
    )
    jobs = [_jobs(line, range(seed, seed + runs), pretrainings) for line in lines]
    table = find_table("nasbench201", data_dir)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch if out is None else out)
        found = do_all(table, list(dict.fromkeys(chain(*jobs))), folder, workers, on_done)
        rows = [_row(line, mine, found, folder, changed) for line, mine in zip(lines, jobs)]
    return {"name": name, "source": source, "rows": rows}


def _checked(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Options that may be changed, in order.

    Raises:
        SettingsError: unknown, or what a line of the table decides.
    """
    known = [n for n in searcher_options(OWN) if n not in ("surrogate", "pretraining")]
    for name in options:
        if name not in known:
            raise SettingsError(f"searcher {OWN!r}: " + unknown("option", name, known))
    return tuple(sorted(options.items()))


def _jobs(line: Line, seeds: Sequence[int], pretrainings: int | None) -> list[Job]:
    """The searches of a line."""

    def taken(method: Method, seed: int) -> int | None:
        if pretrainings is None or seed < pretrainings or not method.metrics:
            return None
        return seed % pretrainings

    return [Job(line.dataset, m, line.budget, s, taken(m, s)) for m in line.methods for s in seeds]


def _row(
    line: Line, jobs: Sequence[Job], found: Mapping[Job, Found], folder: Path, changed: tuple[tuple[str, Any], ...]
) -> dict[str, Any]:
    mine = [found[job] for job in jobs]
    measure, _, where = line.measure.partition("@")
    if measure == "to_optimum":
        values = [f.booked for f in mine if f.booked is not None]
    elif measure == "best":
        values = [f.best_at(float(where)) for f in mine]
    else:
        values = [_rank_correlation(pretraining_path(folder, j.method, j.pretrained), where) for j in jobs]
    limit = float(where) if measure == "best" else np.inf
    array = np.array([v for v in values if v is not None and np.isfinite(v)])
    set_ = ", ".join(f"{name}={value}" for name, value in changed)
    own = any(m.searcher == OWN for m in line.methods)
    shared = len({j.pretrained for j in jobs}) if any(j.taken is not None for j in jobs) else 0
    said = [
        f"set here: {set_}" if set_ and own else "",
        f"pretrainings shared by seeds: {shared}" if shared else "",
    ]
    return {
        "table": "nasbench201", "dataset": line.dataset, "signal": "test_accuracy after 200 epochs", "measure": line.measure,
        "searcher": line.label, "runs": len(mine), "budget": line.budget, "ours": _figures(array),
        "published": {**dict.fromkeys(("mean", "std", "min", "max")), **line.published},
        "reached": sum(f.booked is not None and f.booked <= limit for f in mine), "seconds": float(np.mean([f.seconds for f in mine])),
        "p_holm_against_ls": None,
        "differs": "; ".join(filter(None, [line.differs, *said])),
    }  # fmt: skip


def _figures(values: NDArray[np.float64]) -> dict[str, float | None]:
    """With the population's standard deviation, as published."""
    if not len(values):
        return {"mean": None, "std": None, "min": None, "max": None}
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }


def _rank_correlation(path: Path, metric: str) -> float:
    """Spearman of a pretrained ensemble's mean with the metric it learnt, over all architectures, as kept with it."""
    from archwright.surrogate import read_header

    facts = read_header(path)["facts"]
    return float(facts["spearman"][metric])
