"""The skip metric."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import SpaceError
from archwright.families import get_family
from archwright.families.nasbench101 import CELL
from archwright.families.nasbench201 import from_string
from archwright.space import Architecture, Cell, Choice, Space, mean_skip


def skip(space, architecture):
    return mean_skip(space, space.codes([architecture]))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 0),
        ("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|", 0),
        ("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|none~0|none~1|none~2|", 1),
        ("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", 2),
        ("|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", 1),
        ("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|", 4 / 6),
    ],
)
def test_of_edge_cells_it_is_the_mean_over_skip_edges_of_the_nodes_between(text, expected):
    assert skip(get_family("nasbench201").space, from_string(text)) == pytest.approx(expected)


def node_cell(edges):
    values = {CELL.edge_name(i, j): (i, j) in edges for i, j in CELL.edges}
    return Architecture({**values, **{f"op{k}": CELL.operations[0] for k in range(1, 6)}})


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({(0, 1), (1, 2), (2, 6)}, 0),
        ({(0, 6)}, 0),
        ({(0, 1), (1, 2), (2, 6), (0, 6)}, 2),
        ({(0, 1), (1, 2), (2, 6), (0, 6), (0, 2)}, 1.5),
        ({(0, 1), (1, 2), (2, 6), (0, 6), (0, 3), (0, 4)}, 2),
    ],
)
def test_of_node_cells_it_is_the_mean_over_edges_that_jump_a_live_node(edges, expected):
    assert skip(Space(cells=CELL), node_cell(edges)) == pytest.approx(expected)


def test_of_several_cells_it_is_their_mean():
    pair = [Cell(3, ("skip", "conv"), prefix=p) for p in ("a.", "b.")]
    space = Space(cells=pair)
    far = {n: "skip" if n.endswith("0-2") else "conv" for n in pair[0].names}
    near = dict.fromkeys(pair[1].names, "conv")
    assert skip(space, Architecture(far | near)) == pytest.approx(0.5)


def test_a_space_without_cells_has_none():
    with pytest.raises(SpaceError, match="no"):
        mean_skip(Space(x=Choice(1, 2)), np.zeros((1, 1), dtype=np.int64))


def test_tables_have_it_as_a_column(shared_data):
    from archwright.tables import find_table

    table = find_table("nasbench201", shared_data)
    values = table.column("cifar10", "skip").at()
    assert (values == 2).sum() == 4**5
    assert values[9930] == 2
