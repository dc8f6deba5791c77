"""What weight inheritance saves: local search with and without it, on real data.

python perf/inheritance.py [--data digits] [--limit 300] [--family cnn] [--epochs 9] [--budget 30] [--seeds 5]

Per variant and over the seeds: what the search spent (in trainings of all epochs, and seconds), the best validation loss it saw,
the test accuracy of the winner trained from scratch, and how well the losses of the search agree with those of trainings from
scratch of the same architectures (Spearman, two further seeds each).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import archwright as aw
from archwright.data import load_data
from archwright.evaluate import NetworkEvaluator, Training
from archwright.evaluation import Goal, Objective
from archwright.families import get_family
from archwright.study.final import FinalSettings

GOAL = Goal((Objective("loss", "minimize"),))


def one(variant: dict[str, Any], options: argparse.Namespace, seed: int) -> tuple[float, ...]:
    """Equivalents, seconds, best loss, test accuracy of the winner, agreement with trainings from scratch."""
    data = load_data(options.data, limit=options.limit)
    with tempfile.TemporaryDirectory() as folder:
        result = aw.search(
            get_family(options.family), data=data, objectives=GOAL, searcher="ls", budget=options.budget,
            epochs=options.epochs, study=Path(folder) / "study", seed=seed,
            final=FinalSettings(1, options.final_epochs, 0, False), **variant,
        )  # fmt: skip
        assert result.best is not None
        assert result.test is not None
        trials = result.record.ok
        rng = np.random.default_rng(seed)
        some = [trials[i] for i in rng.choice(len(trials), min(options.again, len(trials)), replace=False)]
        fresh = NetworkEvaluator(get_family(options.family), data, Training(epochs=options.epochs), GOAL)
        again = [np.mean([fresh(t.architecture, seed=s).metrics["loss"] for s in (901, 902)]) for t in some]
        agreement = spearmanr([t.evaluation.metrics["loss"] for t in some], again).statistic
        record = result.record
        best = min(t.evaluation.metrics["loss"] for t in trials)
        return record.equivalents, record.seconds, best, result.test["accuracy"], float(agreement)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--family", default="cnn")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--final-epochs", type=int, default=18)
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--again", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    third = max(1, options.epochs // 3)
    variants: dict[str, dict[str, Any]] = {
        "from scratch": {},
        "inherited, all epochs": {"inherit": True},
        f"inherited, {third} epochs": {"inherit": True, "inherit_epochs": third},
    }
    names = ("equivalents", "seconds", "best loss", "test accuracy", "agreement")
    print(f"{'':24}" + "".join(f"{n:>20}" for n in names))
    for name, variant in variants.items():
        rows = np.array([one(variant, options, seed) for seed in range(options.seeds)])
        cells = [f"{m:10.4g} ± {s:<7.3g}" for m, s in zip(rows.mean(axis=0), rows.std(axis=0, ddof=1))]
        print(f"{name:24}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
