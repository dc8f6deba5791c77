"""What a network can be judged by: the catalogue of metrics, and those that come from predictions.

Predictions are ``logits`` (``n x classes``, float) against ``targets`` (``n``, int). All of it is numpy: an
evaluation crosses from the device to here once. Definitions follow the MedMNIST evaluator for accuracy and AUC and
scikit-learn for balanced accuracy and F1, with which the tests compare. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluation import Direction, Goal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Needs = Literal["training", "network", "device"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as written in objectives and bounds.
        direction: the one that is usually wanted.
        summary: one line, with the unit.
        needs: a trained network (``training``), only its structure (``network``), or the device it runs on
            (``device``). Bounds on the last two are checked before training.
    """

    name: str
    direction: Direction
    summary: str
    needs: Needs


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "maximize", "share of correct answers", "training"),
        Metric("balanced_accuracy", "maximize", "mean over classes of the share found", "training"),
        Metric(
            "auc", "maximize", "area under the ROC curve; several classes: mean of one against the rest", "training"
        ),
        Metric("f1", "maximize", "F1 score, unweighted mean over classes", "training"),
        Metric(
            "f_beta",
            "maximize",
            "largest F score over thresholds, beta^2 = 0.001; several classes: mean of one against the rest",
            "training",
        ),
        Metric("loss", "minimize", "cross-entropy, nats per example", "training"),
        Metric("seconds", "minimize", "time of the training, s", "training"),
        Metric("params", "minimize", "parameters, frozen ones included", "network"),
        Metric("trainable_params", "minimize", "parameters that training changes", "network"),
        Metric("macs", "minimize", "multiply-accumulates of one example (convolutions and products)", "network"),
        Metric("flops", "minimize", "floating-point operations of one example, 2 x macs", "network"),
        Metric("activation_mb", "minimize", "outputs of all layers for one example, MB (10^6 bytes)", "network"),
        Metric("peak_memory_mb", "minimize", "weights and live activations while predicting, MB", "device"),
        Metric("training_memory_mb", "minimize", "estimate for one training step, MB", "device"),
        Metric("latency_ms", "minimize", "time to predict one batch, median, ms", "device"),
        Metric("throughput", "maximize", "examples predicted per second", "device"),
    )
}

PREDICTIVE = ("loss", "accuracy", "balanced_accuracy", "auc", "f1", "f_beta")
"""The metrics that :func:`score` gives, in this order."""

BETA_SQUARED = 1e-3
"""Of ``f_beta``: precision counts nearly alone, as where positives are far rarer in use than in the data."""


def natural_direction(name: str) -> Direction:
    """Whether more or less of a metric is usually wanted.

    Raises:
        SettingsError: there is no such metric.
    """
    if name not in METRICS:
        raise SettingsError(unknown("metric", name, METRICS))
    return METRICS[name].direction


def check_metrics(goal: Goal) -> None:
    """Refuse a goal with a metric that the catalogue does not have.

    Raises:
        SettingsError: with near matches.
    """
    for name in goal.metrics:
        natural_direction(name)


def score(logits: Floats, targets: Ints) -> dict[str, float]:
    """Every metric of :data:`PREDICTIVE`. NaN where one is undefined (see :func:`auc`)."""
    counts = confusion(logits, targets)
    return {
        "loss": float(_losses(logits, targets).mean()),
        "accuracy": float(np.trace(counts) / counts.sum()),
        "balanced_accuracy": float(_balanced_accuracy(counts)),
        "auc": auc(logits, targets),
        "f1": float(_f1(counts)),
        "f_beta": f_beta(logits, targets),
    }


