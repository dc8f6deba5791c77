"""Surrogates by name: what each learns, how sure it is, which spaces and numbers it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from archwright.errors import SettingsError
from archwright.families import get_family
from archwright.space import Cell, Choice, Space
from archwright.space.structures import weisfeiler_lehman
from archwright.surrogate import MODELS, make_surrogate, suitable
from archwright.surrogate.graphs import GraphNetwork
from archwright.surrogate.models import DeepEnsembleSurrogate
from archwright.testing.searchers import toy_space

CELLS = get_family("nasbench201").space


def convolutions(space, seed, n=60):
    """Random cells, and how many convolutions are in their live parts, times 10."""
    cells = space.sample(np.random.default_rng(seed), n)
    counts = [sum(t for s, t in weisfeiler_lehman(space, a, 0).items() if "conv" in str(s[2])) for a in cells]
    return cells, 10.0 * np.array(counts)


@pytest.mark.parametrize("name", MODELS)
def test_every_surrogate_learns_to_rank_cells_in_the_unit_of_the_targets(name):
    (known, targets), (others, truth) = convolutions(CELLS, 0, 32), convolutions(CELLS, 1)
    model = make_surrogate(name, CELLS)
    model.fit(known, targets)
    mean, std = model.predict(others)
    assert mean.shape == std.shape == (60,)
    assert (std >= 0).all()
    assert spearmanr(mean, truth).statistic > 0.3
    assert abs(mean.mean() - truth.mean()) < 8


@pytest.mark.parametrize("name", MODELS)
def test_fitting_again_forgets_and_the_same_seed_repeats(name):
    known, targets = convolutions(CELLS, 0, 12)
    others, values = convolutions(CELLS, 1, 9)
    again, once = make_surrogate(name, CELLS, seed=3), make_surrogate(name, CELLS, seed=3)
    again.fit(others, -values)
    again.fit(known, targets)
    once.fit(known, targets)
    for a, b in zip(again.predict(others), once.predict(others)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n, model in MODELS.items() if not model.of_cells])
def test_spaces_without_cells(name):
    space = toy_space()
    rows = space.sample(np.random.default_rng(0), 20)
    model = make_surrogate(name, space)
    model.fit(rows, np.arange(20.0))
    assert np.isfinite(model.predict(rows)).all()


@pytest.mark.parametrize("name", [n for n, model in MODELS.items() if model.of_cells])
def test_surrogates_of_cells_refuse_other_spaces(name):
    with pytest.raises(SettingsError, match=f"surrogate {name}: it sees cell graphs, and this space has none; .*ridge"):
        make_surrogate(name, toy_space())
    wider = Space(cells=CELLS.cells, width=Choice(8, 16))
    with pytest.raises(SettingsError, match="has other parameters: width"):
        make_surrogate(name, wider)


def test_bananas_sees_all_of_a_space_that_has_more_than_cells():
    space = Space(cells=CELLS.cells, width=Choice(8, 16))
    known = space.sample(np.random.default_rng(0), 60)
    targets = np.array([float(a["width"]) for a in known])
    model = make_surrogate("bananas", space)
    model.fit(known, targets)
    assert spearmanr(model.predict(known)[0], targets).statistic > 0.8


def test_an_unknown_surrogate_is_named_with_near_ones():
    with pytest.raises(SettingsError, match="unknown surrogate 'forrest'; did you mean forest"):
        make_surrogate("forrest", CELLS)


@pytest.mark.parametrize(
    ("count", "targets", "message"),
    [
        (3, [1.0, 2.0], r"3 and targets of shape \(2,\)"),
        (1, [1.0], "two architectures or more"),
        (3, [[1.0, 2.0, 3.0]], r"targets of shape \(1, 3\)"),
        (3, [1.0, np.nan, 2.0], "target 1 of a surrogate is not finite"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(count, targets, message):
    cells = CELLS.sample(np.random.default_rng(0), count)
    with pytest.raises(SettingsError, match=message):
        make_surrogate("ridge", CELLS).fit(cells, np.array(targets))


def test_a_surrogate_that_was_not_fitted_does_not_predict():
    with pytest.raises(SettingsError, match="fit the surrogate before"):
        make_surrogate("forest", CELLS).predict(CELLS.sample(np.random.default_rng(0), 2))


@pytest.mark.parametrize("name", MODELS)
def test_constant_targets_are_predicted(name):
    known, _ = convolutions(CELLS, 0, 10)
    model = make_surrogate(name, CELLS)
    model.fit(known, np.full(10, 7.0))
    mean, std = model.predict(known)
    assert np.isfinite(std).all()
    np.testing.assert_allclose(mean, 7.0, atol=0.5)


def test_the_hamming_kernel_is_of_how_many_parameters_differ():
    model = make_surrogate("gp-hamming", CELLS)
    rows = CELLS.sample(np.random.default_rng(0), 5)
    differ = np.array([[sum(a[n] != b[n] for n in CELLS.names) for b in rows] for a in rows])
    encoded = model._describe(rows)
    np.testing.assert_allclose(model._kernel(model._between(encoded, encoded), 2.0)[0], np.exp(-differ / 2.0**2))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_weisfeiler_lehman_kernel_is_the_cosine_of_the_counts_and_never_above_one(seed):
    cells = CELLS.sample(np.random.default_rng(seed), 8)
    model = make_surrogate("gp-wl", CELLS)
    known = model._describe(cells[:5], new=True)
    others = model._describe(cells[5:])
    counts = [weisfeiler_lehman(CELLS, a, 2) for a in cells]
    size = [sum(t * t for t in c.values()) ** 0.5 for c in counts]
    for i in range(5):
        for j in range(5, 8):
            cosine = sum(t * counts[j][s] for s, t in counts[i].items()) / size[i] / size[j]
            assert float(known[i] @ others[j - 5]) == pytest.approx(cosine)
    np.testing.assert_allclose((others**2).sum(axis=1), 1.0)


def test_deeper_structures_tell_more_apart():
    cells = CELLS.sample(np.random.default_rng(0), 300)
    different = [len({frozenset(weisfeiler_lehman(CELLS, a, depth).items()) for a in cells}) for depth in (0, 1, 2)]
    assert different[0] < different[1] <= different[2]


def test_a_graph_network_sees_no_difference_between_writings_of_a_cell():
    none = dict.fromkeys(CELLS.names, "none")
    through = {"0-3": "skip_connect"}
    one, other = none | through, none | through | {"0-1": "nor_conv_3x3"}
    rows = GraphNetwork(CELLS)._describe([one, other])
    np.testing.assert_array_equal(rows[0], rows[1])


def test_the_deep_ensemble_learns_choices_without_order_and_not_from_one_number_each():
    space = toy_space(4, 5)
    rows = space.sample(np.random.default_rng(0), 160)
    targets = np.array([sum((0, 4, 1, 5, 2)[int(str(v))] for v in a.values()) for a in rows], dtype=float)
    found = {}
    for encoding in ("one_hot", "ordinal"):
        model = DeepEnsembleSurrogate(space, encoding=encoding, epochs=40)
        model.fit(rows[:60], targets[:60])
        found[encoding] = spearmanr(model.predict(rows[60:])[0], targets[60:]).statistic
    assert found["one_hot"] > 0.8
    assert found["one_hot"] > found["ordinal"] + 0.1
    assert np.array_equal(DeepEnsembleSurrogate(space)._describe(rows), space.encode(rows, "one_hot") * 2 - 1)


def test_the_deep_ensemble_learns_from_few_rows_of_many_parameters():
    space = Space({f"x{i}": Choice(*"abcdefghi") for i in range(22)})
    rows = space.sample(np.random.default_rng(0), 160)
    targets = np.array([sum("dfaeichgb".index(str(v)) for v in a.values()) for a in rows], dtype=float)
    model = make_surrogate("deep-ensemble", space)
    model.fit(rows[:80], targets[:80])
    mean, _ = model.predict(rows[80:])
    assert spearmanr(mean, targets[80:]).statistic > 0.4
    assert mean.std() > 0.2 * targets.std()


def test_two_cells_are_told_apart():
    space = Space(cells=[Cell(3, ("none", "conv", "pool"), prefix=p) for p in ("a", "b")])
    known = space.sample(np.random.default_rng(0), 60)
    targets = np.array([float(a["a0-2"] == "conv") - (a["b0-2"] == "conv") for a in known])
    assert suitable(space) == list(MODELS)
    for name in ("gp-wl", "gnn", "gp-path"):
        model = make_surrogate(name, space)
        model.fit(known, targets)
        assert spearmanr(model.predict(known)[0], targets).statistic > 0.8


def test_cells_with_too_many_paths_have_surrogates_without_paths():
    space = Space(cells=Cell(9, tuple("abcdefgh")))
    assert suitable(space) == [name for name in MODELS if name != "gp-path"]
    with pytest.raises(SettingsError, match="surrogate gp-path: the path encoding of this cell would have .*ridge"):
        make_surrogate("gp-path", space)
    known = space.sample(np.random.default_rng(0), 4)
    model = make_surrogate("bananas", space)
    model.fit(known, np.arange(4.0))
    assert np.isfinite(model.predict(known)[0]).all()
