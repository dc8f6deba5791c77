"""Reports: one HTML file that needs no network, and its figures as PNG."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.errors import StudyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from archwright.study.record import StudyRecord

DPI = 160


def write_report(record: StudyRecord, path: Path | None = None, *, title: str | None = None) -> list[Path]:
    """Write the report of a study.

    Args:
        record: the study, finished or not.
        path: of the HTML file; ``report.html`` in the study's folder by default. Figures go into the folder ``report``
            beside it, as PNG.
        title: of the page.

    Returns:
        The files, the HTML first.

    Raises:
        StudyError: they cannot be written.
    """
    import matplotlib as mpl

    from archwright.report import style
    from archwright.report.importance import importance
    from archwright.report.page import page

    target = path or record.path / "report.html"
    found = importance(record)
    with mpl.rc_context(style.RC):
        made = {name: make() for name, make in _figures(record, found).items()}
        figures = {name: figure for name, figure in made.items() if figure is not None}
        try:
            folder = target.with_suffix("")
            folder.mkdir(parents=True, exist_ok=True)
            pngs = []
            for name, figure in figures.items():
                pngs.append(folder / f"{name}.png")
                figure.savefig(pngs[-1], dpi=DPI)
            text = page(record, {name: _svg(name, figure) for name, figure in figures.items()}, found, title)
            temporary = target.with_name(target.name + ".new")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(target)
        except OSError as error:
            raise StudyError(f"cannot write the report {target}: {error.strerror}") from error
    return [target, *pngs]


def _figures(record: StudyRecord, found: object) -> dict[str, Callable[[], Figure | None]]:
    from archwright.report import drawing, figures, importance
    from archwright.report.page import chosen_architecture

    architecture = chosen_architecture(record)
    wanted: dict[str, Callable[[], Figure | None]] = {
        "progress": lambda: figures.progress(record),
        "trade_off": lambda: figures.trade_off(record),
        "curves": lambda: figures.curves(record),
        "costs": lambda: figures.costs(record),
    }
    if architecture is not None:
        wanted["architecture"] = lambda: drawing.architecture_figure(record.family, architecture)
    if isinstance(found, importance.Importance):
        wanted["importance"] = lambda: importance.importance_figure(found)
        wanted["effects"] = lambda: importance.effects_figure(record, found)
    return wanted


def _svg(name: str, figure: Figure) -> str:
    """The figure, laid out for its PNG, as an SVG element; ids get a prefix, as several share one page."""
    buffer = io.StringIO()
    figure.set_layout_engine("none")
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for mark in ('id="', 'xlink:href="#', "url(#"):
        text = text.replace(mark, f"{mark}{name}-")
    return text


__all__ = ["write_report"]
