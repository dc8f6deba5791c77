"""Templates of given cells as a space: known sizes, the networks of the search, what is refused."""

from math import factorial

import numpy as np
import pytest
import torch

from archwright.errors import FamilyError
from archwright.families import family_from_spec, family_spec, get_family
from archwright.families.hierarchical import architecture_of, initial_template, template_of

ONE = [[["sep_conv_3x3", 0], ["skip_connect", 1]]]
TWO = [[["max_pool_3x3", 0], ["none", 0]]]
FOUR = {"type0": ONE, "type1": TWO, "type2": ONE, "type3": TWO}


def test_the_spaces_have_the_known_sizes():
    """Herron 2023, chapter 6: 19! and 4^20 templates of 20 cells."""
    assert get_family("hierarchical", cells=20).space.size == factorial(19) == 121_645_100_408_832_000
    assert get_family("hierarchical", version="types", genotype=FOUR, cells=20).space.size == 4**20


@pytest.mark.parametrize(("version", "genotype"), [("skips", None), ("types", FOUR)])
def test_architectures_are_templates_of_the_search(version, genotype):
    family = get_family("hierarchical", version=version, genotype=genotype, channels=2, cells=5, tower=True)
    assert template_of(version, family.default) == initial_template(version, 5)
    architecture = family.space.sample(np.random.default_rng(0))
    assert architecture_of(version, template_of(version, architecture)) == architecture
    again = family_from_spec(family_spec(family))
    assert again.options == family.options
    network = again.build(architecture, (1, 9, 9), 3)
    assert network.choice == template_of(version, architecture)
    used, x = family.deploy(network.eval()), torch.rand(2, 1, 9, 9)
    assert torch.equal(used(x), network(x))
    assert not any(name.startswith("tower") for name in used.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "skip"}, "unknown version 'skip'"),
        ({"cells": 2}, "at least three cells, not 2"),
        ({"version": "types"}, "takes cells named type0, type1, not normal, reduce"),
        ({"genotype": {"normal": ONE}}, "takes cells named normal, reduce, not normal"),
        ({"version": "types", "genotype": {"type0": ONE, "type1": ONE * 2}}, "equally many nodes"),
        ({"genotype": {"normal": ONE * 2, "reduce": ONE, "normal_concat": [2]}}, "put out all of their nodes"),
        ({"genotype": "Genotype("}, "not a genotype"),
    ],
)
def test_cells_that_do_not_go_with_the_version_are_refused(options, message):
    with pytest.raises(FamilyError, match=message):
        get_family("hierarchical", **options)
