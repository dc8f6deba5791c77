"""What ``archwright search`` prints at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archwright.cli import common

if TYPE_CHECKING:
    from archwright.study.result import Result


def summarise(result: Result) -> None:
    """Counts, the front, the best, what it came to when trained in full, and the files."""
    record = result.record
    out = common.console()
    objectives = [o.metric for o in record.goal.objectives]
    paid = len(record.trials) - record.count("infeasible")
    out.print(
        f"\n[bold]{paid} evaluations[/bold] by {record.settings['searcher']['name']} "
        f"({record.count('failed')} failed), {record.count('infeasible')} infeasible at no "
        f"cost, {record.repeats} repeats from the cache; {result.reason}",
        markup=True,
    )
    for remark in record.remarks:
        out.print(remark, style="dim")
    best = result.best
    if best is None:
        reasons = {t.evaluation.reason for t in record.trials if t.evaluation.reason}
        out.print(common.labelled("No evaluation ended well.", "; ".join(sorted(reasons)[:3]), "red"))
        return
    if len(objectives) > 1:
        rows = [[str(t.number), *(common.number(t.evaluation.metrics[m]) for m in objectives)] for t in record.pareto]
        out.print(common.table("Pareto front of the search", ["trial", *objectives], rows))
    out.print(common.labelled("best", f"trial {best.number}: {best.architecture}", "bold"))
    out.print(f"      in the search: {common.metrics_line(best.evaluation.metrics, [*objectives, 'params', 'macs'])}")
    if record.final is not None:
        out.print(_comparison(record.final, [o.metric for o in record.final_goal.objectives]))
    for kind, file in result.files.items():
        out.print(common.labelled(f"{kind:>12}", file), soft_wrap=True)


def _comparison(final: Any, objectives: list[str]) -> Any:
    chosen = final["candidates"][final["winner"]]
    scores = list(dict.fromkeys([*(m for m in objectives if m in final["test"]), "accuracy", "auc"]))
    static = [m for m in objectives if m not in final["test"] and m != "params"]
    rows = [["found", *_cells(chosen["validation"], final["test"], scores, static)]]
    rows += [[b["kind"], *_cells(b["validation"], b["test"], scores, static)] for b in final["baselines"]]
    return common.table(
        "Trained in full; test split, with 95 % interval",
        ["network", *(f"test {s}" for s in scores), *static, "params"],
        rows,
    )


def _cells(validation: Any, test: Any, scores: list[str], static: list[str]) -> list[str]:
    cells = []
    for name in scores:
        low, high = test.get(f"{name}_low"), test.get(f"{name}_high")
        interval = "" if low is None or high is None else f" ({low:.3f}-{high:.3f})"
        cells.append(common.number(test.get(name)) + interval)
    return [*cells, *(common.number(validation.get(m)) for m in static), common.number(validation.get("params"))]
