"""The command ``arena --surrogates``, from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archwright.space import Choice, Space
from archwright.tables import Column, Table


@pytest.fixture
def file(archwright) -> Path:
    """A table of 125 architectures whose accuracy rises with every digit."""
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    accuracy = (60 + codes @ [4.0, 2.0, 1.0])[:, None, None]
    columns = (
        Column("digits", "val_accuracy", "maximize", accuracy, (8,)),
        Column("digits", "test_accuracy", "maximize", accuracy + 0.5, (8,)),
    )
    return Table("toy", space, codes, columns).save(Path("toy.table.npz"))


def test_the_command_compares_all_that_suit_the_space_and_writes_a_page(archwright, file):
    words = ("arena", file, "--surrogates", "--train-sizes", "10,30", "--runs", 2, "--out", "out", "--json")
    done = archwright(*words, "--surrogate", "ridge", "--surrogate", "boosting")
    assert done.code == 0, done.err
    found = done.json
    assert [(r["surrogate"], r["rows"]) for r in found["results"]] == [
        ("ridge", 10), ("ridge", 30), ("boosting", 10), ("boosting", 30),
    ]  # fmt: skip
    assert found["test_rows"] == 95
    assert found["signal"] == "val_accuracy after 8 epochs"
    assert found["results"][1]["spearman"]["mean"] > 0.9
    assert set(found["files"]) == {"html", "json", "markdown", "latex", "surrogates"}
    page = Path("out/surrogates.html").read_text()
    assert "boosting" in page
    assert "<svg" in page
    assert json.loads(Path("out/surrogates.json").read_text())["results"] == found["results"]
    assert "| ridge | 30 |" in Path("out/surrogates.md").read_text()


def test_without_names_the_command_takes_those_without_cells(archwright, file, monkeypatch):
    from archwright.arena import calibration

    asked = []
    whole = calibration.compare_surrogates
    monkeypatch.setattr(
        calibration, "compare_surrogates", lambda *a, **k: asked.extend(a[3]) or whole(*a[:3], ["ridge"], **k)
    )
    done = archwright("arena", file, "--surrogates", "--train-sizes", 10, "--runs", 1)
    assert done.code == 0, done.err
    assert asked == ["deep-ensemble", "bananas", "gp-hamming", "gp-matern", "forest", "boosting", "ridge"]
    assert "judged on 115 others" in " ".join(done.out.split())
    assert "ridge" in done.out


def test_runs_in_two_processes_judged_by_another_column(archwright, file):
    words = ("arena", file, "--surrogates", "--train-sizes", 30, "--runs", 2, "--surrogate", "ridge", "--json")
    one = archwright(*words, "--out", "one")
    two = archwright(*words, "--out", "two", "--workers", 2, "--report", "test_accuracy")
    assert two.code == 0, two.err
    assert two.json["report"] == "test_accuracy after 8 epochs"
    for measure in ("nll", "coverage", "spearman"):
        assert two.json["results"][0][measure] == pytest.approx(one.json["results"][0][measure])
    assert "rank correlations are with test_accuracy" in Path("two/surrogates.html").read_text()
    assert "rank correlations are with" not in Path("one/surrogates.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--surrogates", "--budget", 5), "--budget is for searchers"),
        (("--surrogates", "-s", "ls"), "--searcher is for searchers"),
        (("--surrogates", "--workers", 0), "workers must be at least 1, not 0"),
        (("--surrogates", "--report", "accuracy"), "unknown metric 'accuracy'"),
        (("--train-sizes", "5"), "--train-sizes is for surrogates; add --surrogates"),
        (("--surrogate", "ridge"), "--surrogate is for surrogates; add --surrogates"),
        (("--surrogates", "--train-sizes", "5,x"), "--train-sizes takes positive whole numbers"),
        (("--surrogates", "--train-sizes", "5,500"), "too few for 500 to train on"),
        (("--surrogates", "--surrogate", "gnn"), "surrogate gnn: it sees cell graphs, and this space has none"),
        (("--surrogates", "--signal", "val_accuracy", "--signal", "test_accuracy"), "predict one --signal"),
        (("--surrogates", "--signal", "accuracy"), "unknown metric 'accuracy'"),
    ],
)
def test_bad_options_of_the_command(words, message, archwright, file):
    done = archwright("arena", file, *words)
    assert done.code == 2
    assert message in done.err


def test_nasbench301_has_no_rows_to_train_on(archwright):
    done = archwright("arena", "nasbench301", "--surrogates")
    assert done.code == 2
    assert "needs a table with known rows" in done.err
