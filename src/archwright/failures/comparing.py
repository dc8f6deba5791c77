"""Policies compared on a table, by the two metrics of the case study (Ouertatani, section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from archwright.failures.search import find_failures
from archwright.failures.subdomains import SubdomainTable, coverage
from archwright.report import style


@dataclass(frozen=True)
class Compared:
    """What the policies found, each ``seeds x budget``.

    Attributes:
        coverages: metric 1, share of the worst conditions found after 1, 2, ... evaluations.
        accuracies: metric 2, accuracies of the conditions looked at.
    """

    coverages: Mapping[str, NDArray[np.float64]]
    accuracies: Mapping[str, NDArray[np.float64]]

    def summary(self) -> list[dict[str, Any]]:
        """Per policy the mean coverage at the end, its standard deviation over seeds, and the mean accuracy looked at."""
        return [
            {
                "policy": name,
                "coverage": float(found[:, -1].mean()),
                "coverage_std": float(found[:, -1].std()),
                "mean_accuracy": float(self.accuracies[name].mean()),
            }
            for name, found in self.coverages.items()
        ]


def compare_policies(
    table: SubdomainTable, policies: Sequence[str], *, budget: int = 61, seeds: int = 20, share: float = 0.1
) -> Compared:
    """Run every policy with seeds 0, 1, ... on a table.

    Raises:
        SettingsError: an unknown policy or a budget below 1.
    """
    coverages, accuracies = {}, {}
    for policy in policies:
        runs = [find_failures(table, policy=policy, budget=budget, seed=seed) for seed in range(seeds)]
        coverages[policy] = np.stack([coverage(run.visited, table, share) for run in runs])
        accuracies[policy] = np.array([run.accuracies for run in runs])
    return Compared(coverages, accuracies)


def draw(compared: Compared, share: float = 0.1) -> Figure:
    """Both metrics: coverage over evaluations, and the distribution of accuracies."""
    figure, (left, right) = style.new_figure(10, 3.8, 1, 2)
    for (name, found), colour in zip(compared.coverages.items(), style.PALETTE):
        left.plot(np.arange(1, found.shape[1] + 1), found.mean(axis=0), color=colour, label=name)
    left.set_xlabel("conditions evaluated")
    left.set_ylabel(f"share of the worst {share:.0%} found")
    left.legend(loc="best")
    right.boxplot([values.ravel() for values in compared.accuracies.values()], showfliers=False)
    right.set_xticks(range(1, len(compared.accuracies) + 1), list(compared.accuracies), rotation=20)
    right.set_ylabel("accuracy in the conditions evaluated")
    return figure
