"""Published benchmarks by name: where their raw files are looked for, and how they are read."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError, unknown
from archwright.evaluation import Direction
from archwright.families import Family, get_family
from archwright.families.nasbench101 import codes_of
from archwright.space import Architecture, Choice, Space, mean_skip
from archwright.tables.column import Column
from archwright.tables.files import load_table
from archwright.tables.reading import Metric, import_csv, numbers, read_csv, table_of
from archwright.tables.records import read_records
from archwright.tables.scores import with_scores
from archwright.tables.table import Table

SUFFIX = ".table.npz"
SHIPPED = Path(__file__).parent / "shipped"
"""Tables that come with the package."""
Codes = NDArray[np.int64]
NB201_DATASETS = {"cifar10": "c10", "cifar100": "c100", "imagenet16-120": "in16"}


@dataclass(frozen=True)
class Known:
    """A benchmark: its main raw file below the data folder, and its reader."""

    summary: str
    file: str
    read: Callable[[Path], Table]


def data_folders(given: str | Path | None = None) -> list[Path]:
    """Where tables and raw files are looked for: ``given``, ``$ARCHWRIGHT_DATA``, the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archwright"
    folders = [given, os.environ.get("ARCHWRIGHT_DATA"), cache]
    return [Path(f).expanduser() for f in folders if f]


def find_table(name: str, data_dir: str | Path | None = None) -> Table:
    """A table by its name or path.

    A path is read as a table's file. A name is looked for in :func:`data_folders`: first as ``NAME.table.npz``, then as
    the raw files of a published benchmark (:data:`KNOWN`); then among the tables that come with the package.

    Raises:
        TableError: it is nowhere, with the places looked at.
    """
    if Path(name).suffix or os.sep in name:
        return load_table(name)
    from archwright.tables.surrogate import SURROGATES

    if name in SURROGATES:
        raise TableError(f"{name} is a surrogate and has no rows; it is for archwright arena and archwright table show")
    folders = data_folders(data_dir)
    for folder in folders:
        if (folder / f"{name}{SUFFIX}").is_file():
            return load_table(folder / f"{name}{SUFFIX}")
        if name in KNOWN and (folder / KNOWN[name].file).is_file():
            return KNOWN[name].read(folder)
    if (SHIPPED / f"{name}{SUFFIX}").is_file():
        return load_table(SHIPPED / f"{name}{SUFFIX}")
    places = ", ".join(str(f) for f in folders)
    if name in KNOWN:
        raise TableError(
            f"the files of {name} ({KNOWN[name].file}) are not in {places}; name their folder with --data-dir or $ARCHWRIGHT_DATA"
        )
    raise TableError(f"{unknown('table', name, KNOWN)}; there is no {name}{SUFFIX} in {places} either")


def _nasbench201(folder: Path) -> Table:
    """Accuracies of the topology search space, with hardware metrics and zero-cost scores where their files are there."""
    family = get_family("nasbench201")
    path = folder / KNOWN["nasbench201"].file
    metrics = [
        Metric("params_m", "params", direction="minimize", scale=1e6),
        Metric("flops_m_c10", "flops", "cifar10", direction="minimize", scale=1e6),
        Metric("c10v_test_e200", "test_accuracy_of_valid_training", "cifar10", 200),
    ]
    for dataset, short in NB201_DATASETS.items():
        for epoch in (12, 200):
            if (short, epoch) not in (("c100", 200), ("in16", 200)):
                metrics.append(Metric(f"{short}_val_e{epoch}", "val_accuracy", dataset, epoch))
            metrics.append(Metric(f"{short}_test_e{epoch}", "test_accuracy", dataset, epoch))
        metrics.append(Metric(f"{short}_test_e200_one_seed", "test_accuracy_one_seed", dataset, 200))
    table = import_csv(
        path, name="nasbench201", family=family, identity="ops", notation="digits", metrics=metrics,
        provenance={"benchmark": "NAS-Bench-201 (Dong and Yang 2020), NATS-Bench topology space (Dong et al. 2021)"},
    )  # fmt: skip
    for dataset in NB201_DATASETS:
        table = _with_hardware(table, folder / "hw-nas-bench", dataset)
    table = _with_skip(with_scores(table, folder / "zero-cost"), family)
    return _with_help(table, folder / "help-latency" / "nasbench201_latency_ms.npz")


def _with_skip(table: Table, family: Family) -> Table:
    """FreeREA's skip metric, which is a function of the cell."""
    taken = [(Metric("skip", "skip"), mean_skip(table.space, table.codes))]
    return table.joined(table_of(table.name, family, table.codes, taken, {}))


def _with_help(table: Table, path: Path) -> Table:
    """HELP (Lee et al. 2021): latencies on 27 devices and batch sizes, in the order of the official index."""
    if not path.is_file():
        return table
    with np.load(path, allow_pickle=False) as file:
        taken = [
            (Metric(n, f"{n}_help_latency_ms", direction="minimize"), np.asarray(file[n], dtype=np.float64))
            for n in file.files
        ]
    if any(len(v) != len(table) for _, v in taken):
        raise TableError(f"{path} does not hold the latencies of all {len(table)} architectures")
    extra = table_of(table.name, get_family("nasbench201"), table.codes, taken, {"latencies": "HELP (Lee et al. 2021)"})
    return table.joined(extra)


