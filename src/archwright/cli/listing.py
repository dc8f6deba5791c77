"""``archwright list``: what there is to choose from."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError, unknown


def show(
    what: Annotated[
        str,
        typer.Argument(
            help="families, searchers, methods, data, metrics, training, tables or proxies; all of them by default.",
            show_default=False,
        ),
    ] = "",
    json: common.Json = False,
) -> None:
    """List families, searchers, methods of search inside one network, data, metrics, training settings, tables and proxies, with a line on each."""
    lists = {
        "families": _families,
        "searchers": _searchers,
        "methods": _methods,
        "data": _data,
        "metrics": _metrics,
        "training": _training,
        "tables": _tables,
        "proxies": _proxies,
    }
    if what and what not in lists:
        raise SettingsError(unknown("list", what, lists))
    found = {name: make() for name, make in lists.items() if what in ("", name)}
    if json:
        common.print_json(found)
        return
    out = common.console()
    for name, entries in found.items():
        rows = [[entry["name"], entry["summary"], _options(entry)] for entry in entries]
        wanted = 3 if any(row[2] for row in rows) else 2
        shown = common.table(name, ["name", "what it is", "options"][:wanted], [row[:wanted] for row in rows])
        for column in shown.columns:
            column.justify = "left"
        out.print(shown)
        out.print()


def _options(entry: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in entry.get("options", {}).items())


def _families() -> list[dict[str, Any]]:
    from archwright.families import CATALOGUE

    made = [factory() for factory in CATALOGUE.values()]
    return [{"name": f.name, "summary": f.summary, "options": dict(f.options), "size": f.space.size} for f in made]


def _searchers() -> list[dict[str, Any]]:
    from archwright.searchers import SEARCHERS, searcher_options

    return [
        {
            "name": name,
            "summary": kind.summary
            + ("; several objectives" if kind.several_objectives else "")
            + ("; takes clues" if kind.takes_clues else ""),
            "options": searcher_options(name),
        }
        for name, kind in SEARCHERS.items()
    ]


def _methods() -> list[dict[str, Any]]:
    from archwright.supernet.methods import METHODS

    return [{"name": name, "summary": method.summary} for name, method in METHODS.items()]


def _data() -> list[dict[str, Any]]:
    from archwright.data import SOURCES

    return [{"name": name, "summary": summary} for name, summary in SOURCES.items()]


def _metrics() -> list[dict[str, Any]]:
    from archwright.evaluate.metrics import METRICS

    return [{"name": m.name, "summary": f"{m.summary} ({m.direction})", "needs": m.needs} for m in METRICS.values()]


def _training() -> list[dict[str, Any]]:
    from archwright.evaluate import Training

    defaults = Training()
    return [{"name": f.name, "summary": f"default {getattr(defaults, f.name)}"} for f in fields(defaults)]


def _tables() -> list[dict[str, Any]]:
    from archwright.tables import KNOWN, data_folders
    from archwright.tables.known import SHIPPED, SUFFIX
    from archwright.tables.surrogate import SURROGATES

    shipped = [
        {"name": f.name.removesuffix(SUFFIX), "summary": "comes with Archwright"} for f in SHIPPED.glob(f"*{SUFFIX}")
    ]
    here = [f for folder in data_folders() if folder.is_dir() for f in sorted(folder.glob(f"*{SUFFIX}"))]
    own = [{"name": f.name.removesuffix(SUFFIX), "summary": str(f)} for f in here]
    published = [{"name": name, "summary": f"{known.summary}; from {known.file}"} for name, known in KNOWN.items()]
    surrogates = [{"name": name, "summary": f"{text}; from {file}"} for name, (text, file) in SURROGATES.items()]
    return shipped + own + published + surrogates


def _proxies() -> list[dict[str, Any]]:
    from archwright.proxies import PROXIES

    return [
        {"name": p.name, "summary": f"{p.summary} ({p.source}); needs {p.needs}", "needs": p.needs}
        for p in PROXIES.values()
    ]
