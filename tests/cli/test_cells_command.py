"""``archwright cells`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archwright.families.darts import PUBLISHED

PLAIN = {
    "normal": [[["sep_conv_3x3", 0], ["sep_conv_3x3", 1]]] * 4,
    "reduce": [[["max_pool_3x3", 0], ["max_pool_3x3", 1]]] * 4,
}


@pytest.fixture
def files(archwright):
    Path("plain.json").write_text(json.dumps(PLAIN))
    Path("darts.txt").write_text(PUBLISHED)
    Path("run").mkdir()
    Path("run/result.json").write_text(json.dumps({"method": "icdarts", "genotype": PLAIN}))


def test_groups_are_compared_side_by_side(archwright, files):
    words = ["cifar=plain.json", "cifar=darts.txt", "em=run", "--cells", "em=14", "--out", "out"]
    done = archwright("cells", "compare", *words, "--json")
    assert done.code == 0, done.err
    cifar, em = done.json["groups"]
    assert (cifar["name"], cifar["runs"], cifar["cells"]) == ("cifar", 2, 20)
    assert em["operations"]["sep_conv_3x3"]["mean"] == 96
    assert {Path(f).name for f in done.json["files"].values()} == {
        "cells.html", "cells.json", "cells.md", "cells.tex", "frequencies.png"
    }  # fmt: skip
    assert json.loads(Path("out/cells.json").read_text())["groups"] == done.json["groups"]
    assert "| sep_conv_3x3 | 117.0 (38.2) 73% | 96.0 86% |" in Path("out/cells.md").read_text()


def test_a_file_without_a_name_is_its_own_group(archwright, files):
    done = archwright("cells", "compare", "plain.json", "run/result.json", "darts.txt")
    assert done.code == 0, done.err
    assert "144.0 90%" in done.out
    assert all(name in done.out for name in ("plain", "run", "darts", "mean depth"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.json"], "cannot read none.json: No such file"),
        (["=plain.json"], "NAME=FILE"),
        (["broken.json"], "broken.json is not valid JSON"),
        (["other.json"], "other.json: not a genotype such as"),
        (["picture.bin"], "picture.bin: not a text file"),
        (["plain.json", "--cells", "0"], "--cells takes a number"),
        (["plain.json", "--cells", "em=14"], "--cells takes a number"),
        (["plain.json", "--out", "plain.json"], "cannot be written"),
    ],
)
def test_mistakes_get_one_line(archwright, files, words, message):
    Path("broken.json").write_text("{")
    Path("other.json").write_text('{"accuracy": 1}')
    Path("picture.bin").write_bytes(b"\xff\xfe\x00")
    done = archwright("cells", "compare", *words)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err


SMALL = ["--channels", 4, "--cells", 3]


def test_weights_are_measured_on_this_machine(archwright, files):
    words = [
        "--out",
        "w.json",
        *SMALL,
        "--input-shape",
        "3,32,32",
        "--batch",
        4,
        "--repeats",
        3,
        "--cpu-time",
        "--threads",
        1,
    ]
    done = archwright("cells", "latency", "darts.txt", *words, "--operations", "skip_connect,conv_5x5", "--json")
    assert done.code == 0, done.err
    assert sum(done.json["weights"].values()) == pytest.approx(1)
    assert set(done.json["measured_ms"]) == {"skip_connect", "conv_5x5"}
    assert json.loads(Path("w.json").read_text())["weights"] == done.json["weights"]


def test_an_untrained_network_is_timed_over_the_test_split(archwright, files):
    done = archwright("cells", "time", "darts.txt", "--data", "digits", *SMALL, "--json")
    assert done.code == 0, done.err
    assert done.json["batch_size"] == 128
    assert done.json["seconds_per_batch"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latency", "--operations", "conv"], "unknown operation 'conv'"),
        (["latency", "--operations", ","], "at least one operation"),
        (["latency", "--input-shape", "3,32"], "three whole numbers"),
        (["latency", "--input-shape", "3,2,2"], "at least 4 x 4"),
        (["latency", "--batch", "0"], "at least 1"),
        (["latency", "--classes", "1"], "--classes must be at least 2"),
        (["latency", "--cpu-time"], "--threads 1"),
        (["latency", "--out", "nowhere/w.json"], "there is no folder nowhere"),
        (["latency", "none.txt"], "cannot read none.txt"),
        (["time", "darts.txt", "--data", "nothing"], "nothing"),
        (["time", "darts.txt", "--data", "digits", "--batch", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_timed_gets_one_line(archwright, files, words, message):
    done = archwright("cells", *words, *([] if "--cells" in words else SMALL))
    assert done.code == 2
    assert message in " ".join(done.err.split())


@pytest.mark.parametrize(("name", "start"), [("c.svg", b"<?xml"), ("c.png", b"\x89PNG"), ("c.pdf", b"%PDF")])
def test_cells_are_drawn(archwright, files, name, start):
    done = archwright("cells", "draw", "run", "--out", name, "--json")
    assert done.code == 0, done.err
    assert Path(done.json["file"]).read_bytes().startswith(start)


def test_a_drawing_is_refused_in_an_unknown_format_or_place(archwright, files):
    for out, message in (("c.jpg", "not as 'c.jpg'"), ("nowhere/c.svg", "cannot write nowhere/c.svg")):
        done = archwright("cells", "draw", "plain.json", "--out", out)
        assert done.code == 2
        assert message in " ".join(done.err.split())
