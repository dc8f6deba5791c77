"""The model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archwright.data import Data
from archwright.export.model import Model
from archwright.families import Family
from archwright.shapes import Bands

PROTOCOL = (
    "The test split was used once, after the network had been chosen by its validation metrics. Intervals are of 95 %."
)
MANY = 40
"""Parameters of an architecture beyond which switches that are off are not listed."""


def model_card(
    model: Model,
    family: Family,
    data: Data,
    metrics: Mapping[str, Any],
    settings: Mapping[str, Any],
    onnx: str,
) -> str:
    """A model card in Markdown: what it is, how good, how found, how to use it."""
    test = metrics.get("test") or {}
    parts = [
        f"# {family.name} for {data.name}",
        f"A classifier of {data.num_classes} classes ({_few(data.classes)}), found by neural architecture search "
        f"with Archwright and trained on {settings.get('examples', len(data.train)):,} examples of `{data.name}`.",
        "## How good it is",
        _scores(metrics.get("validation") or {}, test),
        _baselines(metrics.get("baselines") or [], test),
        settings.get("protocol", PROTOCOL),
        "## Architecture",
        _architecture(model.architecture),
        "## How it was found",
        _search(settings),
        "## Data",
        _data(data),
        "## How to use it",
        _usage(model, onnx),
        "## Limits",
        "It knows the kind of data that it was trained on and nothing else: inputs of another source, camera or population "
        "can be misclassified with high confidence. Check it on data of your own before you rely on it, and do not use it "
        "for decisions about people without supervision.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _few(names: tuple[str, ...], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _scores(validation: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    names = [n for n in validation if n in test or n in ("params", "macs", "latency_ms")]
    names += [n for n in test if n not in names and not n.endswith(("_low", "_high"))]
    rows = []
    for name in names:
        low, high = test.get(f"{name}_low"), test.get(f"{name}_high")
        interval = "" if low is None or high is None else f"{low:.4f} to {high:.4f}"
        rows.append(f"| {name} | {_number(validation.get(name))} | {_number(test.get(name))} | {interval} |")
    return "| metric | validation | test | test, interval |\n|---|---|---|---|\n" + "\n".join(rows)


def _baselines(baselines: list[Mapping[str, Any]], test: Mapping[str, Any]) -> str:
    if not baselines:
        return ""
    names = [n for n in ("accuracy", "balanced_accuracy", "auc") if n in test]
    rows = [f"| found | {' | '.join(_number(test.get(n)) for n in names)} |"]
    rows += [f"| {b['kind']} | {' | '.join(_number(b['test'].get(n)) for n in names)} |" for b in baselines]
    head = f"| network | {' | '.join(f'test {n}' for n in names)} |\n|---|{'---|' * len(names)}\n"
    return "Other architectures of the same space, trained in the same way:\n\n" + head + "\n".join(rows)


def _search(settings: Mapping[str, Any]) -> str:
    goal = settings.get("goal", {})
    wanted = ", ".join(f"{direction} {metric}" for metric, direction in goal.get("objectives", []))
    bounds = ", ".join(f"{m} {kind.replace('_', ' ')} {limit:g}" for m, kind, limit in goal.get("bounds", []))
    command = " ".join(settings.get("command") or [])
    lines = [f"- goal: {wanted}{'; ' + bounds if bounds else ''}"] if wanted else []
    lines.append(f"- searcher: {settings.get('searcher', {}).get('name')}, seed {settings.get('seed')}")
    if "versions" in settings:
        lines.append(f"- versions: {', '.join(f'{k} {v}' for k, v in settings['versions'].items())}")
    return "\n".join(lines) + (f"\n\n```\n{command}\n```" if command else "")


def _data(data: Data) -> str:
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in data.splits.items())
    notes = "".join(f"\n- {note}" for note in data.notes)
    return f"- source: `{data.source}`, fingerprint `{data.fingerprint}`\n- inputs {data.input_shape}; {sizes}{notes}"


def _architecture(architecture: Mapping[str, Any]) -> str:
    """Its parameters; of many, those that are no switches left off."""
    off = [name for name, value in architecture.items() if value is False]
    left_out = set(off) if len(architecture) > MANY else set()
    rows = [f"| {name} | {value} |" for name, value in architecture.items() if name not in left_out]
    head = f"{len(left_out)} parameters that are False are left out.\n\n" if left_out else ""
    return f"{head}| parameter | value |\n|---|---|\n" + "\n".join(rows)


def _usage(model: Model, onnx: str) -> str:
    shape, given, fed = _forms(model)
    units = "bytes, 0 to 255" if model.byte_inputs else "floats in the units of the training data"
    return f"""Inputs are *raw*: `{shape}`, {units}. The normalisation is part of the model.

```python
import archwright

model = archwright.load("path/of/this/folder")
answer = model.predict({given})  # answer.names, answer.probabilities
```

```
archwright predict path/of/this/folder {"new.npz" if isinstance(model.input_shape, Bands) else "new_images/"}
```

ONNX (`model.onnx`): {onnx}.

```python
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
(logits,) = session.run(None, {{{fed}}})
```"""


def _forms(model: Model) -> tuple[str, str, str]:
    """Shape of a batch, and how images are given to ``predict`` and to ONNX."""
    shape = model.input_shape
    if not isinstance(shape, Bands):
        return f"batch x {' x '.join(map(str, shape))}", "images", '"input": images.astype("float32")'
    given = ", ".join(f'"{band}": images["{band}"]' for band in shape.images)
    fed = ", ".join(f'"{band}": images["{band}"].astype("float32")' for band in shape.images)
    return f"batch x {shape} (one array for each band)", f"{{{given}}}", fed


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{int(value):,}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.4f}"