def _official_name(dataset: str) -> str:
    return {"imagenet16-120": "ImageNet16-120"}.get(dataset, dataset)


def _with_hardware(table: Table, folder: Path, dataset: str) -> Table:
    """HW-NAS-Bench (Li et al. 2021): rows are in the order of the official index, which is this table's too."""
    path = folder / f"nb201_{_official_name(dataset)}.csv.gz"
    if not path.is_file():
        return table
    columns = read_csv(path)
    if len(columns["idx"]) != len(table):
        raise TableError(f"{path} has {len(columns['idx'])} rows, and the table {table.name} {len(table)}")
    order = np.array(columns["idx"], dtype=int)
    taken = []
    for name in columns:
        if name.endswith(("_latency", "_energy")):
            values = np.empty(len(order))
            values[order] = numbers(path, columns, name)
            values[values < 0] = np.nan
            unit = {"latency": "latency_ms", "energy": "energy_mj"}[name.rsplit("_", 1)[1]]
            taken.append((Metric(name, f"{name.rsplit('_', 1)[0]}_{unit}", dataset, direction="minimize"), values))
    extra = table_of(
        table.name, get_family("nasbench201"), table.codes, taken, {"hardware": "HW-NAS-Bench (Li et al. 2021)"}
    )
    return table.joined(extra)


