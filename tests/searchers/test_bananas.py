"""BANANAS: what its ensemble learns, what it proposes, and which options it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archwright.errors import SettingsError
from archwright.families import get_family
from archwright.searchers import make_searcher
from archwright.surrogate.perceptrons import Perceptrons
from archwright.testing.searchers import GOAL, additive, toy_space


def test_the_ensemble_learns_an_additive_function():
    space = toy_space()
    rng = np.random.default_rng(0)
    known, others = space.sample(rng, 100), space.sample(rng, 100)
    targets = np.array([additive(a).metrics["score"] for a in known])
    truth = np.array([additive(a).metrics["score"] for a in others])
    model = Perceptrons(space.encode(known).shape[1], members=3, layers=3, width=20)
    model.fit(space.encode(known), (targets - targets.mean()) / targets.std(), epochs=60)
    predicted = model.predict(space.encode(others))
    assert predicted.shape == (3, 100)
    assert all(np.corrcoef(member, truth)[0, 1] > 0.9 for member in predicted)
    assert not np.allclose(predicted[0], predicted[1])


def test_the_slope_is_that_of_automatic_differentiation():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(3, 7, 4))).float()
    y = torch.from_numpy(rng.normal(size=(3, 7))).float()
    model = Perceptrons(4, members=3, layers=3, width=5, seed=1)
    model._slope(x, y)
    tensors = [tensor.clone().requires_grad_() for layer in model.layers for tensor in layer]
    out = x
    for k, (weight, bias) in enumerate(zip(tensors[::2], tensors[1::2])):
        out = torch.baddbmm(bias, out if k == 0 else out.relu(), weight)
    expected = torch.autograd.grad((out.squeeze(-1) - y).abs().mean(dim=1).sum(), tensors)
    for ours, theirs in zip([tensor for pair in model._slopes for tensor in pair], expected):
        torch.testing.assert_close(ours, theirs)


def test_candidates_are_new_mutations_of_the_best():
    space = toy_space()
    searcher = make_searcher("bananas", space, GOAL, batch=4, epochs=2, layers=2)
    for _ in range(14):
        (architecture,) = searcher.ask(1)
        before = dict(searcher.known)
        if len(before) >= 10:
            near = sorted(before, key=before.__getitem__)[-5:]
            assert any(sum(a[n] != architecture[n] for n in a) == 1 for a in near)
        searcher.tell(architecture, additive(architecture))


@pytest.mark.parametrize("encoding", ["path", "adjacency", "one_hot"])
def test_cell_graphs_have_three_encodings(encoding):
    space = get_family("nasbench201").space
    searcher = make_searcher("bananas", space, GOAL, encoding=encoding, epochs=1, layers=1, initial=2)
    for _ in range(3):
        (architecture,) = searcher.ask(1)
        searcher.tell(architecture, additive_of_words(architecture))


def additive_of_words(architecture):
    from archwright.evaluation import Evaluation

    return Evaluation({"score": float(sum("conv" in str(v) for v in architecture.values()))})


@pytest.mark.parametrize(
    "options",
    [{"encoding": "path"}, {"encoding": "graph"}, {"acquisition": "ei"}, {"batch": 0}, {"layers": 0}, {"initial": 0}],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(SettingsError, match=next(iter(options))):
        make_searcher("bananas", toy_space(), GOAL, **options)
