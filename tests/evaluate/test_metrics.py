import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from archwright.errors import SettingsError
from archwright.evaluate.metrics import (
    METRICS,
    PREDICTIVE,
    absent_classes,
    auc,
    check_metrics,
    confidence_interval,
    confidence_intervals,
    f_beta,
    natural_direction,
    score,
    wilson,
)
from archwright.evaluation import Bound, Goal, Objective


def predictions(n: int, classes: int, seed: int = 0, skill: float = 1.0, ties: bool = False):
    """Logits with some skill, every class present; with ``ties`` each is there several times."""
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(classes), rng.integers(classes, size=n - classes)])
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), targets] += skill
    if ties:
        logits = logits[rng.integers(1 + n // 4, size=n)]
    return logits, targets


def by_scikit_learn(logits, targets):
    classes = logits.shape[1]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answers = logits.argmax(axis=1)
    columns = [(c, probabilities[:, c].round(12)) for c in range(classes)][classes == 2 :]
    area = (
        reference.roc_auc_score(targets, logits[:, 1] - logits[:, 0])
        if classes == 2
        else reference.roc_auc_score(targets, probabilities, multi_class="ovr", average="macro")
    )
    return {
        "loss": reference.log_loss(targets, probabilities, labels=range(classes)),
        "accuracy": reference.accuracy_score(targets, answers),
        "balanced_accuracy": reference.balanced_accuracy_score(targets, answers),
        "auc": area,
        "f1": reference.f1_score(targets, answers, average="macro"),
        "f_beta": np.mean([best_f_beta(p, targets == c) for c, p in columns]),
    }


def best_f_beta(scores, truth):
    """By trying every threshold, in precision and recall."""
    found = []
    for threshold in np.unique(scores):
        hits = (truth & (scores >= threshold)).sum()
        precision, recall = hits / (scores >= threshold).sum(), hits / truth.sum()
        found.append(1.001 * precision * recall / (0.001 * precision + recall) if hits else 0.0)
    return max(found)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(10, 60), st.integers(0, 10**6), st.booleans())
def test_scores_are_those_of_scikit_learn(classes, n, seed, ties):
    logits, targets = predictions(n, classes, seed, ties=ties)
    assert score(logits, targets) == pytest.approx(by_scikit_learn(logits, targets), abs=1e-9)


def test_scores_known_by_hand():
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    targets = np.array([0, 0, 1, 1])
    found = score(logits, targets)
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == 0.75
    assert found["auc"] == 1.0
    assert found["f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["loss"] == pytest.approx(
        (2 * math.log1p(math.exp(-2)) + math.log1p(math.exp(1)) + math.log1p(math.exp(-3))) / 4
    )


@pytest.mark.parametrize(
    ("found", "positives", "false", "expected"),
    [(90, 180, 10, 0.899281), (1, 100, 0, 0.91), (1, 10_000, 0, 0.091), (5, 5, 0, 1.0)],
)
def test_f_beta_known_by_hand(found, positives, false, expected):
    """Precision and recall at the best threshold: 0.9 and 0.5, 1 and 0.01, 1 and 0.0001, 1 and 1.

    The other positives score below twenty times as many negatives, so that no lower threshold does better.
    """
    high = np.concatenate([np.ones(found), np.zeros(false)])
    low = np.concatenate([np.zeros(20 * positives if positives > found else 10), np.ones(positives - found)])
    scores = np.concatenate([np.full(len(high), 2.0), np.full(len(low) - positives + found, -1.0)])
    scores = np.concatenate([scores, np.full(positives - found, -2.0)])
    targets = np.concatenate([high, low]).astype(int)
    logits = np.stack([np.zeros(len(scores)), scores], axis=1)
    assert f_beta(logits, targets) == pytest.approx(expected, abs=1e-6)
    assert f_beta(logits, targets) >= reference.fbeta_score(targets, scores >= 0, beta=0.001**0.5) - 1e-12


def test_auc_is_undefined_when_a_class_is_missing():
    logits, targets = predictions(30, 3)
    present = targets != 1
    assert math.isnan(auc(logits[present], targets[present]))
    assert absent_classes(targets[present], 3) == [1]
    assert math.isfinite(score(logits[present], targets[present])["f1"])


def test_logits_that_are_not_numbers_give_no_auc_and_no_loss():
    logits, targets = predictions(30, 2)
    logits[3, 0] = np.nan
    found = score(logits, targets)
    assert math.isnan(found["auc"])
    assert math.isnan(found["loss"])


def test_auc_does_not_change_with_the_scale_of_the_scores():
    logits, targets = predictions(200, 2)
    assert auc(logits, targets) == auc(1000 * logits, targets)


def test_wilson_interval_has_its_textbook_value():
    low, high = wilson(45, 50)
    assert (low, high) == pytest.approx((0.7864, 0.9565), abs=2e-4)
    assert wilson(50, 50)[1] == 1.0
    assert wilson(0, 50)[0] == 0.0


@pytest.mark.parametrize("classes", [2, 4])
def test_intervals_hold_the_estimate_and_shrink_with_more_data(classes):
    small, large = (predictions(n, classes, seed=1) for n in (60, 2000))
    for metric in PREDICTIVE:
        few, many = confidence_interval(metric, *small), confidence_interval(metric, *large)
        assert few[0] <= score(*small)[metric] <= few[1], metric
        assert many[1] - many[0] < 0.5 * (few[1] - few[0]), metric


def test_bootstrap_interval_of_auc_agrees_with_hanley_and_mcneil():
    logits, targets = predictions(800, 2, seed=3)
    area, positives = auc(logits, targets), int(targets.sum())
    negatives = len(targets) - positives
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    error = math.sqrt(variance / (positives * negatives))
    low, high = confidence_interval("auc", logits, targets)
    assert (high - low) / (2 * 1.96) == pytest.approx(error, rel=0.15)


def test_bootstrap_of_balanced_accuracy_agrees_with_its_binomial_error():
    logits, targets = predictions(1000, 2, seed=4)
    answers = logits.argmax(axis=1)
    parts = [(answers[targets == c] == c).mean() for c in (0, 1)]
    error = math.sqrt(sum(p * (1 - p) / (targets == c).sum() for c, p in enumerate(parts))) / 2
    low, high = confidence_interval("balanced_accuracy", logits, targets)
    assert (high - low) / (2 * 1.96) == pytest.approx(error, rel=0.15)


def test_intervals_repeat_with_their_seed():
    logits, targets = predictions(100, 3)
    assert confidence_intervals(logits, targets, seed=5) == confidence_intervals(logits, targets, seed=5)
    assert confidence_intervals(logits, targets, seed=5) != confidence_intervals(logits, targets, seed=6)


def test_an_unknown_metric_is_named_with_near_matches():
    for wrong, meant in (("latency", "latency_ms"), ("acuracy", "accuracy"), ("flop", "flops"), ("roc_auc", "auc")):
        with pytest.raises(SettingsError, match=meant):
            natural_direction(wrong)
    with pytest.raises(SettingsError, match="latency_ms"):
        check_metrics(Goal((Objective("accuracy", "maximize"),), (Bound("latency", "at_most", 1.0),)))
    with pytest.raises(SettingsError, match="predictions"):
        confidence_interval("params", *predictions(10, 2))


def test_the_catalogue_knows_what_each_metric_needs():
    assert natural_direction("accuracy") == "maximize"
    assert natural_direction("latency_ms") == "minimize"
    assert all(name == metric.name and metric.summary for name, metric in METRICS.items())
    assert {name for name, metric in METRICS.items() if metric.needs == "training"} == {*PREDICTIVE, "seconds"}
