"""Hierarchical search: sizes of gamma, templates that it may find, and whole searches on a few small images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from archwright.data import load_data
from archwright.errors import SettingsError
from archwright.families.hierarchical import initial_template
from archwright.layers.cells import Cell, CellNetwork
from archwright.layers.hierarchy import PooledTypeNetwork, SkipNetwork, TypeNetwork
from archwright.supernet.hierarchical import (
    macro_duo,
    macro_settings,
    micro_settings,
    search_hierarchically,
    search_template,
    skip_parameters,
    type_parameters,
)
from archwright.supernet.micro import MicroSettings, micro_duo, mixed_network
from archwright.supernet.retraining import template_design
from archwright.supernet.settings import JointSettings

NODES = [[("sep_conv_3x3", 0), ("skip_connect", 1)], [("max_pool_3x3", 2), ("dil_conv_3x3", 0)]]
PLAIN = [[("avg_pool_3x3", 0), ("skip_connect", 1)], [("skip_connect", 2), ("relu", 0)]]
CELLS = {"normal": NODES, "reduce": PLAIN}
FOUR = {"type0": NODES, "type1": PLAIN, "type2": NODES, "type3": PLAIN}
QUICK = JointSettings(epochs=1, pretrain_epochs=0, batch_size=16)
MICRO = MicroSettings(channels=4, search_cells=3, evaluation_cells=4, nodes=1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return load_data({"train": (rng.integers(0, 255, (80, 8, 8, 1)).astype(np.uint8), np.arange(80) % 2)})


def test_sizes_and_beginnings_of_gamma() -> None:
    skips = skip_parameters(20, torch.Generator().manual_seed(0))
    assert sum(p.numel() for p in skips.values()) == 190
    assert all(int(p.argmax()) == m - 1 for m, p in enumerate(skips.values(), start=1))
    types = type_parameters(20, 4, torch.Generator().manual_seed(0))
    assert sum(p.numel() for p in types.values()) == 80
    alpha = micro_duo(MicroSettings(types=4, channels=2, search_cells=4, evaluation_cells=4), 3, 10, 0)[1]
    assert sum(p.numel() for p in alpha.values()) == 392
    assert [MicroSettings(types=4).kind(m, m in (2, 5)) for m in range(6)] == [f"type{m % 4}" for m in range(6)]


def test_the_first_order_of_skips_is_the_original_template() -> None:
    duo = macro_duo("skips", CELLS, 3, 10, 4, 6, 0)
    assert duo.discretise() == initial_template("skips", 6) == (0, 1, 2, 3, 4)
    torch.manual_seed(0)
    ours = SkipNetwork(CELLS, 3, 10, 4, 6, duo.discretise()).eval()
    plain = CellNetwork(
        3, 10, 4, 6, 2, lambda b, a, w, r, ar: Cell(b, a, w, r, ar, CELLS["reduce" if r else "normal"])
    ).eval()
    plain.stem.load_state_dict(ours.stem.state_dict())
    plain.head.load_state_dict(ours.head.state_dict())
    for mine, theirs, skips in zip(ours.cells, plain.cells, ours.skips):
        theirs.operations.load_state_dict(mine.operations.state_dict())
        theirs.inputs.second.load_state_dict(mine.inputs.second.state_dict())
        (only,) = skips.values()
        state = {
            k.removeprefix("0.") if k.startswith("0.") and len(only) == 1 else k: v
            for k, v in only.state_dict().items()
        }
        theirs.inputs.first.load_state_dict(state)
    x = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(ours(x), plain(x))


def test_all_weight_on_one_skip_or_type_is_the_discrete_network() -> None:
    x = torch.randn(2, 3, 9, 9)
    for network, choice, sizes in (
        (SkipNetwork(CELLS, 3, 10, 4, 6), (0, 0, 2, 1, 3), range(1, 6)),
        (TypeNetwork(FOUR, 3, 10, 4, 6), (3, 1, 2, 0, 1, 2), [4] * 6),
    ):
        network.eval()
        one_hot = [torch.eye(n)[c] for n, c in zip(sizes, choice)]
        relaxed, discrete = network.features(x, one_hot), network.features(x, choice)
        torch.testing.assert_close(relaxed[0], discrete[0])
        torch.testing.assert_close(relaxed[1], discrete[1])


def test_a_chosen_template_has_the_modules_of_its_choice_alone() -> None:
    skips = SkipNetwork(CELLS, 3, 10, 4, 6, (0, 0, 2, 1, 3))
    assert [list(s) for s in skips.skips] == [["0"], ["0"], ["0"], ["2"], ["1"], ["3"]]
    types = TypeNetwork(FOUR, 3, 10, 4, 4, (3, 1, 1, 0))
    assert [list(t) for t in types.cells] == [["3"], ["1"], ["1"], ["0"]]


@pytest.mark.parametrize("size", [8, 9, 33])
def test_odd_sizes(size) -> None:
    for network in (SkipNetwork(CELLS, 1, 2, 4, 6, (0, 0, 0, 0, 0)), TypeNetwork(FOUR, 1, 2, 4, 6, (0, 1, 2, 3, 0, 1))):
        assert network.eval()(torch.randn(2, 1, size, size)).shape == (2, 2)


def test_one_step_of_the_macro_search_moves_gamma_and_nothing_else_for_lambda(data) -> None:
    """The evaluation network's weights do not depend on the distillation, as in ICDARTS."""
    from archwright.supernet.joint import joint_search

    ends = []
    for distill in (0.0, 5.0):
        duo = macro_duo("types", FOUR, 1, 2, 4, 3, 0)
        joint_search(duo, data, replace(QUICK, distill=distill, arch_lr=0.0), seed=0)
        ends.append(list(duo.teacher.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*ends))
    duo = macro_duo("skips", CELLS, 1, 2, 4, 4, 0)
    before = [p.detach().clone() for p in duo.architecture.values()]
    joint_search(duo, data, macro_settings("skips", QUICK), seed=0)
    assert any(not torch.equal(a, b) for a, b in zip(before[1:], list(duo.architecture.values())[1:]))