def _nasbench_macro(folder: Path) -> Table:
    path = folder / KNOWN["nasbench-macro"].file
    try:
        rows = json.loads(path.read_text())
        accuracies = np.array([row["test_acc"] for row in rows.values()], dtype=np.float64)
        sizes = {n: np.array([row[n] for row in rows.values()], dtype=np.float64) for n in ("params", "flops")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(f"{path} is not the JSON file of NAS-Bench-Macro: {error}") from error
    family = get_family("macro", cells=[2, 3, 3])
    codes = np.array([[int(d) for d in key] for key in rows], dtype=np.int64)
    metrics: list[tuple[Metric, np.ndarray]] = [(Metric("test_acc", "test_accuracy", "cifar10"), accuracies)]
    metrics += [(Metric(n, n, "cifar10" if n == "flops" else "", direction="minimize"), v) for n, v in sizes.items()]
    return table_of("nasbench-macro", family, codes, metrics, {"benchmark": "NAS-Bench-Macro (Su et al. 2021)"})


def _nasbench101(folder: Path) -> Table:
    """All cells with their mean test accuracy; for 30,001 of them also validation accuracies of one training."""
    path = folder / KNOWN["nasbench101"].file
    family = get_family("nasbench101")
    try:
        with np.load(path.with_name("nb101_cells.npz"), allow_pickle=False) as file:
            bits = (file["edge_bits"][:, None].astype(np.int64) >> np.arange(21)) & 1
            digits = file["ops_base3"][:, None].astype(np.int64) // 3 ** np.arange(5) % 3
            codes = codes_of(file["n"].astype(np.int64), bits, digits)
        with np.load(path, allow_pickle=False) as file:
            accuracy = file["test_acc_x1e6"] / 1e4
        with np.load(path.with_name("nb101_params.npz"), allow_pickle=False) as file:
            params = file["params"].astype(np.float64)
    except (OSError, ValueError, KeyError) as error:
        raise TableError(f"the files of NAS-Bench-101 beside {path} cannot be read: {error}") from error
    metrics = [
        (Metric("test_acc", "test_accuracy", "cifar10", 108), accuracy),
        (Metric("params", "params", direction="minimize"), params),
        (Metric("skip", "skip"), mean_skip(family.space, codes)),
    ]
    curves = path.with_name("nb101_30k_val_by_epoch.csv.gz")
    if curves.is_file():
        columns = read_csv(curves)
        rows = np.array(columns["idx"], dtype=int)
        for source, metric, epoch, scale in (
            *((f"val_e{e}", "val_accuracy", e, 100.0) for e in (4, 12, 36, 108)),
            ("train_time_s", "train_seconds", 108, 1.0),
        ):
            values = np.full(len(codes), np.nan)
            values[rows] = numbers(curves, columns, source) * scale
            way: Direction = "minimize" if metric == "train_seconds" else "maximize"
            metrics.append((Metric(source, metric, "cifar10", epoch, way), values))
    return table_of("nasbench101", family, codes, metrics, {"benchmark": "NAS-Bench-101 (Ying et al. 2019)"})


def _help(folder: Path, name: str, known_by: Callable[[Mapping[str, Codes]], tuple[Space, Codes]]) -> Table:
    """A file of HELP (Lee et al. 2021): arrays ``arch...`` that say which architectures, the others latencies in ms."""
    path = folder / KNOWN[name].file
    try:
        with np.load(path, allow_pickle=False) as file:
            space, codes = known_by({n: file[n].astype(np.int64) for n in file.files if n.startswith("arch")})
            columns = [
                Column("", f"{n}_latency_ms", "minimize", file[n].astype(np.float64)[:, None, None])
                for n in file.files
                if not n.startswith("arch")
            ]
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise TableError(f"{path} is not HELP's file that {name} is made from: {error}") from error
    return Table(name, space, codes, tuple(columns), provenance={"latencies": "HELP (Lee et al. 2021)"})


def _fbnet(arrays: Mapping[str, Codes]) -> tuple[Space, Codes]:
    """FBNet (Wu et al. 2019): 22 layers with one of nine blocks each, which are known by number only."""
    codes = arrays["arch"]
    return Space({f"layer{i}": Choice(*range(9)) for i in range(1, codes.shape[1] + 1)}), codes


RESOLUTIONS = tuple(range(128, 225, 4))
STAGES, BLOCKS = 5, 4


def _ofa(arrays: Mapping[str, Codes]) -> tuple[Space, Codes]:
    """OFA-MobileNetV3 (Cai et al. 2020): five stages of 2 to 4 blocks, each with a kernel size and an expansion ratio."""
    parameters: dict[str, Choice] = {"resolution": Choice(*RESOLUTIONS, ordered=True)}
    values = [arrays["arch_r"]]
    needed: dict[str, tuple[int, int]] = {}
    for stage in range(STAGES):
        depth = f"depth{stage + 1}"
        parameters[depth] = Choice(2, 3, 4, ordered=True)
        values.append(arrays["arch_d"][:, stage])
        for block in range(BLOCKS):
            for kind, array, options in (("kernel", "arch_ks", (3, 5, 7)), ("expand", "arch_e", (3, 4, 6))):
                name = f"{kind}{stage + 1}_{block + 1}"
                when = {depth: range(block + 1, BLOCKS + 1)} if block >= 2 else None
                parameters[name] = Choice(*options, ordered=True, when=when)
                needed[name] = (stage, block + 1)
                values.append(arrays[array][:, stage * BLOCKS + block])
    space = Space(parameters)
    there = np.stack(
        [
            np.ones(len(values[0]), bool) if n not in needed else arrays["arch_d"][:, needed[n][0]] >= needed[n][1]
            for n in parameters
        ],
        axis=1,
    )
    rows = zip(np.stack(values, axis=1).tolist(), there.tolist())
    return space, space.codes(
        [Architecture({n: v for n, v, on in zip(parameters, row, active) if on}) for row, active in rows]
    )


def _records(name: str, what: str, file: str, dataset: str = "") -> dict[str, Known]:
    path = f"zero-cost/{file}"
    return {
        name: Known(
            f"{what}: zero-cost scores, accuracy", path, lambda f: read_records(f / path, name, dataset=dataset)
        )
    }


KNOWN: Mapping[str, Known] = {
    "nasbench201": Known(
        "15,625 cells, accuracy at 12 and 200 epochs on CIFAR-10, CIFAR-100, ImageNet16-120; hardware; zero-cost scores",
        "nasbench201/nb201_tss.csv.gz",
        _nasbench201,
    ),
    "nasbench101": Known(
        "423,624 cells, mean CIFAR-10 test accuracy at 108 epochs, parameters; validation accuracy of 30,001",
        "nasbench101/nb101_test_acc_e108.npz",
        _nasbench101,
    ),
    "nasbench-macro": Known(
        "6,561 chains of 8 cells, three CIFAR-10 test accuracies each, parameters, FLOPs",
        "nas-bench-macro/nas-bench-macro_cifar10.json",
        _nasbench_macro,
    ),
    "help-fbnet": Known(
        "5,000 of FBNet's chains of 22 blocks, latency on 27 devices and batch sizes (HELP)",
        "help-latency/fbnet_latency_ms.npz",
        lambda folder: _help(folder, "help-fbnet", _fbnet),
    ),
    "help-ofa": Known(
        "5,000 of OFA's MobileNetV3 networks, latency on 12 devices and batch sizes (HELP)",
        "help-latency/ofa_latency_ms.npz",
        lambda folder: _help(folder, "help-ofa", _ofa),
    ),
    **_records("zc-nasbench101", "500 networks of NAS-Bench-101", "naslib_zc_nb101.csv.gz"),
    **_records("zc-nasbench301", "725 networks of NAS-Bench-301", "naslib_zc_nb301.csv.gz"),
    **_records("zc-transnas-micro", "711 cells of TransNAS-Bench-101, 7 tasks", "naslib_zc_tnb101_micro.csv.gz"),
    **_records("zc-transnas-macro", "725 skeletons of TransNAS-Bench-101, 7 tasks", "naslib_zc_tnb101_macro.csv.gz"),
    **_records(
        "zc-transnas-scene", "2,128 cells of TransNAS-Bench-101", "tnb101_micro_class_scene_2128.csv.gz", "class_scene"
    ),
}
