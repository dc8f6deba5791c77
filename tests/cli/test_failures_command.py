"""``archwright failures``."""

from __future__ import annotations

import csv

import pytest

FILE = """
import archwright as aw

space = aw.Space(light=aw.Choice("day", "night"), fog=aw.Choice(0, 1, 2), camera=aw.Choice("a", "b", "c"))


def evaluate(condition):
    if condition["camera"] == "c":
        raise OSError("no such camera")
    return 0.9 - 0.3 * (condition["light"] == "night") - 0.2 * condition["fog"]
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path / "mine.py"


@pytest.fixture
def table(tmp_path):
    rows = [(a, b, 0.9 - 0.1 * a - 0.05 * b) for a in range(5) for b in range(6)]
    lines = ["a,b,top1", *(f"{a},{b},{value}" for a, b, value in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "t.csv"


def test_a_file_is_searched_kept_and_continued(archwright, mine, tmp_path):
    first = archwright("failures", mine, "--budget", 11, "--out", "kept.csv", "--json")
    assert (first.code, first.err) == (0, "")
    kept = (tmp_path / "kept.csv").read_text()
    second = archwright("failures", mine, "--budget", 18, "--out", "kept.csv", "--json")
    assert (tmp_path / "kept.csv").read_text().startswith(kept)
    rows = list(csv.DictReader((tmp_path / "kept.csv").open()))
    assert len(rows) == 18
    assert second.json["failed"] == sum(row["accuracy"] == "" for row in rows) == 6
    assert second.json["worst"][0]["condition"]["light"] == "night"
    assert second.json["worst"][0]["condition"]["fog"] == 2
    assert "no such camera" in archwright("failures", mine, "--budget", 18).out


def test_policies_are_compared_on_a_table(archwright, table, tmp_path):
    words = ("failures", table, "--value", "top1", "--budget", 12, "--seeds", 2, "--out", "figure.png")
    done = archwright(*words, "--json")
    assert done.code == 0, done.err
    found = {row["policy"]: row for row in done.json["policies"]}
    assert set(found) == {"oracle", "greedy-bo", "genetic", "random", "combinatorial"}
    assert found["oracle"]["coverage"] == 1
    assert found["oracle"]["mean_accuracy"] == min(row["mean_accuracy"] for row in found.values())
    assert (tmp_path / "figure.png").stat().st_size > 5000
    assert "oracle" in archwright(*words, "--policy", "oracle").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.csv",), "there is no file"),
        (("none.py",), "there is no file"),
        (("t.csv",), "--value"),
        (("t.csv", "--value", "top1", "--policy", "gready-bo"), "greedy-bo"),
        (("t.csv", "--value", "top1", "--budget", 0), "at least 1"),
        (("t.csv", "--value", "top1", "--share", 0), "--share"),
        (("t.csv", "--value", "top1", "--seeds", 0), "--seeds"),
        (("t.csv", "--value", "top1", "--out", "x.csv"), "figure"),
        (("mine.py", "--policy", "oracle"), "table"),
        (("mine.py", "--policy", "random", "--policy", "genetic"), "one --policy"),
        (("mine.py", "--out", "t.csv"), "not a journal"),
    ],
)
def test_mistakes_are_one_line(archwright, table, mine, words, message):
    done = archwright("failures", *words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
