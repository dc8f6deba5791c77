"""Searchers on real trainings at equal time: small networks on PneumoniaMNIST and on a part of CIFAR-10."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archwright.arena import statistics
from archwright.errors import DataError, SettingsError, unknown
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.families import Family, family_from
from archwright.searchers import make_searcher
from archwright.space import Architecture, Choice, Integer, Space
from archwright.tables.known import data_folders

if TYPE_CHECKING:
    from torch import nn

    from archwright.data import Data
    from archwright.evaluate import NetworkEvaluator

NAME = "ensemble-real-data"
RUNS = 5
SECONDS = 60.0
EPOCHS = 4
SHORT = 1
ENTRIES: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "ensemble-bo": ("ensemble-bo", (1.0,)),
    f"ensemble-bo, {SHORT} and {EPOCHS} epochs": ("ensemble-bo", (SHORT / EPOCHS, 1.0)),
    "random": ("random", (1.0,)),
    "lspon": ("lspon", (1.0,)),
    "rea": ("rea", (1.0,)),
}
"""By label: a searcher, and the shares of a training that it may ask for."""
METRICS = {"pneumoniamnist": "balanced_accuracy", "cifar10-10k": "accuracy"}
IMAGES = 10_000
TESTED = 2_000
Evaluate = Callable[..., Evaluation]


@dataclass(frozen=True)
class RealRun:
    """One search.

    Attributes:
        dataset, label, seed: which.
        budget: processor seconds.
        trainings, short: in full and shorter.
        curve: best validation value of a full training, whenever it rises: processor seconds and value.
        validation: the last of these.
        test: of the same architecture, trained anew.
        architecture: the best.
        thinking: processor seconds of the searcher.
    """

    dataset: str
    label: str
    seed: int
    budget: float
    trainings: int
    short: int
    curve: tuple[tuple[float, float], ...]
    validation: float
    test: float
    architecture: Mapping[str, Any]
    thinking: float


def small_family() -> Family:
    """Convolutions on non-overlapping patches, so that a training takes about a second: 2,592 networks."""
    space = Space(
        patch=Choice(4, 6, 8, ordered=True),
        width=Choice(8, 16, 24, 32, ordered=True),
        depth=Integer(1, 4),
        block=Choice("conv", "residual", "mbconv"),
        kernel=Choice(3, 5, ordered=True),
        activation=Choice("relu", "silu", "gelu"),
        dropout=Choice(0.0, 0.1, 0.3, ordered=True),
    )
    return family_from(space, build, name="patches")


def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """The network; ``input_shape`` is ``(channels, height, width)``."""
    from torch import nn

    from archwright.layers import ConvNormAct, GlobalPoolHead, MBConv, ResidualBlock
    from archwright.layers.blocks import activation

    of: dict[str, Any] = dict(architecture)
    width, kernel, act = of["width"], of["kernel"], of["activation"]
    blocks: Mapping[str, Callable[[], nn.Module]] = {
        "conv": lambda: ConvNormAct(width, width, kernel, act=act),
        "residual": lambda: ResidualBlock(width, width, kernel, act=act),
        "mbconv": lambda: MBConv(width, width, kernel, 1, 2, False, act),
    }
    stem = [nn.Conv2d(input_shape[0], width, of["patch"], of["patch"]), nn.BatchNorm2d(width), activation(act)]
    body = [blocks[of["block"]]() for _ in range(of["depth"])]
    return nn.Sequential(*stem, *body, nn.Dropout(of["dropout"]), GlobalPoolHead(width, num_classes))


def read_real_data(name: str, data_dir: str | Path | None = None) -> Data:
    """``pneumoniamnist`` (its own splits) or ``cifar10-10k``: 10,000 training images, 2,000 of them for validation, 2,000 test images.

    Raises:
        SettingsError: another name.
        DataError: its files are nowhere.
    """
    from archwright.data import load_data

    if name not in METRICS:
        raise SettingsError(unknown("data set", name, METRICS))
    if name == "pneumoniamnist":
        return load_data(_folder("pneumoniamnist/pneumoniamnist.npz", data_dir) / "pneumoniamnist.npz")
    folder = _folder("cifar10-jpeg/train-00.npz", data_dir)
    splits = {"train": _images(folder, "train", IMAGES), "test": _images(folder, "test", TESTED)}
    return replace(load_data(splits, validation=0.2), name=name)


def _folder(file: str, data_dir: str | Path | None) -> Path:
    folders = data_folders(data_dir)
    for folder in folders:
        if (folder / file).is_file():
            return (folder / file).parent
    places = ", ".join(str(f) for f in folders) or "(nowhere)"
    raise DataError(f"{file} is not in {places}; name its folder with --data-dir or $ARCHWRIGHT_DATA")


def _images(folder: Path, split: str, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The first images of a split, stored as JPEG files behind each other, with their labels."""
    from PIL import Image

    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for file in sorted(folder.glob(f"{split}-*.npz")):
        with np.load(file) as shard:
            packed, offsets, known = shard["jpeg"], shard["offsets"].tolist(), shard["labels"].tolist()
        for start, end, label in zip(offsets, offsets[1:], known):
            if len(images) == count:
                return np.stack(images), np.array(labels)
            images.append(np.asarray(Image.open(io.BytesIO(packed[start:end].tobytes())).convert("RGB")))
            labels.append(label)
    return np.stack(images), np.array(labels)


