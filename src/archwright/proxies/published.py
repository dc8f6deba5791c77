"""Published results about proxies that can be computed again from stored scores: the hybrid proxy (Poeta 2023)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archwright.errors import SettingsError, unknown
from archwright.proxies.combining import Hybrid
from archwright.proxies.comparing import correlate, read_target, target_values
from archwright.proxies.grid import Grid, first_for_all, study
from archwright.proxies.naming import stored, values_of
from archwright.tables.known import find_table
from archwright.tables.scores import TARGET

TABLE = "nasbench201"
DATASETS = ("cifar10", "cifar100", "imagenet16-120")
ALPHA, BETA = 0.5, 1.5
MEASURES = ("kendall", "spearman", "top1_accuracy")
Figures = tuple[float, float, float | None]
PUBLISHED: Mapping[str, Mapping[str, Figures]] = {
    "cifar10": {
        "hybrid": (0.62, 0.81, 90.74), "nwot": (0.58, 0.77, 88.95), "logsynflow": (0.56, 0.76, 90.36),
        "synflow": (0.54, 0.73, None), "zen": (0.27, 0.35, None),
    },
    "cifar100": {
        "hybrid": (0.65, 0.84, 70.88), "nwot": (0.62, 0.80, 68.62), "logsynflow": (0.59, 0.79, 71.34),
        "synflow": (0.57, 0.76, None), "zen": (0.28, 0.36, None),
    },
    "imagenet16-120": {
        "hybrid": (0.64, 0.82, 45.73), "nwot": (0.60, 0.78, 45.9), "logsynflow": (0.58, 0.77, 41.23),
        "synflow": (0.56, 0.75, None), "zen": (0.29, 0.40, None),
    },
}  # fmt: skip
"""Tables 6.2 to 6.7: tau, rho, and the accuracy of the first choice where it is printed."""
INITIAL = "our scores are FreeREA's, means of three Kaiming initialisations; the publication's are of one default initialisation"
BATCH = INITIAL + "; the first choice of nwot depends on its batch and initialisation, several cells being nearly equal"
DIFFERS = {"nwot": BATCH, "zen": ""}
ONLY_ROUNDED = "the publication compares two decimals; in full precision the plateau has other maxima"


def tables(data_dir: str | Path | None = None, on_done: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Tables 6.2 to 6.7: hybrid, nwot, logsynflow, synflow and zen on all cells.

    Raises:
        TableError: the table or its scores are not at hand.
    """
    table, rows = find_table(TABLE, data_dir), []
    for dataset, published in PUBLISHED.items():
        found = correlate(table, dataset, list(published), target=TARGET, resamples=0, on_done=on_done).result
        for result, figures in zip(found["results"], published.values()):
            rows += [
                _row(dataset, result["proxy"], measure, result[measure], figure, DIFFERS.get(result["proxy"], INITIAL))
                for measure, figure in zip(MEASURES, figures)
                if figure is not None
            ]
    return {"source": f"Poeta 2023, tables 6.2 to 6.7; target {found['target']}, {found['n']:,} cells", "rows": rows}


def grids(
    data_dir: str | Path | None = None,
    on_done: Callable[[int], None] | None = None,
    *,
    datasets: Sequence[str] = DATASETS,
    **weights: Any,
) -> dict[str, Grid]:
    """The grid of weights on each data set; ``weights`` are ``alphas`` and ``betas`` if not those published.

    Raises:
        TableError: the table or its scores are not at hand.
    """
    table, found = find_table(TABLE, data_dir), {}
    for dataset in datasets:
        hybrid = Hybrid(dd=stored(table, dataset, "nwot"))
        parts = {name: values_of(table, dataset, stored(table, dataset, name)) for name in hybrid.parts}
        worth = target_values(table, dataset, read_target(table, dataset, TARGET))
        found[dataset] = study(*hybrid.normalised(parts), worth, on_done=on_done, **weights)
    return found


def grid_rows(found: Mapping[str, Grid]) -> dict[str, Any]:
    """What the publication says about the grid (figure 6.1, tables 6.5 to 6.7), beside ours."""
    rows = []
    for dataset, grid in found.items():
        tau, rho, _ = PUBLISHED[dataset]["hybrid"]
        for measure, figure in (("kendall", tau), ("spearman", rho)):
            alpha, beta, best = grid.best(measure)  # type: ignore[arg-type]
            at = grid.at(ALPHA, BETA, measure)  # type: ignore[arg-type]
            rows += [
                _row(dataset, "hybrid", f"{measure} at ({ALPHA}, {BETA})", at, figure, INITIAL),
                _row(dataset, "hybrid", f"largest {measure}", best, figure, ONLY_ROUNDED),
                _row(dataset, "hybrid", f"largest {measure} at", [alpha, beta], [ALPHA, BETA], ONLY_ROUNDED),
            ]
    first = first_for_all(list(found.values()))
    rows.append(_row("all", "hybrid", "first pair of the largest rounded tau", list(first or []), [ALPHA, BETA], ""))
    return {
        "source": "Poeta 2023, section 6.2 and figure 6.1: alpha and beta from 0 to 100 in steps of 0.5",
        "rows": rows,
    }


def _row(dataset: str, proxy: str, measure: str, ours: Any, published: Any, differs: str) -> dict[str, Any]:
    return {
        "table": TABLE, "dataset": dataset, "proxy": proxy, "measure": measure, "ours": ours, "published": published,
        "differs": differs,
    }  # fmt: skip


NAMES = ("hybrid-tables", "hybrid-grid")


def reproduce(
    name: str,
    *,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    on_done: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """A published result beside ours, as plain data; ``files`` where figures were written.

    Args:
        name: one of :data:`NAMES`.
        data_dir: where tables are, see :func:`~archwright.tables.find_table`.
        out: folder for the figure of the grid.
        on_done: called now and then with a word on what was done.

    Raises:
        SettingsError: there is no such result here.
        TableError: the table or its scores are not at hand.
    """
    if name not in NAMES:
        raise SettingsError(unknown("publication", name, NAMES))
    if name == "hybrid-tables":
        return {"name": name, **tables(data_dir, on_done)}
    found = grids(data_dir, (lambda pairs: on_done(f"{pairs:,} pairs")) if on_done else None)
    return {"name": name, **grid_rows(found), **({"files": write_plateau(found, out)} if out else {})}


def write_plateau(found: Mapping[str, Grid], folder: str | Path) -> dict[str, str]:
    """Draw the grids into ``plateau.png``; returns the file by name.

    Raises:
        SettingsError: the folder cannot be written.
    """
    import matplotlib as mpl

    from archwright.proxies.figures import plateau
    from archwright.report import style
    from archwright.report.writing import write_files

    with mpl.rc_context(style.RC):
        return write_files(folder, {}, {"plateau": plateau(found)})
