"""The DARTS space: published counts, genotype notation, drawing."""

from __future__ import annotations

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
        (("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "two different inputs below 5"),
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