def reproduce_real_data(
    *,
    data_dir: str | Path | None = None,
    runs: int | None = None,
    seed: int = 0,
    budget: float | None = None,
    only: Sequence[str] = (),
    out: str | Path | None = None,
    on_done: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Run every searcher with real trainings, each for the same processor time (its own thinking included).

    Processor time in place of wall time, so that what else runs on the machine does not count; one thread.

    Args:
        data_dir: folder with ``pneumoniamnist/`` and ``cifar10-jpeg/``.
        runs: of each searcher; 5 by default.
        seed: of the first run.
        budget: processor seconds of a run; 60 by default.
        only: texts, one of which the name of a data set must contain.
        out: folder that keeps finished runs; the same call goes on from there.
        on_done: called with a label and the numbers of runs done and of all.

    Raises:
        SettingsError: a number that makes no sense, or no such data set.
        DataError: the data are not at hand.
    """
    import torch

    runs, budget = RUNS if runs is None else runs, SECONDS if budget is None else float(budget)
    if runs < 1 or not budget > 0:
        raise SettingsError(f"runs must be at least 1 and the budget above 0 seconds, not {runs} and {budget:g}")
    names = [name for name in METRICS if not only or any(text in name for text in only)]
    if not names:
        raise SettingsError(unknown("data set", only[0], METRICS))
    log = None if out is None else Path(out) / "real-data.jsonl"
    known = {} if log is None else _read(log)
    found: dict[tuple[str, str, int], RealRun] = {}
    jobs = [(name, s, label) for name in names for s in range(seed, seed + runs) for label in ENTRIES]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = {name: read_real_data(name, data_dir) for name in names}
        for done, (name, s, label) in enumerate(jobs, start=1):
            run = known.get((name, label, s, budget)) or search_for(name, data[name], label, s, budget)
            if log is not None and (name, label, s, budget) not in known:
                _append(log, run)
            found[name, label, s] = run
            on_done(f"{name}: {label}", done, len(jobs))
    finally:
        torch.set_num_threads(threads)
    rows = [row for name in names for row in _rows([r for r in found.values() if r.dataset == name])]
    source = f"Searchers with real trainings, {budget:g} processor seconds a run, {runs} runs"
    return {"name": NAME, "source": source, "rows": rows}


def search_for(name: str, data: Data, label: str, seed: int, budget: float) -> RealRun:
    """One search until its processor time is spent; the training that is under way then counts no more."""
    from archwright.evaluate import NetworkEvaluator, Training
    from archwright.evaluate.devices import derived_seed

    goal = Goal((Objective(METRICS[name], "maximize"),))
    evaluator = NetworkEvaluator(small_family(), data, Training(epochs=EPOCHS, batch_size=128), goal, device="cpu")
    kind, fidelities = ENTRIES[label]
    searcher = make_searcher(kind, evaluator.family.space, goal, seed=seed, fidelities=fidelities)
    started, thinking, number, short = time.process_time(), 0.0, 0, 0
    curve: list[tuple[float, float]] = []
    best: Architecture | None = None
    while True:
        before = time.process_time()
        proposals = searcher.ask(1)
        thinking += time.process_time() - before
        if not proposals:
            break
        fidelity = searcher.pending[proposals[0]]
        evaluation = evaluator(proposals[0], fidelity=fidelity, seed=derived_seed(seed, number))
        spent = time.process_time() - started
        if spent > budget:
            break
        searcher.tell(proposals[0], evaluation)
        number, short = number + 1, short + (fidelity < 1)
        value = evaluation.metrics.get(METRICS[name], float("nan"))
        if fidelity == 1 and value > (curve[-1][1] if curve else -1):
            curve.append((spent, value))
            best = proposals[0]
    if best is None:
        raise SettingsError(f"{budget:g} processor seconds are not enough for one training; take a larger budget")
    test = _tested(evaluator, best, derived_seed(seed, 2**20))
    return RealRun(
        name, label, seed, budget, number - short, short, tuple(curve), curve[-1][1], test, best.to_json(), thinking
    )


def _tested(evaluator: NetworkEvaluator, architecture: Architecture, seed: int) -> float:
    """Test value of one more training with other initial weights."""
    anew = replace(evaluator, data=replace(evaluator.data, validation=evaluator.data.test))
    return float(anew(architecture, seed=seed).metrics[evaluator.goal.objectives[0].metric])


def _rows(runs: Sequence[RealRun]) -> list[dict[str, Any]]:
    """A row per searcher of one data set; p-values against the first, Holm over all pairs."""
    labels = list(dict.fromkeys(run.label for run in runs))
    values = {
        what: {label: np.array([getattr(run, what) for run in runs if run.label == label]) for label in labels}
        for what in ("validation", "test")
    }
    tests = {
        what: {
            (t["test"], t["b"]): t for t in statistics.compare(what, of, smaller_is_better=False) if t["a"] == labels[0]
        }
        for what, of in values.items()
    }
    rows = []
    for label in labels:
        mine = [run for run in runs if run.label == label]
        row = {
            "dataset": mine[0].dataset, "metric": METRICS[mine[0].dataset], "searcher": label, "runs": len(mine),
            "trainings": float(np.mean([run.trainings for run in mine])), "short": float(np.mean([run.short for run in mine])),
            "thinking": float(np.mean([run.thinking for run in mine])), "differs": "",
        }  # fmt: skip
        for what in values:
            row[what] = statistics.spread(values[what][label])
            row[f"{what}_tests"] = {
                test: {"p": found["p"], "p_holm": found["p_holm"], "effect": found["effect"]}
                for (test, other), found in tests[what].items()
                if other == label
            }
        rows.append(row)
    return rows


def _read(path: Path) -> dict[tuple[str, str, int, float], RealRun]:
    """Finished runs; a line that was cut off is left out.

    Raises:
        SettingsError: the file holds something else.
    """
    found = {}
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for line in text.splitlines():
        try:
            said = json.loads(line)
            run = RealRun(**{**said, "curve": tuple(tuple(step) for step in said["curve"])})
        except ValueError:
            continue
        except (TypeError, KeyError) as error:
            raise SettingsError(f"{path} keeps something else than runs on real data; name another folder") from error
        found[run.dataset, run.label, run.seed, run.budget] = run
    if text and not text.endswith("\n"):
        path.write_text(text + "\n", encoding="utf-8")
    return found


def _append(path: Path, run: RealRun) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(run)) + "\n")
