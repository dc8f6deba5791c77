"""The DARTS space: published counts, genotype notation, drawing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import FamilyError
from archwright.families import get_family
from archwright.families.darts import OPERATIONS, PUBLISHED, edges, from_text, graph, to_text

FAMILY = get_family("darts")


def test_the_published_network_has_the_published_size():
    """3.3 million (Liu et al. 2019, table 1): 3,349,342 without the auxiliary tower, as the code prints it."""
    import torch

    with torch.device("meta"):
        network = get_family("darts", channels=36, cells=20).build(from_text(PUBLISHED), (3, 32, 32), 10)
    assert sum(p.numel() for p in network.parameters()) == 3_349_342


def test_the_space_has_the_known_size():
    assert FAMILY.space.size == (7**8 * 3 * 6 * 10) ** 2


@given(st.integers(0, 2**32 - 1))
def test_genotypes_round_trip(seed):
    architecture = FAMILY.space.sample(np.random.default_rng(seed))
    assert from_text(to_text(architecture)) == architecture


def test_the_notation_of_the_code_is_understood_in_any_order():
    swapped = PUBLISHED.replace("('sep_conv_3x3', 1), ('skip_connect', 0)", "('skip_connect', 0), ('sep_conv_3x3', 1)")
    assert swapped != PUBLISHED
    assert from_text(swapped.replace("[2, 3, 4, 5]", "range(2, 6)")) == from_text(PUBLISHED)
    assert edges(from_text(PUBLISHED), "normal")[4:6] == [(0, 4, "skip_connect"), (1, 4, "sep_conv_3x3")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sep_conv_3x3', 0", "sep_conv_7x7', 0"), "unknown operation 'sep_conv_7x7'"),
        (("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)"), "two different inputs below 5"),
        (("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "must read from inputs below 5, not 5"),
        ((", ('dil_conv_3x3', 2)", ""), "must have 8 pairs, not 7"),
        (("normal_concat=[2, 3, 4, 5]", "normal_concat=[4, 5]"), "normal_concat must be"),
        (("reduce=", "other="), "'reduce'"),
        (("Genotype(normal", "Genotype(__import__('os').getcwd(), normal"), "no call with named arguments"),
        (("normal=[", "normal=open('x') + ["), "not a genotype"),
        (("Genotype(", "Genotype(("), "not a genotype"),
    ],
)
def test_what_is_no_genotype_is_refused(change, message):
    assert change[0] in PUBLISHED
    with pytest.raises(FamilyError, match=message.replace("(", r"\(")):
        from_text(PUBLISHED.replace(*change, 1))


def test_a_cell_is_a_graph_that_can_be_drawn(tmp_path):
    from archwright.report.drawing import draw_architecture

    cell = graph(FAMILY.default, "reduce")
    assert cell.into(5) == [(1, "max_pool_3x3"), (2, "skip_connect")]
    assert {operation for *_, operation in cell.edges} <= {*OPERATIONS, None}
    assert draw_architecture(FAMILY, FAMILY.default, tmp_path / "cells.png").stat().st_size > 10_000


def test_images_that_cannot_be_halved_twice_are_refused():
    with pytest.raises(FamilyError, match="at least 4 x 4"):
        FAMILY.check_shape((3, 2, 2))


@pytest.mark.parametrize("rule", ["darts", "idarts", "xdarts", "any"])
@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_cells_of_every_rule_round_trip(rule, nodes):
    """Variable numbers of edges, repeated predecessors and ``none`` survive text and JSON (Herron 2023, table of 2.10)."""
    family = get_family("darts", rule=rule, nodes=nodes, none="zero", operations="skip_connect+sep_conv_3x3")
    cells = family.cells
    kept = sum(len(pairs) for pairs in cells.cells(family.space.sample(np.random.default_rng(0)))["normal"])
    if rule != "any":
        assert kept == ({3: 9, 4: 14, 5: 20}[nodes] if rule == "xdarts" else 2 * nodes)
    for seed in range(20):
        architecture = family.space.sample(np.random.default_rng(seed))
        again = cells.from_text(cells.to_text(architecture))
        assert family.key(again) == family.key(architecture)
        assert cells.architecture(json.loads(json.dumps(cells.to_json(again)))) == again


@pytest.mark.parametrize(
    ("nodes", "options", "parameters"),
    [
        ([[("sep_conv_3x3", 0), ("sep_conv_3x3", 1)]] * 4, {}, 4_701_718),
        ([[("sep_conv_5x5", 0), ("sep_conv_5x5", 1)]] * 4, {}, 5_144_086),
        ([[("skip_connect", 0), ("skip_connect", 1)]] * 4, {}, 1_580_950),
        ([[("sep_conv_3x3", i) for i in range(j + 2)] for j in range(4)], {"rule": "xdarts"}, 7_200_406),
        ([[("sep_conv_3x3", 0), ("sep_conv_3x3", 1)]] * 4, {"tower": True}, 4_701_718 + 476_426),
    ],
)
def test_networks_have_the_known_sizes(nodes, options, parameters):
    """Herron 2023 as derived from the template: 20 cells, 36 channels, ten classes."""
    import torch

    family = get_family("darts", channels=36, cells=20, **options)
    architecture = family.cells.architecture({"normal": nodes, "reduce": nodes})
    with torch.device("meta"):
        network = family.build(architecture, (3, 32, 32), 10)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_tower_speaks_only_while_training():
    import torch

    family = get_family("darts", channels=2, cells=3, tower=True, none="random", operations="skip_connect+max_pool_3x3")
    network = family.build(family.space.sample(np.random.default_rng(0)), (1, 9, 9), 5)
    logits, extra = network(torch.rand(4, 1, 9, 9))
    assert logits.shape == extra.shape == (4, 5)
    assert network.eval()(torch.rand(4, 1, 9, 9)).shape == (4, 5)


def test_the_tower_is_not_deployed():
    import torch

    family = get_family("darts", channels=2, cells=3, tower=True)
    network = family.build(family.default, (1, 8, 8), 5).eval()
    used = family.deploy(network)
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(used(x), network(x))
    assert not any(name.startswith("tower") for name in used.state_dict())
    assert network.tower is not None
    assert used.head is not network.head


@pytest.mark.parametrize(
    ("template", "size"),
    [
        ("abl_reduce_max", 7**8 * 3 * 6 * 10),
        ("abl_stem_concat", FAMILY.space.size),
        ("abl_identity", (6**8 * 180) ** 2),
    ],
)
def test_a_template_says_which_cells_and_operations_there_are(template, size):
    import torch

    from archwright.layers.templates import Copies, PlainReduction

    family = get_family("darts", channels=3, cells=3, template=template)
    assert family.space.size == size
    architecture = family.space.sample(np.random.default_rng(0))
    network = family.build(architecture, (1, 9, 9), 4).eval()
    assert network(torch.rand(2, 1, 9, 9)).shape == (2, 4)
    assert isinstance(network.stem, Copies) == (template == "abl_stem_concat")
    assert isinstance(network.cells[1], PlainReduction) == (template == "abl_reduce_max")
    assert family.cells.architecture(family.cells.cells(architecture)) == architecture


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "abl_stem"}, "unknown template 'abl_stem'"),
        ({"template": {"stm": "concat"}}, "unknown attribute of a template 'stm'"),
        ({"template": {"reduction": "pool"}}, "unknown reduction of a template 'pool'"),
        ({"rule": "best"}, "unknown rule 'best'"),
        ({"none": "noise"}, "unknown stand-in for none 'noise'"),
        ({"operations": "sep_conv_3x3+conv_9x9"}, "conv_9x9"),
        ({"operations": "skip_connect+skip_connect"}, "named twice"),
        ({"nodes": 0}, "nodes must be a whole number of at least 1"),
    ],
)
def test_options_that_make_no_cells_are_refused(options, message):
    with pytest.raises(FamilyError, match=message):
        get_family("darts", **options)
