"""Scores of many untrained networks, in worker processes, kept as they come in."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from archwright.data import Data
from archwright.errors import SettingsError, TableError, unknown
from archwright.evaluate import NetworkEvaluator
from archwright.evaluate.attempt import explain
from archwright.evaluate.devices import derived_seed
from archwright.evaluate.untrained import examples
from archwright.evaluation import Evaluation
from archwright.families import CATALOGUE, Family, get_family
from archwright.proxies.catalogue import PROXIES
from archwright.proxies.scoring import score
from archwright.space import Architecture
from archwright.study.executors import Executor, Outcome, Task, Workers
from archwright.tables.column import Column
from archwright.tables.table import Table

COMPUTED = "computed_"
"""Before the name of a column, where the table already has one of that name."""
OnScored = Callable[[int, int], None]
Row = dict[str, Any]


@dataclass
class Scoring:
    """An evaluator whose metrics are scores, ``seconds NAME`` beside them; reasons are JSON.

    All networks are scored on the same ``batch`` training examples, from initial weights of the same ``seed``.
    """

    networks: NetworkEvaluator
    names: tuple[str, ...]
    batch: int
    seed: int
    _given: tuple[Tensor, Tensor] | None = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_given": None}

    def __call__(
        self, architecture: Architecture, *, fidelity: float = 1.0, seed: int = 0, on_epoch: Any = None
    ) -> Evaluation:
        started = time.perf_counter()
        try:
            if self._given is None:
                self._given = examples(self.networks, self.batch, self.seed)
            network = self.networks.build(architecture, seed=derived_seed(self.seed, 0))
            found = score(network, self._given, self.names, seed=derived_seed(self.seed, 0, 1))
        except (Exception, SystemExit) as error:
            reason = explain("scoring", error, self.networks.family.source)
            return Evaluation(status="failed", reason=reason, seconds=time.perf_counter() - started)
        spent = {f"seconds {name}": value for name, value in found.seconds.items()}
        return Evaluation(
            {**found.values, **spent}, reason=json.dumps(found.reasons), seconds=time.perf_counter() - started
        )


def score_many(
    family: Family,
    data: Data,
    architectures: Sequence[Architecture],
    names: Sequence[str],
    *,
    batch: int = 64,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    threads: int | None = None,
    time_limit: float | None = None,
    path: str | Path | None = None,
    on_done: OnScored | None = None,
) -> list[Row]:
    """Scores of architectures, all on the same examples and from initial weights of the same seed.

    With ``path`` every result is kept at once, a line of JSON each, under a first line that says what is scored how; the same
    call again scores what is missing. A network that cannot be built or scored, or whose worker is killed, has NaN scores
    and a reason.

    Args:
        family: builds the networks.
        data: whose training examples are used.
        architectures: to score; equal ones (by the family's key) are scored once.
        names: of :data:`~archwright.proxies.PROXIES`.
        batch: examples.
        seed: of examples, initial weights and noise.
        device: where.
        workers: processes; 0 scores in this one.
        threads: of each worker; by default the cores divided among them.
        time_limit: seconds for one network, where there are workers.
        path: file that keeps the scores.
        on_done: called with the numbers of networks done and of all.

    Returns:
        Per architecture ``architecture``, ``scores`` (by name, NaN where there is none), ``reasons`` (of those) and ``seconds``
        (by name; those of a whole pass for proxies that share it).

    Raises:
        SettingsError: an unknown proxy or none, a number below 1, or a file of other scores.
    """
    if not names:
        raise SettingsError("name at least one proxy, such as nwot (archwright list proxies)")
    for name in names:
        if name not in PROXIES:
            raise SettingsError(unknown("proxy", name, PROXIES))
    if batch < 1:
        raise SettingsError(f"the batch must be at least 1, not {batch}")
    crew = Workers(workers, threads, time_limit)
    networks = NetworkEvaluator(family, data, device=device)
    keys = [family.key(a) for a in architectures]
    header = header_of(networks, names, batch, seed)
    log = ScoreLog(None if path is None else Path(path), header)
    wanted = {key: a for key, a in zip(keys, architectures) if key not in log.rows}
    total = len(set(keys))
    if wanted:
        evaluator = Scoring(networks, tuple(names), batch, seed)
        made = crew.executor(evaluator)
        try:
            for key, evaluation in scored(made, wanted):
                log.add(key, row_of(wanted[key], evaluation, names))
                if on_done is not None:
                    on_done(total - len(wanted.keys() - log.rows.keys()), total)
        finally:
            made.shutdown()
    return [{**log.rows[key], "architecture": a.to_json()} for key, a in zip(keys, architectures)]


def score_table(
    table: Table,
    dataset: str,
    data: Data,
    names: Sequence[str],
    *,
    sample: int | None = None,
    options: Mapping[str, Any] | None = None,
    family: str | Path | None = None,
    **how: Any,
) -> Table:
    """The table with scores computed now as further columns, and seconds beside them.

    Args:
        table: whose family builds the networks.
        dataset: that of the new columns.
        data: whose training examples are used.
        names: of proxies. A column takes the name of its proxy, after ``computed_`` where that is taken.
        sample: so many of the architectures, drawn at random, the others get NaN; all by default.
        options: of the family, over those that the table says.
        family: name or file of another one with the same space, such as the file of yours that the table was made of.
        how: further arguments of :func:`score_many`. Its ``seed`` draws the sample too.

    Raises:
        TableError: the table has no family of the catalogue and none is given, one of another space, or fewer architectures than ``sample``.
        SettingsError: see :func:`score_many`.
    """
    if sample is not None and not 1 <= sample <= len(table):
        raise TableError(f"a sample of {sample} is not possible; table {table.name} has {len(table)} architectures")
    builder = _family_of(table, options or {}, family)
    rows = np.arange(len(table))
    if sample is not None:
        rows = np.sort(np.random.default_rng(how.get("seed", 0)).choice(rows, sample, replace=False))
    found = score_many(builder, data, [table.architecture(int(row)) for row in rows], names, **how)
    columns = []
    for name in names:
        own = COMPUTED + name if name in table.metrics(dataset) else name
        direction = "minimize" if PROXIES[name].sign < 0 or name in ("params", "flops") else "maximize"
        scores = _spread(
            rows, [-np.inf if math.isnan(row["scores"][name]) else row["scores"][name] for row in found], table
        )
        seconds = _spread(rows, [row["seconds"].get(name, math.nan) for row in found], table)
        columns += [Column(dataset, own, direction, scores), Column(dataset, f"{own}_seconds", "minimize", seconds)]  # type: ignore[arg-type]
    said = {
        "scores computed": json.dumps(
            {"data": data.name, "proxies": list(names), "batch": how.get("batch", 64), "seed": how.get("seed", 0)}
        )
    }
    return Table(
        table.name, table.space, table.codes, table.columns + tuple(columns), table.family, {**table.provenance, **said}
    )


def _family_of(table: Table, options: Mapping[str, Any], given: str | Path | None) -> Family:
    if given is not None:
        family = get_family(given, **options)
        if family.space.to_json() != table.space.to_json():
            raise TableError(f"the space of {given} is not that of the table {table.name}")
        return family
    name = "" if table.family is None else str(table.family["name"])
    if table.family is None or name not in CATALOGUE:
        raise TableError(
            f"table {table.name} names no family of the catalogue that builds its networks ({name or 'none'}); give yours with --family"
        )
    return get_family(name, **{**table.family.get("options", {}), **options})


def _spread(rows: np.ndarray, values: Sequence[float], table: Table) -> np.ndarray:
    whole = np.full(len(table), np.nan)
    whole[rows] = values
    return whole[:, None, None]


def scored(executor: Executor, wanted: Mapping[str, Architecture]) -> Iterable[tuple[str, Evaluation]]:
    """Each key and its evaluation, as they are done; a few more are handed in than run."""
    waiting = list(enumerate(wanted.items()))[::-1]
    running: dict[Future[Outcome], str] = {}
    while waiting or running:
        while waiting and len(running) < 2 * executor.slots:
            number, (key, architecture) = waiting.pop()
            running[executor.submit(Task(number, architecture, 1.0, 0), lambda *_: True)] = key
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield running.pop(future), future.result().evaluation


def header_of(networks: NetworkEvaluator, names: Sequence[str], batch: int, seed: int) -> dict[str, Any]:
    """What scores depend on, for the first line of a :class:`ScoreLog`."""
    return {
        "format": "archwright-scores", "version": 1, "family": networks.family.name,
        "options": dict(networks.family.options), "data": networks.data.fingerprint, "proxies": list(names),
        "batch": batch, "seed": seed,
    }  # fmt: skip


def row_of(architecture: Architecture, evaluation: Evaluation, names: Sequence[str]) -> Row:
    """What :class:`Scoring` found, as :func:`score_many` gives it."""
    if evaluation.status != "ok":
        scores: dict[str, float] = dict.fromkeys(names, math.nan)
        return {
            "architecture": architecture.to_json(),
            "scores": scores,
            "reasons": dict.fromkeys(names, evaluation.reason),
            "seconds": {},
        }
    metrics = evaluation.metrics
    return {
        "architecture": architecture.to_json(),
        "scores": {n: metrics[n] for n in names},
        "reasons": json.loads(evaluation.reason),
        "seconds": {n: metrics[f"seconds {n}"] for n in names},
    }


class ScoreLog:
    """Scores by an architecture's key, kept in a file as they come; without a path in memory only.

    Raises:
        SettingsError: it holds scores of something else.
    """

    def __init__(self, path: Path | None, header: Mapping[str, Any]) -> None:
        self.path = path
        self.header = header
        self.rows: dict[str, Row] = {}
        if path is None:
            return
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        if not lines:
            return
        self._check(lines[0], header)
        for line in lines[1:]:
            try:
                row = json.loads(line)
                self.rows[row.pop("key")] = {
                    **row,
                    "scores": {n: math.nan if v is None else v for n, v in row["scores"].items()},
                }
            except (ValueError, KeyError, AttributeError):  # a line that was cut off
                continue
        if lines and not path.read_text(encoding="utf-8").endswith("\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def _check(self, line: str, header: Mapping[str, Any]) -> None:
        try:
            found = dict(json.loads(line))
        except (ValueError, TypeError):
            found = {}
        header = json.loads(json.dumps(header))
        differing = [f"{n} is {found.get(n)}, wanted {v}" for n, v in header.items() if found.get(n) != v]
        if differing:
            raise SettingsError(
                f"{self.path} keeps scores of something else ({differing[0]}); name another file, or delete it"
            )

    def add(self, key: str, row: Row) -> None:
        """One more."""
        self.rows[key] = row
        if self.path is not None:
            scores = {n: None if math.isnan(v) else v for n, v in row["scores"].items()}
            if not self.path.is_file():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.write_text(json.dumps(self.header) + "\n", encoding="utf-8")
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **row, "scores": scores}) + "\n")
