"""The Gaussian process of short and full trainings: what it predicts, and whom it trusts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from archwright.searchers.cokriging import UNKNOWN, CoKriging, Seen, Trust
from archwright.searchers.kernels import DIFFERING, WEIGHED, Distances, Shape
from archwright.space import Choice, Integer, Real, Space
from archwright.testing.searchers import toy_space

SPACE = toy_space(6, 4)


def drawn(count, seed=0):
    """Architectures, their distances, and a smooth function of them."""
    architectures = list(dict.fromkeys(SPACE.sample(np.random.default_rng(seed), count)))
    distances = Distances(SPACE)
    codes = SPACE.codes(architectures).astype(float)
    values = codes @ [3, 2, 2, 1, 1, 0] + codes[:, 0] * codes[:, 1]
    return architectures, distances, (values - values.mean()) / values.std()


def seen(full, clues=None):
    return Seen(np.asarray(full, dtype=bool), np.zeros((len(full), 0)) if clues is None else clues)


def test_with_full_trainings_alone_it_is_the_process_of_a_textbook():
    architectures, distances, values = drawn(60)
    known, others = architectures[:40], architectures[40:]
    model = CoKriging([Shape(DIFFERING, 4.0)], several=False)
    model.trust = replace(model.trust, shape=Shape(DIFFERING, 4.0))
    rows = distances.read(others)
    mean, std = model.predict(
        distances.between(known), seen([1] * 40), values[:40], distances.to(rows, known), seen([1] * len(others))
    )
    plain = GaussianProcessRegressor(
        RBF(2.0, "fixed") + ConstantKernel(UNKNOWN, "fixed"), alpha=model.trust.full_noise, optimizer=None
    )
    one_hot = SPACE.encode(architectures, "one_hot")
    expected, deviation = plain.fit(one_hot[:40], values[:40]).predict(one_hot[40:], return_std=True)
    assert mean == pytest.approx(expected, abs=1e-8)
    assert std == pytest.approx(deviation, abs=1e-6)


def fitted(short_values, clues=None):
    """A model that was told 80 short values and 30 true ones, and the correlation of its means with the truth elsewhere."""
    architectures, distances, values = drawn(400)
    short, full, others = architectures[:80], architectures[50:80], architectures[100:]
    told = [*short, *full]
    marks = np.array([False] * 80 + [True] * 30)
    of = (lambda part: None) if clues is None else (lambda part: clues(values)[[architectures.index(a) for a in part]])
    observed = seen(marks, of(told))
    low = short_values(values)[:80]
    targets = np.concatenate(
        [(low - low.mean()) / low.std(), (values[50:80] - values[50:80].mean()) / values[50:80].std()]
    )
    model = CoKriging(distances.shapes, several=True)
    model.fit(distances.between(told), observed, targets)
    cross = distances.to(distances.read(others), told)
    mean, _ = model.predict(distances.between(told), observed, targets, cross, seen([1] * len(others), of(others)))
    return model, float(np.corrcoef(mean, values[100:])[0, 1])


def without_short_ones():
    """The same correlation of a model that knows the full values alone."""
    architectures, distances, values = drawn(400)
    full, others = architectures[50:80], architectures[100:]
    model = CoKriging(distances.shapes, several=False)
    targets = (values[50:80] - values[50:80].mean()) / values[50:80].std()
    model.fit(distances.between(full), seen([1] * 30), targets)
    cross = distances.to(distances.read(others), full)
    mean, _ = model.predict(distances.between(full), seen([1] * 30), targets, cross, seen([1] * len(others)))
    return float(np.corrcoef(mean, values[100:])[0, 1])


def test_it_trusts_short_trainings_that_say_the_same_and_not_those_that_do_not():
    noise = np.random.default_rng(1).normal(size=2000)
    same, agreeing = fitted(lambda v: v)
    turned, opposite = fitted(lambda v: -v)
    other, chance = fitted(lambda v: noise[: len(v)])
    assert same.trust.slope >= 0.7
    assert turned.trust.slope < 0
    assert abs(other.trust.slope) < 0.5 or other.trust.short_noise >= 0.4
    assert agreeing > 0.93
    assert opposite > 0.9
    assert chance > without_short_ones() - 0.1


def test_clues_count_for_as_much_as_they_say():
    noise = np.random.default_rng(1).normal(size=(2000, 1))
    nothing, plain = fitted(lambda v: 0 * v + noise[: len(v), 0])
    helped, told = fitted(lambda v: 0 * v + noise[: len(v), 0], clues=lambda v: v[:, None])
    _, misled = fitted(lambda v: 0 * v + noise[: len(v), 0], clues=lambda v: noise[::-1][: len(v)])
    assert nothing.trust.clue == 0 < helped.trust.clue
    assert told > plain
    assert misled > plain - 0.05


def test_the_trust_is_read_from_a_grid_that_leaves_it_as_it_is_until_there_are_full_values():
    architectures, distances, values = drawn(40)
    model = CoKriging(distances.shapes, several=True)
    model.fit(distances.between(architectures), seen([0] * len(architectures)), values)
    assert (model.trust.slope, model.trust.own) == (Trust().slope, Trust().own)


MIXED = Space(a=Choice(*range(10)), b=Integer(1, 50), c=Real(0.0, 1.0), d=Choice("x", "y", "z"))


def bowl(architecture):
    return (
        -((architecture["b"] - 20) ** 2) / 100 - 4 * (architecture["c"] - 0.5) ** 2 - 0.1 * (architecture["d"] != "y")
    )


def test_where_parameters_have_an_order_it_learns_which_of_them_matter():
    rng = np.random.default_rng(0)
    known, others = MIXED.sample(rng, 30), MIXED.sample(rng, 300)
    distances = Distances(MIXED)
    model = CoKriging(distances.shapes, several=False, parameters=distances.parameters)
    values = np.array([bowl(a) for a in known])
    targets = (values - values.mean()) / values.std()
    told = seen([1] * len(known))
    agreement = []
    for by_parameter in (None, distances.by_parameter(known)):
        model.fit(distances.between(known), told, targets, by_parameter)
        weights = model.trust.weights
        cross = distances.to(distances.read(others), known, model.distances, weights)
        mean, _ = model.predict(
            distances.between(known, model.distances, weights), told, targets, cross, seen([1] * len(others))
        )
        agreement.append(np.corrcoef(mean, [bowl(a) for a in others])[0, 1])
    assert agreement[1] > 0.98 > agreement[0]
    assert model.trust.weights[1] > 30 * model.trust.weights[0]


def test_weighed_distances_are_sums_over_parameters_and_each_is_symmetric():
    architectures = MIXED.sample(np.random.default_rng(1), 20)
    distances = Distances(MIXED)
    weights = (0.1, 2.0, 3.0, 0.5)
    parts = distances.by_parameter(architectures)
    weighed = distances.between(architectures, (WEIGHED,), weights)[WEIGHED]
    assert weighed == pytest.approx(np.tensordot(weights, parts, 1))
    assert weighed == pytest.approx(weighed.T)
    cross = distances.to(distances.read(architectures), architectures, (WEIGHED,), weights)[WEIGHED]
    assert cross == pytest.approx(weighed)
    assert parts.max() <= 1 + 1e-9
