"""Drawings show every kept pair of every cell."""

from __future__ import annotations

import re

from archwright.families.darts import PUBLISHED
from archwright.genotypes import parse_cells
from archwright.genotypes.drawing import cells_figure, draw_cells

MANY = {
    "normal": [[["a", 0], ["a", 0], ["none", 1]], [["b", 2], ["c", 2], ["a", 0], ["a", 1]]],
    "normal_concat": [3],
    "reduce": "max_pool_3x3",
}


def labels(cells):
    return [text.get_text() for axis in cells_figure(cells).axes for text in axis.texts]


def test_every_pair_has_its_label_also_parallel_ones():
    found = labels(parse_cells(MANY))
    assert [found.count(op) for op in ("a", "b", "c", "none", "max pool 3x3")] == [4, 1, 1, 1, 1]
    assert len(cells_figure(parse_cells(MANY)).axes) == 2


def test_no_two_arrows_share_a_lane():
    for axis in cells_figure(parse_cells(MANY)).axes:
        lanes = [text.get_position()[1] for text in axis.texts if text.get_bbox_patch() is not None]
        assert len(lanes) == len(set(lanes)) > 0


def test_a_drawing_is_the_same_every_time(tmp_path):
    one, two = (draw_cells(parse_cells(PUBLISHED), tmp_path / f"{i}.svg").read_text() for i in range(2))
    assert one == two
    assert len(re.findall("sep conv 3x3", one)) == 5
