"""What pages about results share: tables in HTML, Markdown and LaTeX, figures as PNG and SVG, files in a folder."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from archwright.errors import SettingsError
from archwright.report import style
from archwright.report.page import CSS

Rows = Sequence[Sequence[str]]


def html_table(header: Sequence[str], rows: Rows) -> str:
    """A table for a page with :data:`~archwright.report.page.CSS`."""
    head = "".join(f"<th>{escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def markdown_table(header: Sequence[str], rows: Rows) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def latex_table(remark: str, header: Sequence[str], rows: Rows) -> str:
    """A table in LaTeX (booktabs) under a comment."""
    lines = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
    return "\n".join(
        [
            "% " + remark, r"\begin{tabular}{l" + "r" * (len(header) - 1) + "}", r"\toprule",
            " & ".join(map(_tex, header)) + r" \\", r"\midrule", *lines, r"\bottomrule", r"\end{tabular}", "",
        ]
    )  # fmt: skip


def _tex(text: str) -> str:
    for char in "\\&%_#":
        text = text.replace(char, "\\" + char if char != "\\" else r"\textbackslash ")
    return text.replace("±", r"$\pm$").replace("–", "--")


def html_page(title: str, parts: Iterable[str]) -> str:
    """A page that needs no network."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{CSS}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )


def write_files(
    folder: str | Path, texts: Mapping[str, tuple[str, str]], figures: Mapping[str, Figure]
) -> dict[str, str]:
    """Write texts ``{kind: (file name, content)}`` and PNG figures; returns the files by kind or name.

    Raises:
        SettingsError: the folder cannot be written.
    """
    folder = Path(folder)
    files: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(style.RC):
            for name, figure in figures.items():
                figure.savefig(folder / f"{name}.png", dpi=160)
                files[name] = str(folder / f"{name}.png")
        for kind, (name, content) in texts.items():
            (folder / name).write_text(content, encoding="utf-8")
            files[kind] = str(folder / name)
    except OSError as error:
        raise SettingsError(f"the folder {folder} cannot be written: {error.strerror or error}") from error
    return files


def svg(figure: Figure) -> str:
    """A figure as an SVG element, always the same for the same figure."""
    text = io.StringIO()
    with mpl.rc_context(style.RC):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
