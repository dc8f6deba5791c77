"""The HTML page: one file, no network."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from archwright.report.importance import FEWEST, Importance
from archwright.report.style import duration, number
from archwright.study.record import StudyRecord, Trial

CSS = """
:root{--ink:#222;--soft:#5d6670;--line:#e3e7eb;--card:#f6f8fa;--accent:#0072B2;--paper:#fff}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 28px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:20px;margin:52px 0 6px;padding-top:14px;border-top:1px solid var(--line)}
p{max-width:76ch}.lead{color:var(--soft);margin:0 0 24px}.caption{color:var(--soft);font-size:14px;margin:4px 0 12px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:12px;margin:20px 0}
.card{background:var(--card);border-radius:10px;padding:14px 16px}.card b{display:block;font-size:24px;line-height:1.25;
font-weight:650;font-variant-numeric:tabular-nums}.card.main{background:#e8f2f9}.card span{font-size:13px;color:var(--soft)}
figure{margin:14px 0}figure svg{width:100%;height:auto;max-width:100%}figure.narrow svg{max-width:720px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:7px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--soft);cursor:default}table.sortable th{cursor:pointer}th:first-child,td:first-child,td.text,th.text{text-align:left}
td.text{white-space:normal;min-width:260px;font-size:13px;color:var(--soft)}tr.chosen td{background:#e8f2f9;font-weight:600}
code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace}
pre{background:var(--card);padding:14px 16px;border-radius:10px;white-space:pre-wrap;overflow-wrap:anywhere}
footer{color:var(--soft);font-size:13px;margin-top:48px}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}figure,.cards,table{break-inside:avoid}}
"""
JS = """
for(const t of document.querySelectorAll('table.sortable'))t.tHead.rows[0].querySelectorAll('th').forEach((h,i)=>
h.addEventListener('click',()=>{const up=h.dataset.up!=='1';h.dataset.up=up?'1':'';const k=r=>{const c=r.cells[i];
const v=c.dataset.v??c.textContent;return isNaN(v)||v===''?v:+v};const b=t.tBodies[0];[...b.rows].sort((x,y)=>{
const a=k(x),c=k(y);return (a>c?1:a<c?-1:0)*(up?1:-1)}).forEach(r=>b.append(r))}));
"""
Figures = Mapping[str, str]


def page(record: StudyRecord, figures: Figures, found: Importance | None, title: str | None) -> str:
    """The whole page; ``figures`` are SVG texts by name."""
    heading = title or f"{record.family.name} on {_data_name(record)}"
    parts = [
        f"<h1>{escape(heading)}</h1>",
        f'<p class="lead">{escape(_lead(record))}</p>',
        _cards(record),
        _final_table(record),
        _section("How the search went", _progress_caption(record), _figure(figures, "progress")),
        _section(_trade_off_title(record), _trade_off_caption(record), _figure(figures, "trade_off", narrow=True)),
        _section(
            "The network that was chosen", _architecture_caption(record), _figure(figures, "architecture", narrow=True)
        ),
        _section("Learning curves", _curves_caption(), _figure(figures, "curves")),
        _importance(record, figures, found),
        _section("The best trials", "Click on a column's name to sort by it.", _trials_table(record)),
        _section("What did not end well", "", _failures(record)),
        _section("What it cost", _cost_caption(record), _figure(figures, "costs", narrow=True)),
        _section("How to repeat it", "", _repeat(record)),
        f"<footer>Made by Archwright on {datetime.now():%Y-%m-%d %H:%M}. This page needs no network.</footer>",
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(heading)}</title>'
        f"<style>{CSS}</style></head>\n<body><main>\n{body}\n</main><script>{JS}</script></body></html>\n"
    )


def _section(title: str, caption: str, content: str) -> str:
    if not content:
        return ""
    said = f'<p class="caption">{escape(caption)}</p>' if caption else ""
    return f"<h2>{escape(title)}</h2>\n{said}\n{content}"


def _figure(figures: Figures, name: str, narrow: bool = False) -> str:
    return f'<figure class="{"narrow" if narrow else ""}">{figures[name]}</figure>' if name in figures else ""


def _data_name(record: StudyRecord) -> str:
    data = record.settings.get("data")
    return data["name"] if data else "a function of the user's"


def _goal_words(record: StudyRecord) -> str:
    words = " and ".join(f"{o.direction} {o.metric.replace('_', ' ')}" for o in record.goal.objectives)
    bounds = ", ".join(str(b) for b in record.goal.bounds)
    return words + (f", subject to {bounds}" if bounds else "")


def _lead(record: StudyRecord) -> str:
    size = record.family.space.size
    among = f"among {size:,} architectures" if size else "in a space without a finite size"
    name = record.settings.get("searcher", {}).get("name", "?")
    begun = min((t.started for t in record.trials), default=None)
    when = f" Begun on {datetime.fromtimestamp(begun):%Y-%m-%d %H:%M}." if begun else ""
    return f"A search to {_goal_words(record)}, {among}, by the searcher {name}.{when}"


def _card(value: str, words: str, main: bool = False) -> str:
    return f'<div class="card{" main" if main else ""}"><b>{escape(value)}</b><span>{escape(words)}</span></div>'


def _cards(record: StudyRecord) -> str:
    cards = []
    final = record.final
    best = record.best
    if final is not None:
        for name in _scores(record)[:2]:
            low, high = final["test"].get(f"{name}_low"), final["test"].get(f"{name}_high")
            interval = f", 95 % interval {low:.3f} to {high:.3f}" if low is not None and high is not None else ""
            cards.append(_card(f"{final['test'][name]:.4f}", f"test {name.replace('_', ' ')}{interval}", main=True))
        chosen = final["candidates"][final["winner"]]["validation"]
        cards += [_card(number(chosen[n]), n) for n in _static(record) if chosen.get(n) is not None]
    elif best is not None:
        kind = "best" if record.settings.get("evaluate") else "best validation"
        for o in record.goal.objectives:
            words = f"{kind} {o.metric.replace('_', ' ')}"
            cards.append(_card(number(best.evaluation.metrics[o.metric]), words, True))
    paid = len(record.trials) - record.count("infeasible")
    stopped = sum(t.stopped_early for t in record.trials)
    short = sum(t.fidelity < 1 for t in record.trials)
    shortened = f", {short} short by plan" if short else ""
    cards += [
        _card(f"{paid}", f"evaluations, {record.count('failed')} failed, {stopped} stopped early{shortened}"),
        _card(f"{record.equivalents:.4g}", "equivalents of a full evaluation"),
        _card(f"{record.count('infeasible')}", "infeasible candidates, most at no cost"),
        _card(f"{record.repeats}", "repeats answered from the cache"),
        _card(duration(record.seconds), "time of the search"),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _scores(record: StudyRecord) -> list[str]:
    """Test metrics to show: the objectives, then accuracy and AUC."""
    measured = {} if record.final is None else record.final["test"]
    wanted = [*(o.metric for o in record.final_goal.objectives), "accuracy", "auc"]
    return [n for n in dict.fromkeys(wanted) if measured.get(n) is not None]


def _static(record: StudyRecord) -> list[str]:
    wanted = [o.metric for o in record.final_goal.objectives] + [b.metric for b in record.goal.bounds] + ["params"]
    return [
        n
        for n in dict.fromkeys(wanted)
        if n in ("params", "macs", "flops", "latency_ms", "throughput", "activation_mb", "peak_memory_mb")
    ]


def _final_table(record: StudyRecord) -> str:
    final = record.final
    if final is None:
        return ""
    scores = _scores(record)
    static = _static(record)

    def row(kind: str, validation: Mapping[str, Any], test: Mapping[str, Any], css: str = "") -> str:
        cells = []
        for name in scores:
            low, high = test.get(f"{name}_low"), test.get(f"{name}_high")
            interval = f" <small>({low:.3f}–{high:.3f})</small>" if low is not None and high is not None else ""
            cells.append(f"<td>{number(test.get(name))}{interval}</td>")
        cells += [f"<td>{number(validation.get(name))}</td>" for name in static]
        return f'<tr class="{css}"><td>{escape(kind)}</td>{"".join(cells)}</tr>'

    chosen = final["candidates"][final["winner"]]
    rows = [row(f"found (trial {chosen['number']})", chosen["validation"], final["test"], "chosen")]
    for b in final["baselines"]:
        broken = "; breaks a bound" if record.goal.broken(b["validation"]) else ""
        rows.append(row(f"{b['kind']} architecture{broken}", b["validation"], b["test"]))
    head = "".join(f"<th>{escape(n)}</th>" for n in ["network", *(f"test {s}" for s in scores), *static])
    epochs = final.get("training", {}).get("epochs", "?")
    caption = (
        f"The best candidates and the baselines were trained for {epochs} epochs in the same way. The network was chosen by "
        "its validation metrics; only then was the test split used. Brackets are 95 % intervals."
    )
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    return _section("What the search brought", caption, table)


def _progress_caption(record: StudyRecord) -> str:
    learned = "".join(f" What the searcher learned: {remark}." for remark in record.remarks)
    return _progress_words(record) + learned


def _progress_words(record: StudyRecord) -> str:
    if len(record.goal.objectives) > 1:
        return (
            "Hypervolume: the share of the box between the worst and the best of what was seen that the front covers. "
            "A curve that has levelled off says that more budget would bring little."
        )
    return "Each dot is one evaluation; the line is the best so far. A line that has levelled off says that more budget would bring little."


def _trade_off_title(record: StudyRecord) -> str:
    return "What it costs to be better" if len(record.goal.objectives) > 1 else "Quality against size"


def _trade_off_caption(record: StudyRecord) -> str:
    if len(record.goal.objectives) > 1:
        return "Each point is one network of the search. No network is better than those on the front in every objective at once."
    return "Each point is one network of the search, against its number of parameters."


def _architecture_caption(record: StudyRecord) -> str:
    architecture = chosen_architecture(record)
    if architecture is None:
        return ""
    if record.family.genotypes is not None:
        return (
            "Operations on the arrows; edges that carry nothing are left out. The cell is repeated through the network."
        )
    return "The chosen value of each parameter, among its alternatives."


def chosen_architecture(record: StudyRecord) -> Any:
    """The architecture chosen at the end, or the best so far."""
    from archwright.space import Architecture

    if record.final is not None:
        return Architecture(record.final["candidates"][record.final["winner"]]["architecture"])
    return None if record.best is None else record.best.architecture


def _curves_caption() -> str:
    return (
        "Grey: every trial. Colour: the best ones. Curves that cross late say that short trainings rank networks badly."
    )


def _importance(record: StudyRecord, figures: Figures, found: Importance | None) -> str:
    if found is None:
        if not record.ok:
            return ""
        said = f"<p>Too few different trials to say ({len(record.ok)}; it takes {FEWEST}).</p>"
        return _section("What mattered", "", said)
    trust = "well" if found.r2 > 0.5 else "only in part" if found.r2 > 0.1 else "hardly, so read this with caution"
    caption = (
        f"How much worse a random forest, fitted to {found.trials} trials, predicts {found.metric.replace('_', ' ')} when one "
        f"parameter is shuffled. It explains unseen trials {trust} (out-of-bag R² {found.r2:.2f}). Below: each trial at its "
        "value of the parameters that mattered most, with the mean as a line."
    )
    return _section("What mattered", caption, _figure(figures, "importance", True) + _figure(figures, "effects"))


def _trials_table(record: StudyRecord, most: int = 20) -> str:
    ranked = record.ranked()[:most]
    if not ranked:
        return ""
    wanted = [o.metric for o in record.goal.objectives] + ["accuracy", "auc", "loss", "params", "macs", "latency_ms"]
    names = [n for n in dict.fromkeys(wanted) if any(n in t.evaluation.metrics for t in ranked)]
    head = "".join(f"<th>{escape(n)}</th>" for n in ["rank", "trial", *names, "epochs", "seconds"])
    rows = "".join(_trial_row(i, t, names, _is_chosen(record, t)) for i, t in enumerate(ranked, start=1))
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}<th class="text">architecture</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _is_chosen(record: StudyRecord, trial: Trial) -> bool:
    final = record.final
    return final is not None and final["candidates"][final["winner"]]["number"] == trial.number


def _trial_row(rank: int, trial: Trial, names: Sequence[str], chosen: bool) -> str:
    def cell(value: float | None) -> str:
        return f'<td data-v="{"" if value is None else value}">{number(value)}</td>'

    metrics = trial.evaluation.metrics
    values = "".join(cell(metrics.get(n)) for n in names)
    rest = cell(len(trial.evaluation.curve)) + cell(trial.evaluation.seconds)
    css = ' class="chosen"' if chosen else ""
    return f'<tr{css}><td>{rank}</td><td>{trial.number}</td>{values}{rest}<td class="text">{escape(str(trial.architecture))}</td></tr>'


def _failures(record: StudyRecord) -> str:
    reasons = Counter(
        (t.evaluation.status, t.evaluation.reason) for t in record.trials if t.evaluation.status != "ok"
    ).most_common(15)
    if not reasons:
        return ""
    rows = "".join(
        f'<tr><td>{n}</td><td class="text">{escape(s)}</td><td class="text">{escape(r)}</td></tr>'
        for (s, r), n in reasons
    )
    return (
        '<div class="scroll"><table><thead><tr><th>trials</th><th class="text">outcome</th><th class="text">reason</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _cost_caption(record: StudyRecord) -> str:
    training = sum(t.evaluation.seconds for t in record.trials)
    final = "" if record.final is None else f", and {duration(record.final['seconds'])} for the trainings at the end"
    return (
        f"{duration(training)} of evaluations by {record.settings.get('workers', 0) or 1} worker(s) in {duration(record.seconds)} "
        f"of wall time{final}. {record.repeats} repeats and {record.count('infeasible')} infeasible candidates cost little or nothing."
    )


def _repeat(record: StudyRecord) -> str:
    settings = record.settings
    command = settings.get("command") or []
    lines = shlex.join(command) if command else "# this study was made from Python"
    data = settings.get("data") or {}
    facts = {
        "seed": settings.get("seed"),
        "data": f"{data.get('source')} (fingerprint {data.get('fingerprint')})" if data else None,
        "splits": ", ".join(f"{k} {v:,}" for k, v in data.get("sizes", {}).items()) or None,
        "notes": "; ".join(data.get("notes", [])) or None,
        "training": ", ".join(f"{k}={v}" for k, v in (settings.get("training") or {}).items()) or None,
        "versions": ", ".join(f"{k} {v}" for k, v in settings.get("versions", {}).items()),
        "study": str(record.path),
    }
    rows = "".join(
        f'<tr><td>{k}</td><td class="text">{escape(str(v))}</td></tr>' for k, v in facts.items() if v is not None
    )
    return f"<pre>{escape(lines)}</pre><table><tbody>{rows}</tbody></table>"
