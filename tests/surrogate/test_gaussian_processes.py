"""Gaussian processes: the likelihood and its slope, and the same answers as scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Matern, WhiteKernel

from archwright.families import get_family
from archwright.surrogate import make_surrogate
from archwright.surrogate.processes import RANGES, GaussianProcess

CELLS = get_family("nasbench201").space
SCALE, NOISE = ConstantKernel(1.0, (1e-2, 1e2)), WhiteKernel(0.1, (1e-4, 1.0))
PEERS = {
    "gp-matern": Matern(2.0, (0.1, 100.0), nu=2.5) + NOISE,
    "gp-hamming": SCALE * RBF(2.0, (0.1, 100.0)) + NOISE,
    "gp-path": SCALE * RBF(2.0, (0.1, 100.0)) + NOISE,
    "gp-wl": SCALE * DotProduct(0.0, "fixed") + NOISE,
}


def task(seed, n=40):
    """Cells, and noisy numbers that depend on two of their edges together."""
    rng = np.random.default_rng(seed)
    cells = CELLS.sample(rng, n)
    mixed = [(a["0-3"] == "skip_connect") * 2.0 - (a["0-1"] == a["1-3"]) for a in cells]
    return cells, np.array(mixed) + 0.3 * rng.normal(size=n)


def fitted(name, seed):
    cells, targets = task(seed)
    model = make_surrogate(name, CELLS)
    assert isinstance(model, GaussianProcess)
    model.fit(cells, targets)
    return model, (targets - targets.mean()) / targets.std()


@pytest.mark.filterwarnings("ignore:The optimal value found:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", PEERS)
def test_predictions_are_those_of_scikit_learn(name):
    model, targets = fitted(name, 0)
    rows = model._describe(CELLS.sample(np.random.default_rng(1), 50))
    peer = GaussianProcessRegressor(PEERS[name]).fit(model._rows, targets)
    for ours, theirs in zip(model._predict(rows), peer.predict(rows, return_std=True)):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("name", PEERS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), data=st.data())
def test_the_loss_is_the_density_of_the_targets_and_its_slope_the_difference(name, seed, data):
    model, targets = fitted(name, seed)
    at = np.array([data.draw(st.floats(*np.log(RANGES[n][1:]) / 2)) for n in model.free])
    between = model._between(model._rows, model._rows)
    loss, slope = model._loss(at, between, targets)
    covariance = model._covariance(between, model._read(at))[0]
    constant = len(targets) / 2 * np.log(2 * np.pi)
    assert -loss - constant == pytest.approx(multivariate_normal(cov=covariance).logpdf(targets), rel=1e-6)
    numeric = approx_fprime(at, lambda x: model._loss(x, between, targets)[0], 1e-6)
    np.testing.assert_allclose(slope, numeric, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", PEERS)
def test_no_start_is_more_likely_than_what_was_found(name):
    model, targets = fitted(name, 2)
    between = model._between(model._rows, model._rows)
    found = np.log([model._found[n] for n in model.free])
    start = np.log([RANGES[n][0] for n in model.free])
    assert model._loss(found, between, targets)[0] <= model._loss(start, between, targets)[0]
    assert all(RANGES[n][1] * (1 - 1e-9) <= model._found[n] <= RANGES[n][2] * (1 + 1e-9) for n in model.free)