def confusion(logits: Floats, targets: Ints) -> Ints:
    """Counts ``classes x classes``: rows the true class, columns the predicted one (argmax of the logits)."""
    classes = logits.shape[1]
    flat = targets * classes + logits.argmax(axis=1)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def auc(logits: Floats, targets: Ints) -> float:
    """Area under the ROC curve.

    Two classes: of the score of class 1. More: unweighted mean over classes of one against the rest, with softmax
    probabilities as scores. NaN when a class is missing from ``targets`` or a score is not a number.
    """
    if absent_classes(targets, logits.shape[1]) or not np.isfinite(logits).all():
        return float("nan")
    areas = [_weighted_area(*column)[0] for column in _one_against_rest(logits, targets)]
    return float(np.mean(areas))


def f_beta(logits: Floats, targets: Ints, beta_squared: float = BETA_SQUARED) -> float:
    """Largest F score over all thresholds between the scores (Metcalf et al. 2019, the strong-lens challenge).

    ``(1 + b) P R / (b P + R)`` with precision P, recall R and ``b`` = ``beta_squared``; 0 where both are 0. Classes,
    scores and NaN as in :func:`auc`.
    """
    if absent_classes(targets, logits.shape[1]) or not np.isfinite(logits).all():
        return float("nan")
    best = [_weighted_f_beta(*column, beta_squared=beta_squared)[0] for column in _one_against_rest(logits, targets)]
    return float(np.mean(best))


def absent_classes(targets: Ints, classes: int) -> list[int]:
    """Classes without an example, for which AUC is undefined."""
    return [int(c) for c in np.flatnonzero(np.bincount(targets, minlength=classes) == 0)]


