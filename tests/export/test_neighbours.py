"""A model of a file that imports its neighbours can be loaded where they are not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from archwright.data import load_data
from archwright.export import export_model
from archwright.export.neighbours import neighbours
from archwright.families import get_family

METRICS = {"validation": {"accuracy": 0.9}, "test": {"accuracy": 0.9}, "baselines": []}
SETTINGS = {
    "goal": {"objectives": [["accuracy", "maximize"]], "bounds": []},
    "seed": 3,
    "command": ["archwright", "search"],
}

MINE = """
import archwright as aw
import parts_of_mine
from layers_of_mine.blocks import head

space = aw.Space(width=aw.Choice(2, 3))


def build(architecture, input_shape, num_classes):
    return parts_of_mine.body(head(architecture["width"], num_classes))
"""
PARTS = """
from torch import nn
import deeper_of_mine


def body(head):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, deeper_of_mine.width(head)), head)
"""


@pytest.fixture
def mine(tmp_path):
    folder = tmp_path / "mine"
    (folder / "layers_of_mine").mkdir(parents=True)
    (folder / "mine.py").write_text(MINE)
    (folder / "parts_of_mine.py").write_text(PARTS)
    (folder / "deeper_of_mine.py").write_text("def width(head):\n    return head.in_features\n")
    (folder / "unused.py").write_text("")
    (folder / "layers_of_mine" / "__init__.py").write_text("")
    (folder / "layers_of_mine" / "blocks.py").write_text(
        "from torch import nn\n\n\ndef head(width, classes):\n    return nn.Linear(width, classes)\n"
    )
    return folder / "mine.py"


def test_what_is_imported_is_found_through_other_files(mine):
    assert {p.name for p in neighbours(mine)} == {"parts_of_mine.py", "deeper_of_mine.py", "layers_of_mine"}


def test_exported_model_loads_without_the_users_folder(mine, tmp_path):
    family, data = get_family(str(mine)), load_data("digits")
    architecture = family.space.default
    network = family.build(architecture, data.input_shape, data.num_classes)
    export_model(
        network,
        tmp_path / "model",
        family=family,
        architecture=architecture,
        data=data,
        metrics=METRICS,
        settings=SETTINGS,
        onnx=False,
    )
    mine.parent.rename(tmp_path / "gone")
    code = "import archwright as aw; print(len(aw.load('model').classes))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "10", done.stderr