@pytest.mark.parametrize("version", ["skips", "types"])
def test_hierarchical_search_resumes_and_gives_both_networks(version, data, tmp_path) -> None:
    twice = replace(QUICK, epochs=2)
    stops = search_hierarchically(data, version, MICRO, twice, folder=tmp_path, on_epoch=lambda *_: False)
    assert stops is None
    found = search_hierarchically(data, version, MICRO, twice, folder=tmp_path)
    again = search_hierarchically(data, version, MICRO, twice)
    assert found is not None
    assert again is not None
    assert (found.cells, found.choice) == (again.cells, again.choice)
    assert len(found.choice) == (3 if version == "skips" else 4)
    for initial in (False, True):
        network = found.network(1, 2, channels=4, initial=initial)
        assert [len(out) for out in network(torch.randn(2, 1, 8, 8))] == [2, 2]
    assert set(found.to_json()) == {"version", "cells", "choice", "curve", "seconds"}


def test_macro_settings_are_the_published_ones() -> None:
    assert [macro_settings(v, JointSettings()).warmup_epochs for v in ("skips", "types")] == [1, 2]
    assert macro_settings("skips", JointSettings()).arch_lr == 3e-3


def test_bad_input_is_refused(data) -> None:
    with pytest.raises(SettingsError, match="unknown version"):
        search_hierarchically(data, "skip", MICRO, QUICK)
    with pytest.raises(SettingsError, match="takes cells named normal, reduce"):
        search_template(data, "skips", FOUR, QUICK)
    with pytest.raises(SettingsError, match="at least three cells"):
        search_template(data, "skips", CELLS, QUICK, depth=2)
    with pytest.raises(SettingsError, match="equally many nodes"):
        search_template(data, "types", {"type0": NODES, "type1": NODES[:1]}, QUICK, depth=3)


def test_the_learning_rate_of_the_template_is_gammas_or_the_weights() -> None:
    gamma = macro_settings("skips", JointSettings(alpha_l1=5.0, penalty=0.1))
    assert (gamma.arch_lr, gamma.lr, gamma.alpha_l1, gamma.penalty) == (3e-3, 0.08, 0.0, 0.0)
    weights = macro_settings("types", JointSettings(), 3e-3, "weights")
    assert (weights.arch_lr, weights.lr, weights.warmup_epochs) == (3e-4, 3e-3, 2)


def test_pooling_may_halve_the_image_in_the_place_of_types() -> None:
    network = TypeNetwork(FOUR, 3, 10, 4, 6).eval()
    pooled = PooledTypeNetwork(FOUR, 3, 10, 4, 6).eval()
    assert [list(types) for types in network.cells] == [["0", "1", "2", "3"]] * 6
    assert [m for m, types in enumerate(pooled.cells) if list(types) == ["pooling"]] == [2, 4] == pooled.reductions
    x = torch.randn(2, 3, 9, 9)
    one, other = (pooled.features(x, (0, 1, chosen, 3, chosen, 0)) for chosen in (0, 2))
    assert torch.equal(one[0], other[0])
    assert [maps.shape for maps in one[1]] == [maps.shape for maps in network.features(x, (0,) * 6)[1]]
    micro = micro_settings("types-pooled", MicroSettings(search_cells=6))
    assert micro.kinds == ("type0", "type1", "type2", "type3")
    assert micro.counts(6) == {"type0": 1, "type1": 2, "type2": 0, "type3": 1}
    cells = [getattr(cell, "kind", "") for cell in mixed_network(micro, 3, 10, 6).cells]
    assert cells == ["type0", "type1", "", "type3", "", "type1"]


def test_types_between_pooling_are_searched(data) -> None:
    found = search_hierarchically(data, "types-pooled", MICRO, QUICK)
    assert found is not None
    network = found.network(1, 2, channels=4)
    assert isinstance(network, PooledTypeNetwork)
    design = template_design("types-pooled", found.cells, found.choice, 4)
    built = design.family.build(design.architecture, (1, 8, 8), 2)
    assert built.state_dict().keys() == network.state_dict().keys()
