"""Search over NAS-Bench-201's cells: mixed cells, discretisation, methods, resuming, and how a search orders the table."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from archwright.errors import SettingsError, TableError
from archwright.families import get_family
from archwright.families.nasbench201 import CELL, EDGES, OPERATIONS, from_string, to_string
from archwright.space import Architecture, Choice, Space
from archwright.supernet.joint import joint_search
from archwright.supernet.methods import METHODS, OneShot
from archwright.supernet.nasbench201 import (
    EdgeSettings,
    MixedCell,
    discretised,
    edge_duo,
    random_edges,
    search_edges,
)
from archwright.supernet.ranking import implied_scores, one_shot_accuracies, ranking
from archwright.supernet.running import run_oneshot
from archwright.supernet.settings import JointSettings
from archwright.tables.column import Column
from archwright.tables.known import find_table
from archwright.tables.table import Table

SMALL = EdgeSettings(channels=4, search_cells=1, evaluation_cells=1, stages=2)
QUICK = JointSettings(epochs=1, pretrain_epochs=0, batch_size=16, arch_lr=0.1)
ARCHITECTURES = st.lists(st.sampled_from(OPERATIONS), min_size=6, max_size=6).map(
    lambda names: {f"{i}-{j}": name for (i, j), name in zip(EDGES, names)}
)


@pytest.fixture(scope="module")
def table():
    return find_table("nasbench201-digits")


def one_hot(architecture) -> torch.Tensor:
    index = torch.tensor([OPERATIONS.index(architecture[f"{i}-{j}"]) for i, j in EDGES])
    return functional.one_hot(index, len(OPERATIONS)).double()


@settings(max_examples=30, deadline=None)
@given(ARCHITECTURES)
def test_a_cell_under_one_hot_weights_is_the_cell_of_the_architecture(architecture) -> None:
    torch.manual_seed(0)
    cell, x = MixedCell(3, OPERATIONS).double().train(), torch.randn(4, 3, 6, 5).double()
    assert torch.allclose(cell(x, one_hot(architecture)), cell(x, architecture), atol=1e-12)


def test_a_mixed_cell_adds_up_its_operations_one_by_one() -> None:
    """Convolutions that run as one are those of the edges, in values and gradients."""
    torch.manual_seed(0)
    cell, x = MixedCell(3, OPERATIONS).double().train(), torch.randn(4, 3, 6, 5).double()
    weights = torch.randn(6, 5).double().softmax(1).requires_grad_()
    nodes = [x]
    for j in range(1, 4):
        terms = [
            weights[EDGES.index((i, j)), OPERATIONS.index(name)] * operation(nodes[i])
            for i in range(j)
            for name, operation in cell.edges[f"{i}-{j}"].items()
        ]
        nodes.append(sum(terms))
    assert torch.allclose(cell(x, weights), nodes[3], atol=1e-12)
    inputs = [weights, *cell.parameters()]
    plain = torch.autograd.grad(nodes[3].square().sum(), inputs, retain_graph=True)
    fused = torch.autograd.grad(cell(x, weights).square().sum(), inputs)
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(plain, fused))


@settings(max_examples=20, deadline=None)
@given(ARCHITECTURES)
def test_what_wins_every_edge_is_found(architecture) -> None:
    assert dict(discretised(one_hot(architecture), EdgeSettings())) == architecture


def test_zero_configurations_say_whether_none_may_win() -> None:
    """NAS-Bench-201's own reading lets it; under V0 it takes part and never wins; V1 has four operations."""
    loud = torch.zeros(6, 5)
    loud[:, OPERATIONS.index("none")], loud[:, 4] = 9.0, 1.0
    for zeros, winner in (("space", "none"), ("V3", "none"), ("V4", "none"), ("V0", "avg_pool_3x3")):
        assert set(discretised(loud, EdgeSettings(zeros=zeros)).values()) == {winner}
    assert EdgeSettings(zeros="V1").operations == OPERATIONS[1:]
    assert all("none" not in random_edges(EdgeSettings(zeros="V1"), seed).values() for seed in range(50))
    drawn = [list(random_edges(EdgeSettings(), seed).values()) for seed in range(400)]
    assert np.mean(np.array(drawn) == "none") == pytest.approx(0.2, abs=0.03)


def test_noise_stands_for_none_in_v3() -> None:
    cell = MixedCell(3, OPERATIONS, "random").train()
    everywhere_none, x = dict.fromkeys((f"{i}-{j}" for i, j in EDGES), "none"), torch.zeros(2, 3, 4, 4)
    assert not torch.equal(cell(x, everywhere_none), cell(x, everywhere_none))
    assert float(cell(x, one_hot(everywhere_none).float()).detach().min()) >= 0
    assert not MixedCell(3, OPERATIONS)(x, everywhere_none).any()


