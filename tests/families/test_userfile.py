"""A user's own file as a family."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest

from archwright.errors import FamilyError
from archwright.families import check_output, family_from_spec, family_spec, get_family
from archwright.testing.families import FamilyContract

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_net.py"

GOOD = """
from torch import nn
import archwright as aw
from helper import hidden
space = {"width": aw.Choice(4, 8), "depth": [1, 2]}
def build(architecture):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(architecture["width"] * hidden), nn.LazyLinear(3))
"""


class TestExample(FamilyContract):
    @pytest.fixture
    def family(self):
        return get_family(EXAMPLE)


def write(folder: Path, text: str) -> Path:
    (folder / "helper.py").write_text("hidden = 2\n")
    file = folder / "net.py"
    file.write_text(text)
    return file


def test_space_may_be_a_dict_and_build_may_take_the_architecture_only(tmp_path):
    family = get_family(write(tmp_path, GOOD))
    assert family.name == "net"
    assert family.space.size == 4
    check_output(family.build(family.space.default, (1, 4, 4), 3), (1, 4, 4), 3)


def test_build_travels_to_another_process(tmp_path):
    family = get_family(EXAMPLE)
    payload = tmp_path / "build"
    payload.write_bytes(cloudpickle.dumps(family))
    code = (
        f"import cloudpickle, torch; f = cloudpickle.loads(open({str(payload)!r}, 'rb').read());"
        "print(f.build(f.default, (1, 8, 8), 5)(torch.zeros(2, 1, 8, 8)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "torch.Size([2, 5])" in done.stdout, done.stderr


def test_file_can_be_made_a_family_again_and_shows_changes(tmp_path):
    file = write(tmp_path, GOOD)
    before = get_family(file)
    assert family_from_spec(family_spec(before)).options == before.options
    file.write_text(GOOD + "\n# other\n")
    assert get_family(file).options != before.options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("build = len", "has no 'space'"),
        ("import archwright as aw\nspace = aw.Space(a=[1, 2])", "has no 'build'"),
        ("space = 3\nbuild = len", "space must be an archwright.Space or a dict"),
        ("space = {'a': [1, 2]}\nbuild = 3", "build must be a function"),
        ("space = {'a': []}\ndef build(a): ...", "at least one value"),
        ("x = 1\nraise ValueError('not now')", r"cannot be imported: ValueError: not now \(line 2\)"),
        ("x = (", r"cannot be imported: SyntaxError"),
        ("import no_such_module_here", "No module named 'no_such_module_here'"),
        ("space = {'a': [1, 2]}\ndef build(): ...", "it takes 0 arguments"),
        ("space = {'a': [1, 2]}\ndef build(a, b, c, d): ...", "it takes 4 arguments"),
        ("import archwright as aw\nspace = aw.Space(a=aw.Integer(3, 1))\ndef build(a): ...", r"\(line 2\).*above high"),
        ("space = {'a': [1, 2]}\ndef build(a): ...\ndefault = {'a': 3}", "default is not in the space"),
    ],
)
def test_files_that_are_no_family_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(FamilyError, match=message) as caught:
        get_family(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_missing_file_is_named():
    with pytest.raises(FamilyError, match="there is no file nowhere/net.py"):
        get_family("nowhere/net.py")
