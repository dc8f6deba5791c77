"""The application: which command is where."""

from __future__ import annotations

import typer

from archwright.cli import (
    arena,
    cells,
    data,
    export,
    failures,
    hardware,
    listing,
    oneshot,
    oneshotreport,
    predict,
    profile,
    proxies,
    report,
    reproduce,
    search,
    surrogate,
    table,
)

app = typer.Typer(
    name="archwright",
    help="Neural architecture search on your own PyTorch code and data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("search")(search.search)
app.command("oneshot")(oneshot.oneshot)
app.command("report")(report.report)
app.command("oneshot-report")(oneshotreport.oneshot_report)
app.command("export")(export.export)
app.command("predict")(predict.predict)
app.command("profile")(profile.profile)
app.command("failures")(failures.failures)
app.command("arena")(arena.arena)
app.command("reproduce")(reproduce.reproduce)
app.add_typer(data.app, name="data")
app.add_typer(cells.app, name="cells")
app.add_typer(table.app, name="table")
app.add_typer(proxies.app, name="proxies")
app.add_typer(hardware.app, name="hardware")
app.add_typer(surrogate.app, name="surrogate")
app.command("list")(listing.show)


def _version(wanted: bool) -> None:
    if wanted:
        from archwright import __version__

        typer.echo(f"archwright {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass
