"""The published true fronts of MacroNASBenchmark: what a hypervolume is here, and how MACs are counted.

Accuracies and cells: the front files of den Ottelander et al. (2021), tdenottelander/MacroNAS.
"""

from __future__ import annotations

import numpy as np
import pytest

from archwright.arena import Entry, Problem, read_signal
from archwright.arena.runs import run
from archwright.arena.statistics import front_of, front_progress
from archwright.families import get_family
from archwright.families.macro import from_string, macro_mmacs
from archwright.tables import Column, Table

CIFAR10 = """
92.49:02220121112222 92.43:01220012112221 92.37:00210122112221 92.27:00220111112221 92.25:00120122112202
92.19:00020122112122 92.17:00210021112221 92.10:00020022112202 92.07:00010021112221 91.94:00010021111221
91.72:00020012011202 91.65:00020002211102 91.63:00010012021102 91.47:00010021111201 91.43:00000012022102
91.41:00010021111102 91.40:00010011021112 91.27:00010011021102 91.16:00010011211101 90.98:00000011011221
90.93:00000012011111 90.82:00000011021102 90.73:00000011021111 90.59:00000011111102 90.56:00000111011111
90.51:00000011011112 90.49:00000002021101 90.46:00000011011111 90.19:00000001011121 89.98:00000011002101
89.91:00000001011111 89.38:00000001002101 89.36:00000001011101 89.12:00000001001111 88.33:00000001001101
87.59:00000001000111 87.27:00000000011101 87.21:00000000001111 86.91:00000001000101 86.29:00000000001101
84.42:00000000000111 83.78:00000001000100 83.51:00000000001100 83.44:00000000000101 79.65:00000000000100
77.50:00000000000001 71.41:00000000000000
"""
CIFAR100 = """
70.49:22111111112202 70.39:12111112211202 70.38:11211111112202 70.24:11220012112201 70.20:01210121211121
70.17:11110211112202 70.15:01120011112211 69.98:11110012112201 69.95:01110211112201 69.90:11110111012202
69.88:01110011112211 69.74:00111111112201 69.68:00210011112102 69.62:00110021021121 69.56:00010121111211
69.54:00020011111211 69.51:00110012011211 69.49:00010011021221 69.33:00010111111211 69.23:00010021012111
69.20:00010011111202 69.19:00010011111211 69.05:00000021011211 69.02:00010001111211 68.83:00010011111111
68.78:00000011111211 68.66:00010011011111 68.64:00000011012111 68.44:00000011111111 68.07:00000001111111
67.65:00000011001201 67.58:00000001011201 67.51:00000011011101 67.34:00000001011102 67.04:00000011001111
66.95:00000001011111 66.74:00000001001201 66.32:00000001011101 66.01:00000001001101 64.66:00000001000111
64.18:00000000011101 63.61:00000000001111 63.54:00000001000101 62.69:00000000001101 60.18:00000000000111
59.86:00000001000100 59.12:00000000001100 59.09:00000000000101 54.79:00000000000100 50.58:00000000000001
45.18:00000000000000
"""


def problem(text, classes):
    """The front, and the largest network with a bad accuracy, so that MACs are scaled as over the whole benchmark."""
    pairs = [word.split(":") for word in text.split()] + [["10.00", "2" * 14]]
    family = get_family("macro")
    accuracy = np.array([float(value) for value, _ in pairs])
    mmacs = np.array([macro_mmacs(cells, classes) for _, cells in pairs])
    columns = (
        Column("cifar", "val_accuracy", "maximize", accuracy[:, None, None]),
        Column("cifar", "mmacs", "minimize", mmacs[:, None, None]),
    )
    table = Table("front", family.space, family.space.codes([from_string(c) for _, c in pairs]), columns)
    signals = tuple(read_signal(table, "cifar", name) for name in ("val_accuracy", "mmacs"))
    return Problem(table, "cifar", signals, signals[0])


@pytest.mark.parametrize(
    ("text", "classes", "vectors", "hypervolume"), [(CIFAR10, 10, 47, 0.904275), (CIFAR100, 100, 51, 0.680106)]
)
def test_the_published_front_has_its_published_hypervolume(text, classes, vectors, hypervolume):
    published = problem(text, classes)
    assert len(front_of(published.losses)) == vectors
    everything = run(published, Entry("random", "random", {}), vectors + 1, 0)
    found = front_progress(published, everything, [vectors + 1])
    assert found["hypervolume"][0] == pytest.approx(hypervolume, abs=1e-5)
    assert found["front_share"][0] == 1
    assert found["igd_plus"][0] == 0
