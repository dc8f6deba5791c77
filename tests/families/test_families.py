"""The families that come with the package, against known numbers."""

from __future__ import annotations

import gzip
from itertools import product

import numpy as np
import pytest
import torch

from archwright.errors import FamilyError
from archwright.families import CATALOGUE, check_output, family_from, family_from_spec, family_spec, get_family
from archwright.families.macro import canonical as macro_key
from archwright.families.macro import from_string as macro_from_string
from archwright.families.macro import macro_mmacs
from archwright.families.nasbench201 import (
    CELL,
    EDGES,
    OPERATIONS,
    from_string,
    isomorphism_class,
    to_string,
)
from archwright.space import Architecture, Choice, Space
from archwright.testing.families import FamilyContract

SMALL = {
    "nasbench201": {"channels": 4, "cells": 1},
    "nasbench101": {"channels": 4, "cells": 1},
    "darts": {"channels": 3, "cells": 3},
    "hierarchical": {"channels": 3, "cells": 4},
    "macro": {"cells": [1, 2], "width": 4, "head": 16},
    "mobileone": {},
    "moat": {},
    "swiftformer": {"branches": 4},
    "attention": {},
    "snapformer": {},
    "cnn": {},
    "mlp": {},
}


@pytest.mark.parametrize("name", CATALOGUE)
class TestCatalogue(FamilyContract):
    @pytest.fixture
    def family(self, name):
        return get_family(name, **SMALL[name])


def uniform(operation):
    return Architecture(dict.fromkeys(CELL.names, operation))


def parameters(family, architecture, shape=(3, 32, 32), classes=10):
    return sum(p.numel() for p in family.build(architecture, shape, classes).parameters())


def all_cells():
    return [Architecture(dict(zip(CELL.names, ops))) for ops in product(OPERATIONS, repeat=6)]


@pytest.mark.parametrize(("operation", "number"), [("skip_connect", 73_306), ("nor_conv_3x3", 1_531_546)])
def test_nasbench201_has_the_published_parameter_counts(operation, number):
    assert parameters(get_family("nasbench201"), uniform(operation)) == number