def confidence_intervals(
    logits: Floats, targets: Ints, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """``(low, high)`` of each metric of :data:`PREDICTIVE` for the population that the examples stand for.

    Accuracy: Wilson's score interval. The others: percentile bootstrap, resampling within each class.
    """
    tails = (100 * (1 - level) / 2, 100 * (1 + level) / 2)
    rng = np.random.default_rng(seed)
    counts = _resampled_confusion(confusion(logits, targets), rng, resamples)
    drawn = {"balanced_accuracy": _balanced_accuracy(counts), "f1": _f1(counts)}
    drawn |= _resampled_by_weights(logits, targets, rng, resamples)
    found = {"accuracy": wilson(int((logits.argmax(axis=1) == targets).sum()), len(targets), level)}
    for name, values in drawn.items():
        low, high = np.percentile(values, tails)
        found[name] = (float(low), float(high))
    return {name: found[name] for name in PREDICTIVE}


def confidence_interval(
    metric: str, logits: Floats, targets: Ints, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """``(low, high)`` of one metric; see :func:`confidence_intervals`.

    Raises:
        SettingsError: the metric does not come from predictions.
    """
    if metric not in PREDICTIVE:
        raise SettingsError(unknown("metric of predictions", metric, PREDICTIVE))
    return confidence_intervals(logits, targets, level=level, resamples=resamples, seed=seed)[metric]


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share of ``successes`` among ``n`` (Wilson 1927)."""
    from scipy.stats import norm

    z = float(norm.ppf((1 + level) / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, float(centre - half))), min(1.0, max(share, float(centre + half)))


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_sums


def _losses(logits: Floats, targets: Ints) -> Floats:
    """Cross-entropy of each example."""
    with np.errstate(all="ignore"):
        log_probabilities = _log_softmax(logits.astype(np.float64))
    losses: Floats = -log_probabilities[np.arange(len(targets)), targets]
    return losses


def _balanced_accuracy(counts: Ints) -> Floats:
    """Of confusion counts ``... x classes x classes``; classes without examples are left out."""
    totals = counts.sum(axis=-1)
    recalls = np.diagonal(counts, axis1=-2, axis2=-1) / np.maximum(totals, 1)
    mean: Floats = recalls.sum(axis=-1) / (totals > 0).sum(axis=-1)
    return mean


def _f1(counts: Ints) -> Floats:
    """Of confusion counts ``... x classes x classes``; classes neither present nor predicted are left out."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    sizes = counts.sum(axis=-1) + counts.sum(axis=-2)
    mean: Floats = (2 * hits / np.maximum(sizes, 1)).sum(axis=-1) / (sizes > 0).sum(axis=-1)
    return mean


def _one_against_rest(logits: Floats, targets: Ints) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Scores and truth of each class's own ROC curve; for two classes only that of class 1."""
    if logits.shape[1] == 2:
        yield logits[:, 1].astype(np.float64) - logits[:, 0], targets == 1
        return
    probabilities = np.exp(_log_softmax(logits.astype(np.float64)))
    for c in range(logits.shape[1]):
        yield probabilities[:, c], targets == c


def _weighted_area(scores: Floats, truth: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """AUC under each row of ``weights`` (``m x n``; all ones by default): P(positive above negative) + ties / 2."""
    weights = np.ones((1, len(scores))) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    positive = np.add.reduceat(weights[:, order] * truth[order], starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * ~truth[order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    with np.errstate(invalid="ignore"):
        area: Floats = (positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))
    return area


def _weighted_f_beta(
    scores: Floats, truth: NDArray[np.bool_], weights: Floats | None = None, beta_squared: float = BETA_SQUARED
) -> Floats:
    """Largest F score under each row of ``weights`` (``m x n``; all ones by default); equal scores stay together.

    In counts: ``(1 + b) TP / (b positives + predicted)``.
    """
    weights = np.ones((1, len(scores))) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(-scores[order], prepend=-np.inf) > 0)
    hits = np.cumsum(np.add.reduceat(weights[:, order] * truth[order], starts, axis=1), axis=1)
    predicted = np.cumsum(np.add.reduceat(weights[:, order], starts, axis=1), axis=1)
    positives = hits[:, -1:]
    best: Floats = ((1 + beta_squared) * hits / (beta_squared * positives + predicted)).max(axis=1)
    return best


def _resampled_confusion(counts: Ints, rng: np.random.Generator, resamples: int) -> Ints:
    """Confusion counts of resamples: within a class, predictions are a multinomial draw."""
    drawn = np.zeros((resamples, *counts.shape), dtype=np.int64)
    for c, row in enumerate(counts):
        if row.sum():
            drawn[:, c] = rng.multinomial(int(row.sum()), row / row.sum(), size=resamples)
    return drawn


def _resampled_by_weights(logits: Floats, targets: Ints, rng: np.random.Generator, resamples: int) -> dict[str, Floats]:
    """AUC, loss and F_beta of resamples, some at a time so that the weights (``m x n``) stay small."""
    losses = _losses(logits, targets)
    defined = np.isfinite(logits).all() and not absent_classes(targets, logits.shape[1])
    step = max(1, min(resamples, 2_000_000 // len(targets)))
    areas, means, best = [], [], []
    for first in range(0, resamples, step):
        weights = _stratified_weights(targets, rng, min(step, resamples - first))
        means.append(weights @ losses / len(targets))
        if defined:
            columns = list(_one_against_rest(logits, targets))
            areas.append(np.mean([_weighted_area(s, t, weights) for s, t in columns], axis=0))
            best.append(np.mean([_weighted_f_beta(s, t, weights) for s, t in columns], axis=0))
    undefined = [np.full(resamples, np.nan)]
    drawn = {"auc": areas if defined else undefined, "loss": means, "f_beta": best if defined else undefined}
    return {name: np.concatenate(values) for name, values in drawn.items()}


def _stratified_weights(targets: Ints, rng: np.random.Generator, resamples: int) -> Floats:
    """How often each example is drawn in each resample, drawing within classes: ``resamples x n``."""
    weights = np.zeros((resamples, len(targets)))
    for c in np.unique(targets):
        members = np.flatnonzero(targets == c)
        drawn = rng.integers(len(members), size=(resamples, len(members)))
        drawn += len(members) * np.arange(resamples)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=resamples * len(members))
        weights[:, members] = counts.reshape(resamples, len(members))
    return weights
