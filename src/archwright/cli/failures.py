"""``archwright failures``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError


def failures(
    source: Annotated[
        Path,
        typer.Argument(
            help="A CSV file with all conditions and accuracies, or a .py file with space and evaluate(condition)."
        ),
    ],
    policy: Annotated[
        list[str],
        typer.Option(
            help="greedy-bo, deep-bo, genetic, random, combinatorial or oracle; repeat it to compare on a table (default: all but deep-bo).",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    budget: Annotated[int, typer.Option(help="Conditions to evaluate.")] = 61,
    value: Annotated[str, typer.Option(help="The CSV file's column with accuracies.")] = "accuracy",
    share: Annotated[float, typer.Option(help="Share of conditions that counts as the worst.")] = 0.1,
    seeds: Annotated[int, typer.Option(help="Runs of each policy on a table.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of a search with a .py file.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="For a table: the figure's file (.png, .svg). For a .py file: a CSV file of what was evaluated, written as it "
            "goes; the same command continues from it.",
            show_default=False,
        ),
    ] = None,
    json: common.Json = False,
) -> None:
    """Find the conditions in which a classifier fails, or compare policies on a table of all answers."""
    if not 0 < share <= 1:
        raise SettingsError(f"--share must be above 0 and at most 1, not {share:g}")
    if seeds < 1:
        raise SettingsError(f"--seeds must be at least 1, not {seeds}")
    if source.suffix == ".py":
        if len(policy) > 1:
            raise SettingsError("a .py file is searched with one --policy; comparisons need a table of all answers")
        _search(source, policy[0] if policy else "greedy-bo", budget, seed, out, json)
    else:
        _compare(source, policy, budget, value, share, seeds, out, json)


def _search(source: Path, policy: str, budget: int, seed: int, out: Path | None, json: bool) -> None:
    from archwright.failures.files import Journal, conditions_from_file
    from archwright.failures.search import find_failures

    space, evaluate = conditions_from_file(source)
    journal = Journal(out, space)
    with common.counting(budget, "conditions", quiet=json) as advance:

        def told(condition: Any, accuracy: float) -> None:
            journal.write(condition, accuracy)
            advance(f"{accuracy:.3g}")

        found = find_failures(
            evaluate, space, policy=policy, budget=budget, seed=seed, known=journal.known, on_condition=told
        )
    worst = found.worst()
    if json:
        rows = [{"condition": c.to_json(), "accuracy": a} for c, a in worst]
        common.print_json(
            {"policy": policy, "evaluated": len(found.visited), "failed": len(found.reasons), "worst": rows}
        )
    else:
        cells = [[str(condition), common.number(accuracy)] for condition, accuracy in worst]
        common.console().print(common.table("Lowest accuracies found", ["condition", "accuracy"], cells))
        common.console().print(f"{len(found.visited)} conditions evaluated, {len(found.reasons)} failed")
        for condition, reason in list(found.reasons.items())[:3]:
            common.console().print(f"failed: {condition}: {reason}", style="dim")
    if not worst:
        raise typer.Exit(1)


def _compare(
    source: Path,
    policies: list[str],
    budget: int,
    value: str,
    share: float,
    seeds: int,
    out: Path | None,
    json: bool,
) -> None:
    from archwright.failures.comparing import compare_policies, draw
    from archwright.failures.policies import COMPARED
    from archwright.failures.subdomains import read_subdomains

    if out is not None and out.suffix not in (".png", ".svg", ".pdf"):
        raise SettingsError(f"--out of a table is a figure: name a .png, .svg or .pdf file, not {out}")
    compared = compare_policies(
        read_subdomains(source, value), policies or list(COMPARED), budget=budget, seeds=seeds, share=share
    )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        draw(compared, share).savefig(out, dpi=150, bbox_inches="tight")
    summary = compared.summary()
    if json:
        common.print_json({"budget": budget, "seeds": seeds, "share": share, "policies": summary})
        return
    cells = [
        [row["policy"], f"{row['coverage']:.1%} ± {row['coverage_std']:.1%}", f"{row['mean_accuracy']:.3f}"]
        for row in summary
    ]
    title = f"After {budget} conditions, mean of {seeds} seeds"
    columns = ["policy", f"worst {share:.0%} found", "accuracy where it looked"]
    common.console().print(common.table(title, columns, cells))