def test_nasbench201_parameter_counts_agree_with_the_benchmark(shared_data):
    import csv

    family = get_family("nasbench201")
    with gzip.open(shared_data / "nasbench201" / "nb201_tss.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    for row in rows[::1500]:
        digits = row["ops"].zfill(6)
        cell = Architecture({f"{i}-{j}": OPERATIONS[int(d)] for (i, j), d in zip(EDGES, digits)})
        assert parameters(family, cell) == round(1e6 * float(row["params_m"]))


def test_isomorphism_classes_are_as_many_as_in_the_literature():
    cells = all_cells()
    assert len({isomorphism_class(cell) for cell in cells}) == 6_466
    live = {tuple(CELL.genotype(c).live_edges()) for c in cells}
    assert len(live) == 9_445


def same_output(first, second):
    """Whether two cells compute the same when corresponding weights are all equal."""
    family = get_family("nasbench201", channels=2, cells=1, stages=1)
    x = torch.randn(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    outputs = []
    for architecture in (first, second):
        network = family.build(architecture, (1, 6, 6), 2)
        for p in network.parameters():
            torch.nn.init.constant_(p, 0.3) if p.ndim != 4 else torch.nn.init.constant_(p, 0.11)
        outputs.append(network.eval()(x))
    return torch.allclose(outputs[0], outputs[1], atol=1e-5)


def test_cells_of_one_key_compute_the_same_function():
    rng = np.random.default_rng(0)
    family = get_family("nasbench201")
    groups = {}
    for cell in family.space.sample(rng, 3000):
        groups.setdefault(family.key(cell), set()).add(cell)
    pairs = [sorted(g, key=str)[:2] for g in groups.values() if len(g) > 1]
    assert len(pairs) > 100
    assert all(same_output(a, b) for a, b in pairs[:60])


def test_isomorphic_cells_of_other_size_have_other_keys():
    dead = Architecture(dict(zip(CELL.names, ["none", "none", "none", "skip_connect", "nor_conv_3x3", "none"])))
    plain = Architecture(dict(zip(CELL.names, ["none", "none", "none", "skip_connect", "none", "none"])))
    assert isomorphism_class(dead) == isomorphism_class(plain)
    assert get_family("nasbench201").key(dead) != get_family("nasbench201").key(plain)


def test_dead_operations_are_not_run():
    family = get_family("nasbench201", channels=4, cells=1, stages=1)
    dead = Architecture(dict(zip(CELL.names, ["none", "none", "none", "skip_connect", "nor_conv_3x3", "none"])))
    network = family.build(dead, (1, 8, 8), 2)
    network(torch.randn(2, 1, 8, 8)).sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert without
    assert all("1-3" in n for n in without)


def test_cell_strings_of_the_benchmark_round_trip():
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|"
    cell = from_string(text)
    assert cell["1-2"] == "skip_connect"
    assert to_string(cell) == text
    for wrong in ("", "|nor_conv_3x3~0|", text.replace("none~0", "none~1"), text.replace("none", "nothing")):
        with pytest.raises(FamilyError, match="is not a NAS-Bench-201 cell"):
            from_string(wrong)


# rows of the true Pareto fronts in den Ottelander et al. (2021): genotype, MMACs = 21.31 + f2 * (239.28 - 21.31)
@pytest.mark.parametrize(
    ("text", "classes", "mmacs"),
    [("0" * 14, 10, 21.31), ("2" * 14, 10, 239.28), ("0" * 14, 100, 21.54), ("2" * 14, 100, 239.51)],
)
def test_macro_mmacs_agree_with_the_benchmark(text, classes, mmacs):
    assert macro_mmacs(text, classes) == pytest.approx(mmacs, abs=0.006)


def test_macro_mmacs_count_the_convolutions_of_the_network():
    from archwright.evaluate import profile_network

    family = get_family("macro")
    text = "10220011200212"
    network = family.build(macro_from_string(text), (3, 32, 32), 10)
    counted = profile_network(network, (3, 32, 32), metrics=["macs"])["macs"] / 1e6
    norms = 2 * sum(m.num_features * s for m, s in norm_sizes(network, (3, 32, 32))) / 1e6
    assert macro_mmacs(text, 10) == pytest.approx(counted + norms + (1280 * 17 + 2559 * 10 - 12_800) / 1e6, abs=1e-3)


def norm_sizes(network, shape):
    sizes = []
    hooks = [
        m.register_forward_hook(lambda m, _, out: sizes.append((m, out.shape[2] * out.shape[3])))
        for m in network.modules()
        if isinstance(m, torch.nn.BatchNorm2d)
    ]
    network.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return sizes


def test_macro_has_as_many_networks_as_the_closed_form():
    per_stage = {n: {macro_key(macro_from_string("".join(s)), (n,)) for s in product("I12", repeat=n)} for n in (4, 2)}
    assert len(per_stage[4]) ** 3 * len(per_stage[2]) == 208_537


def test_macro_identity_cells_vanish():
    key = get_family("macro").key
    assert key(macro_from_string("I1I2" + "I" * 10)) == key(macro_from_string("12II" + "I" * 10))
    assert key(macro_from_string("12II" + "I" * 10)) != key(macro_from_string("21II" + "I" * 10))
    with pytest.raises(FamilyError, match="not a chain"):
        macro_from_string("0123")


def test_unknown_family_or_option_names_near_ones():
    with pytest.raises(FamilyError, match="did you mean nasbench101 or nasbench201"):
        get_family("nasbench102")
    with pytest.raises(FamilyError, match="did you mean channels"):
        get_family("nasbench201", chanels=3)
    with pytest.raises(FamilyError, match="at least 1"):
        get_family("nasbench201", cells=0)
    with pytest.raises(FamilyError, match="has no options"):
        get_family("some/net.py", width=3)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("nasbench201", (13,), "mlp takes any shape"),
        ("nasbench201", (1, 2, 2), "at least 4 x 4"),
        ("macro", (3, 6, 6), "at least 8 x 8"),
        ("cnn", (7,), "takes images"),
    ],
)
def test_families_say_before_training_what_they_cannot_take(name, shape, message):
    with pytest.raises(FamilyError, match=message):
        get_family(name).check_shape(shape)


def test_family_made_in_python_cannot_be_made_again_from_its_spec():
    family = family_from(Space(a=Choice(1, 2)), lambda a, s, n: torch.nn.Linear(s[0], n))
    with pytest.raises(FamilyError, match="pass build="):
        family_from_spec(family_spec(family))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (torch.nn.Linear(5, 7), "output for a batch of 2 is 2 x 7; it must be 2 x 3"),
        (torch.nn.Linear(4, 3), "cannot take a batch of 2 x 5"),
        (torch.nn.Unflatten(1, (5, 1)), "2 x 5 x 1"),
        (lambda x: x, r"must return a torch.nn.Module, not function"),
    ],
)
def test_networks_of_a_wrong_size_are_told(network, message):
    with pytest.raises(FamilyError, match=message):
        check_output(network, (5,), 3)


def test_nasbench201_with_dead_operations_computes_the_same():
    plain, whole = (get_family("nasbench201", channels=4, cells=1, run_dead=dead) for dead in (False, True))
    dead = Architecture(dict.fromkeys(plain.space.names, "nor_conv_3x3") | {"0-1": "none", "1-3": "none"})
    dead = Architecture({name: dead[name] for name in plain.space.names})
    runs = []
    for family in (plain, whole):
        torch.manual_seed(0)
        network = family.build(dead, (3, 8, 8), 5)
        ran = []
        for name, module in network.named_modules():
            if isinstance(module, torch.nn.ReLU):
                module.register_forward_hook(lambda *_, name=name, ran=ran: ran.append(name))
        runs.append((network(torch.ones(2, 3, 8, 8)), len(ran)))
    assert torch.equal(runs[0][0], runs[1][0])
    assert runs[1][1] == runs[0][1] + 3  # the edge between nodes 1 and 2, in each stage
    with pytest.raises(FamilyError, match="true or false"):
        get_family("nasbench201", run_dead=1)
