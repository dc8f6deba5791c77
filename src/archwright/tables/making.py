"""Make a table: train the networks of a space, or a sample of them, several seeds each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from archwright.data import Data, DeviceSplit
from archwright.errors import TableError
from archwright.evaluate import NetworkEvaluator, Training
from archwright.evaluate.attempt import explain
from archwright.evaluate.devices import resolve_device
from archwright.evaluate.training import train
from archwright.evaluation import Evaluation
from archwright.families import Family
from archwright.space import Architecture
from archwright.study.executors import Executor, OnEpoch, Outcome, Task, Workers
from archwright.tables.column import Column
from archwright.tables.files import load_table
from archwright.tables.table import Table

KEPT = ("accuracy", "loss", "test_accuracy", "test_loss")
MOST = 1_000_000


@dataclass
class CurveEvaluator:
    """Trains the network of an architecture and keeps validation and test metrics of every epoch."""

    family: Family
    data: Data
    training: Training
    device: str = "auto"

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_network", "_test")}

    @cached_property
    def _network(self) -> NetworkEvaluator:
        return NetworkEvaluator(self.family, self.data, self.training, device=self.device)

    @cached_property
    def _test(self) -> DeviceSplit:
        return DeviceSplit(
            self.data.test, self.data, resolve_device(self.device), channels_last=self.training.channels_last
        )

    def __call__(
        self, architecture: Architecture, *, fidelity: float = 1.0, seed: int = 0, on_epoch: OnEpoch | None = None
    ) -> Evaluation:
        """One training; what breaks is a ``failed`` evaluation."""
        try:
            network = self._network.build(architecture, seed=seed)
            trained = train(
                network, self.data, self.training, seed=seed, device=self.device, on_epoch=on_epoch,
                splits=self._network.splits(), also={"test": self._test},
            )  # fmt: skip
        except Exception as error:
            return Evaluation(status="failed", reason=explain("training", error, self.family.source), cost=1.0)
        if trained.ending == "failed":
            return Evaluation(status="failed", reason=trained.reason, cost=1.0, seconds=trained.seconds)
        curve = tuple({name: point[name] for name in KEPT} for point in trained.curve)
        return Evaluation(trained.metrics, curve=curve, cost=1.0, seconds=trained.seconds)


def make_table(
    family: Family,
    data: Data,
    out: Path,
    *,
    training: Training | None = None,
    seeds: int = 3,
    sample: int | None = None,
    workers: int = 0,
    threads: int | None = None,
    device: str = "auto",
    name: str | None = None,
    on_done: Callable[[int, int, Evaluation], None] | None = None,
) -> Table:
    """Train and write a table; the same call again goes on where it was interrupted.

    Architectures that compute the same (isomorphic cells) are trained once. Every finished training is kept at once in
    ``OUT.trainings.jsonl``; delete that file when the table is done. Where only the table is left, its trainings are taken
    over, so that the same call with more ``seeds`` adds to it. A training that fails leaves NaN.

    Args:
        family: whose networks.
        data: to train, validate and test with.
        out: the table's file.
        training: how; every epoch is validated.
        seeds: trainings of each network; seed ``s`` of all networks has the same number.
        sample: so many different architectures, drawn uniformly; all by default.
        workers: processes, 0 for none.
        threads: of each worker.
        device: where to train.
        name: of the table; by default ``FAMILY-DATA``.
        on_done: called with the number of trainings done, of all, and the evaluation.

    Raises:
        SettingsError: a number of workers or threads that cannot be.
        TableError: ``seeds`` or ``sample`` below 1, a space that is too large to be trained whole, trainings kept
            of another call beside ``out``, or nothing that could be trained.
    """
    crew = Workers(workers, threads)
    settings = replace(training or Training(), eval_every=1, keep="last", patience=0)
    if seeds < 1:
        raise TableError(f"a table needs at least 1 seed, not {seeds}")
    architectures = _members(family, sample)
    keys = [(family.equivalent or family.key)(a) for a in architectures]
    first = dict(zip(reversed(keys), reversed(architectures)))
    log = _Log(
        out.with_name(out.name + ".trainings.jsonl"),
        {
            "family": family.name, "options": dict(family.options), "sample": sample,
            "data": data.fingerprint, "training": settings.to_json(),
        },
    )  # fmt: skip
    made_by = {"data": json.dumps(data.description()), "training": json.dumps(settings.to_json())}
    if not log.found and out.is_file():
        _take_over(load_table(out), data.name, architectures, keys, made_by, log)
        kept = 1 + max(seed for _, seed in log.found)
        if kept > seeds:
            raise TableError(
                f"{out} has {kept} seeds, which would be lost; ask for as many, or write elsewhere with --out"
            )
    wanted = [(key, seed) for seed in range(seeds) for key in dict.fromkeys(keys)]
    evaluator = CurveEvaluator(family, data, settings, device)
    evaluator._network.check()
    _train(crew.executor(evaluator), wanted, first, log, on_done)
    costs = {family.key(a): a for a in architectures}
    measured = {key: evaluator._network.cheap_metrics(a) for key, a in costs.items()}
    table = Table(
        name or f"{family.name}-{data.name}",
        family.space,
        family.space.codes(architectures),
        (
            *_columns(data.name, keys, seeds, settings.epochs, log.found),
            *(_cost(m, [measured[family.key(a)] for a in architectures]) for m in ("params", "macs")),
        ),
        {"name": family.name, "options": dict(family.options)} if family.source is None else None,
        {
            "made": f"archwright table make: {len(first)} networks x {seeds} seeds, {settings.epochs} epochs",
            **made_by,
        },
    )
    table.save(out)
    return table


def _train(
    executor: Executor,
    wanted: Sequence[tuple[str, int]],
    architectures: Mapping[str, Architecture],
    log: _Log,
    on_done: Callable[[int, int, Evaluation], None] | None,
) -> None:
    """Make those of the trainings (key, seed) that the log does not have."""
    left = [pair for pair in wanted if pair not in log.found]
    done = len(wanted) - len(left)
    try:
        for (key, seed), evaluation in _evaluated(executor, left, architectures):
            log.add(key, seed, evaluation)
            done += 1
            if on_done is not None:
                on_done(done, len(wanted), evaluation)
    finally:
        executor.shutdown()


def _take_over(
    table: Table,
    dataset: str,
    architectures: Sequence[Architecture],
    keys: Sequence[str],
    made_by: Mapping[str, str],
    log: _Log,
) -> None:
    """Put the trainings of a table that was made by the same call into the log."""
    if list(table.architectures) != list(architectures) or any(
        table.provenance.get(k) != v for k, v in made_by.items()
    ):
        raise TableError(
            f"{table.name} was made of other architectures, data or training; delete it, or write elsewhere with --out"
        )
    curves = [table.column(dataset, name if name.startswith("test_") else f"val_{name}").values for name in KEPT]
    seconds = table.column(dataset, "train_seconds").values
    first_row = {key: row for row, key in reversed(list(enumerate(keys)))}
    for key, row in first_row.items():
        for seed in range(seconds.shape[2]):
            points = np.stack([values[row, :, seed] for values in curves], axis=1)
            failed = np.isnan(points).all()
            log.found[key, seed] = {"curve": [] if failed else points.tolist(), "seconds": float(seconds[row, 0, seed])}


def _members(family: Family, sample: int | None) -> list[Architecture]:
    size = family.space.size
    if sample is None:
        if size is None or size > MOST:
            raise TableError(f"the space of {family.name} is too large to be trained whole; take a --sample of it")
        return list(family.space.enumerate())
    if sample < 1 or (size is not None and sample > size):
        raise TableError(f"a sample must have 1 to {size or 'any number of'} architectures, not {sample}")
    rng = np.random.default_rng(0)
    found: dict[Architecture, None] = {}
    while len(found) < sample:
        found[family.space.sample(rng)] = None
    return list(found)


def _evaluated(
    executor: Executor, left: Sequence[tuple[str, int]], first: Mapping[str, Architecture]
) -> Iterator[tuple[tuple[str, int], Evaluation]]:
    running: dict[Future[Outcome], tuple[str, int]] = {}
    waiting = iter(enumerate(left))
    while True:
        while len(running) < executor.slots:
            number, pair = next(waiting, (0, None))
            if pair is None:
                break
            running[executor.submit(Task(number, first[pair[0]], 1.0, pair[1]), _go_on)] = pair
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result().evaluation


def _go_on(_: int, __: Mapping[str, float]) -> bool:
    return True


class _Log:
    """Finished trainings, one JSON object per line; a line that a crash cut short is done again."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.found: dict[tuple[str, int], Mapping[str, Any]] = {}
        head = json.dumps(settings, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
            if lines and lines[0] != head:
                raise TableError(
                    f"{path} holds trainings of another family, data or training; delete it, or write elsewhere with --out"
                )
            whole = lines[:-1] or [head]
            path.write_text("\n".join(whole) + "\n", encoding="utf-8")
        except OSError as error:
            raise TableError(f"{path} cannot be written: {error.strerror or error}") from error
        for line in whole[1:]:
            row = json.loads(line)
            self.found[row["key"], row["seed"]] = row

    def add(self, key: str, seed: int, evaluation: Evaluation) -> None:
        row = {
            "key": key, "seed": seed, "seconds": evaluation.seconds,
            "curve": [[float(point[name]) for name in KEPT] for point in evaluation.curve],
        }  # fmt: skip
        self.found[key, seed] = row
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _columns(
    dataset: str, keys: Sequence[str], seeds: int, epochs: int, found: Mapping[tuple[str, int], Mapping[str, Any]]
) -> list[Column]:
    different = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    values = np.full((len(different), epochs, seeds, len(KEPT)), np.nan, np.float32)
    seconds = np.full((len(different), 1, seeds), np.nan, np.float32)
    for key, i in different.items():
        for seed in range(seeds):
            row = found[key, seed]
            if row["curve"]:
                values[i, :, seed] = row["curve"]
                seconds[i, 0, seed] = row["seconds"]
    if np.isnan(values).all():
        raise TableError("no network could be trained; try one with: archwright profile")
    rows = np.array([different[key] for key in keys])
    at, which = tuple(range(1, epochs + 1)), tuple(range(seeds)) if seeds > 1 else ()
    columns = []
    for i, metric in enumerate(KEPT):
        name = metric if metric.startswith("test_") else f"val_{metric}"
        way: Any = "minimize" if metric.endswith("loss") else "maximize"
        columns.append(Column(dataset, name, way, values[rows][:, :, :, i], at, which))
    return [*columns, Column(dataset, "train_seconds", "minimize", seconds[rows], (epochs,), which)]


def _cost(metric: str, found: Sequence[Mapping[str, float]]) -> Column:
    values = np.array([costs.get(metric, np.nan) for costs in found])
    return Column("", metric, "minimize", values[:, None, None])