def test_equal_parameters_of_found_and_mixed_cells() -> None:
    """Beside scale and shift of norms, a discrete pass has the parameters of the family's network."""
    architecture = from_string(
        "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    )
    duo = edge_duo(SMALL, 3, 3, 0)
    family = get_family("nasbench201", channels=4, cells=1, stages=2)
    network = family.build(architecture, (3, 8, 8), 3)
    loss = duo.teacher.head(duo.teacher.features(torch.randn(4, 3, 8, 8), architecture)[0]).sum()
    loss.backward()
    ours = sum(p.numel() for p in duo.teacher.parameters() if p.grad is not None and p.ndim > 1)
    assert ours == sum(p.numel() for p in network.parameters() if p.ndim > 1)


@pytest.mark.parametrize("method", ["darts1", "darts2", "icdarts", "cdarts", "route_a1", "icdarts_v3", "cdarts_v0"])
def test_methods_of_the_joint_search_find_architectures(method, data) -> None:
    _, edge, joint = OneShot(
        method, {"channels": 4, "search_cells": 1, "evaluation_cells": 1, "stages": 2}, family="nasbench201"
    ).edges()
    quick = replace(joint, epochs=1, pretrain_epochs=0, warmup_epochs=0, batch_size=16, arch_lr=0.1)
    found = search_edges(data, edge, quick)
    Space(cells=CELL).validate(found.architecture)
    start = edge_duo(edge, 3, 3, 0).architecture["cell"]
    assert not np.allclose(found.alpha, start.detach())


def test_search_network_and_alpha_are_deaf_to_w_e_of_icdarts_without_distillation(data) -> None:
    """With lambda 0, warming the evaluation network up changes nothing in alpha."""
    alphas = [search_edges(data, SMALL, replace(QUICK, distill=0.0, warmup_epochs=n)).alpha for n in (0, 1)]
    assert alphas[0] == alphas[1]
    heard = [search_edges(data, SMALL, replace(QUICK, distill=5.0, warmup_epochs=n)).alpha for n in (0, 1)]
    assert heard[0] != heard[1]


def test_resumed_equals_uninterrupted(data, tmp_path) -> None:
    three = replace(QUICK, epochs=3)
    whole = search_edges(data, SMALL, three)
    duo = edge_duo(SMALL, 3, 3, 0)
    joint_search(duo, data, three, seed=0, checkpoint=tmp_path / "c", on_epoch=lambda epoch, _: epoch < 2)
    resumed = search_edges(data, SMALL, three, checkpoint=tmp_path / "c")
    assert resumed.alpha == whole.alpha
    assert resumed.architecture == whole.architecture


@pytest.mark.parametrize(
    ("method", "word"),
    [
        ("cell_xdarts", "predecessors"), ("opspace2", "operations"), ("nodes3", "nodes"), ("abl_aux", "template"),
        ("opspace_dynamic", "lists"), ("combined", "lists"), ("hier_v1", "two others"), ("hier_v2", "cell types"),
        ("xdarts_lat_0.05", "predecessors"), ("sglfc_icdarts", "networks"),
    ],
)  # fmt: skip
def test_methods_that_make_no_sense_are_refused(method, word) -> None:
    with pytest.raises(SettingsError, match=f"{method} needs .*{word}.* which nasbench201 does not have"):
        OneShot(method, family="nasbench201").edges()


def test_methods_of_ones_own_find_architectures_too(data, tmp_path) -> None:
    """The declared steps of second-order DARTS without the evaluation network."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from archwright.supernet.methods import Method\n"
        "from archwright.supernet.steps import Step, search\n"
        "steps = (Step('val', (search,), ('a',), unrolled=True), Step('train', (search,), ('w_S',)))\n"
        "unrolled = Method('mine', settings={'steps': steps, 'pretrain_epochs': 0, 'epochs': 1})\n"
        "relaxed = Method('mine', micro={'relaxation': 'sigmoid'})\n"
    )
    small = {"channels": 4, "search_cells": 1, "evaluation_cells": 1, "stages": 2, "batch_size": 16, "crop": 0}
    found = run_oneshot(OneShot(f"{file}:unrolled", small, retrain=False, family="nasbench201"), data)
    Space(cells=CELL).validate(Architecture(found["architecture"]))
    with pytest.raises(SettingsError, match="needs another relaxation"):
        OneShot(f"{file}:relaxed", family="nasbench201").edges()


def test_methods_made_for_another_retraining_are_refused() -> None:
    with pytest.raises(SettingsError, match="em_icdarts is made for the retraining of DARTS cells"):
        OneShot("em_icdarts", family="nasbench201").edges()


def fits(name: str) -> bool:
    with contextlib.suppress(SettingsError):
        return bool(OneShot(name, family="nasbench201").edges())
    return False


def test_every_method_is_either_refused_or_fits() -> None:
    found = {name for name in METHODS if fits(name)}
    assert {"darts1", "icdarts", "cdarts", "route_b2", "random_v1", "random_v4", "icdarts_v3"} <= found
    assert not {"icdarts_v2", "random_v2", "combined"} & found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": 0.1}, "unknown option 'penalty'"), ({"nodes": 3}, "unknown option 'nodes'"),
        ({"stages": 0}, "stages must be a whole number"), ({"zeros": "V2"}, "V2 retrains with noise"),
        ({"zeros": "V9"}, "unknown zero configuration 'V9'"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options, message) -> None:
    with pytest.raises(SettingsError, match=message):
        OneShot("icdarts", options, family="nasbench201").edges()


def test_images_too_small_for_the_stages_are_refused(data) -> None:
    with pytest.raises(SettingsError, match="5 stages need images of at least 16 x 16 pixels"):
        search_edges(data, replace(SMALL, stages=5), QUICK)
    with pytest.raises(SettingsError, match="leave penalty out"):
        search_edges(data, SMALL, replace(QUICK, penalty=1.0))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 15_624), st.integers(0, 2**31))
def test_implied_scores_are_sums_of_log_shares(row, seed) -> None:
    alpha = np.random.default_rng(seed).normal(size=(6, 5))
    codes = np.array(np.unravel_index(np.arange(15_625), (5,) * 6)).T
    scores = implied_scores(alpha.tolist(), OPERATIONS, codes)
    shares = np.exp(alpha) / np.exp(alpha).sum(1, keepdims=True)
    assert scores[row] == pytest.approx(np.log(shares[np.arange(6), codes[row]]).sum())
    assert np.exp(scores).sum() == pytest.approx(1)  # a distribution over the space
    assert tuple(codes[scores.argmax()]) == tuple(alpha.argmax(1))


def test_cells_with_an_operation_that_was_not_searched_come_last() -> None:
    codes = np.array([[0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    scores = implied_scores(np.zeros((6, 4)).tolist(), OPERATIONS[1:], codes)
    assert scores[0] == -np.inf
    assert scores[1] == pytest.approx(-6 * np.log(4))


def test_ranking_of_known_orders(table) -> None:
    """Alpha made of an additive worth orders the table perfectly; turned round, perfectly wrongly."""
    rng = np.random.default_rng(0)
    alpha = rng.normal(size=(6, 5))
    worth = alpha[np.arange(6), table.codes].sum(1)
    best = table.architecture(int(worth.argmax()))
    for sign in (1, -1):
        found = {"architecture": dict(best), "search": {"alpha": (sign * alpha).tolist(), "operations": OPERATIONS}}
        answer = ranking(table, worth, found)
        assert (answer["rank"], answer["of"], answer["top"]["n"]) == (1, 15_625, 1000)
        for part in ("order", "top"):
            assert answer[part]["spearman"] == pytest.approx(sign)
            assert answer[part]["kendall"] == pytest.approx(sign)
    worst = table.architecture(int(worth.argmin()))
    assert ranking(table, worth, {"architecture": dict(worst), "search": {}})["rank"] == 15_625


def test_ranking_of_a_sample(table) -> None:
    worth = table.column("digits", "val_accuracy").at()
    sample = [[to_string(table.architecture(row)), float(-worth[row])] for row in range(0, 500, 25)]
    search = {"alpha": np.zeros((6, 5)).tolist(), "operations": OPERATIONS, "one_shot": sample}
    answer = ranking(table, worth, {"architecture": dict(table.architecture(0)), "search": search})
    assert answer["one_shot"]["spearman"] == pytest.approx(-1)
    assert answer["one_shot"]["alpha_spearman"] is None  # alpha is indifferent
    assert answer["order"]["kendall"] is None


def test_tables_of_other_spaces_are_refused() -> None:
    column = Column("", "accuracy", "maximize", np.zeros((3, 1, 1)))
    other = Table("other", Space({"a": Choice(0, 1, 2)}), np.arange(3)[:, None], (column,))
    with pytest.raises(TableError, match="other is not of NAS-Bench-201's cells"):
        ranking(other, np.zeros(3), {"architecture": {"a": 0}, "search": {}})


def test_accuracies_with_the_weights_of_the_search(data) -> None:
    found = search_edges(data, SMALL, QUICK)
    scores = one_shot_accuracies(found.student, data, 5, seed=0)
    assert scores == one_shot_accuracies(found.student, data, 5, seed=0)
    assert len({text for text, _ in scores}) == 5
    n = len(data.validation)
    assert all(abs(accuracy * n - round(accuracy * n)) < 1e-4 for _, accuracy in scores)
    with pytest.raises(SettingsError, match="a sample has from 3 to 15,625 cells, not 2"):
        one_shot_accuracies(found.student, data, 2, seed=0)
