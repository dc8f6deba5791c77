"""``archwright oneshot METHOD nasbench201``: found, retrained, exported, ranked; mistakes."""

import pytest

from archwright.families import get_family
from archwright.families.nasbench201 import to_string

TINY = (
    "nasbench201", "--data", "digits", "--limit", 60, "--small", "--epochs", 1, "--option", "pretrain_epochs=0",
    "--option", "stages=2", "--set", "stages=2", "--set", "channels=4", "--train", "epochs=1", "--device", "cpu",
)  # fmt: skip
TABLE = ("--table", "nasbench201-digits")


def run(archwright, method, *more):
    done = archwright("oneshot", method, *TINY, "--study", "s", "--json", *more)
    assert done.code == 0, done.err
    return done.json


def test_an_architecture_is_found_retrained_exported_and_ranked(archwright):
    found = run(archwright, "icdarts", *TABLE, "--sample", 5)
    assert found["genotype"]["cell"] == to_string(found["architecture"])
    family = get_family("nasbench201", **found["family_options"])
    assert (family.options["channels"], family.options["cells"], family.options["stages"]) == (4, 1, 2)
    family.space.validate(found["architecture"])
    assert found["ranking"]["of"] == 15_625
    assert 1 <= found["ranking"]["rank"] <= 15_625
    assert found["ranking"]["one_shot"]["n"] == 5
    assert abs(found["ranking"]["order"]["spearman"]) <= 1
    exported = archwright("export", "s", "--out", "m", "--no-onnx", "--json")
    assert exported.code == 0, exported.err
    assert exported.json["metrics"]["test"] == pytest.approx(found["retrain"]["test"])
    listed = archwright("predict", "s/model", "nothing.npz")
    assert "nothing.npz" in listed.err  # the model was read, the input is missing
    again = run(archwright, "icdarts", *TABLE, "--sample", 5, "--no-retrain")
    assert again["ranking"] == found["ranking"]


def test_random_cells_have_a_rank_and_no_order(archwright):
    found = run(archwright, "random_v4", *TABLE, "--no-retrain")
    assert found["ranking"]["rank"] is not None
    assert "order" not in found["ranking"]
    assert "retrain" not in found


def test_a_summary_for_people(archwright):
    done = archwright("oneshot", "darts1", *TINY, "--study", "s", *TABLE, "--signal", "test_loss", "--no-retrain")
    assert done.code == 0, done.err
    assert "test_loss after 10 epochs" in done.out
    assert "of 15,625" in done.out
    assert "Spearman" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("combined", "nasbench201"), "combined needs lists of operations per edge, which nasbench201 does not have"),
        (("icdarts", "nasbench201", "--option", "nodes=3"), "unknown option 'nodes'"),
        (("icdarts", "nasbench201", "--set", "depth=3"), "unknown setting of the network 'depth'"),
        (("icdarts", "nasbench201", "--table", "nasbench102"), "unknown table 'nasbench102'"),
        (("icdarts", "nasbench201", "--table", "nasbench201"), "--data-dir"),
        (("icdarts", "nasbench201", "--table", "nasbench201-digits", "--signal", "x"), "unknown metric 'x'"),
        (("icdarts", "nasbench201", "--signal", "x"), "--dataset and --signal are of a --table"),
        (("icdarts", "nasbench201", "--sample", 2), "a sample has from 3 to 15,625 cells, not 2"),
        (("icdarts", "darts", "--table", "nasbench201-digits"), "--table is for nasbench201"),
        (("icdarts", "darts", "--sample", 5), "for nasbench201 alone"),
        (("icdarts", "nasbench20"), "unknown family of search inside one network 'nasbench20'; did you mean nasbench201"),
    ],
)  # fmt: skip
def test_mistakes_are_named_on_one_line(archwright, monkeypatch, words, message):
    monkeypatch.delenv("ARCHWRIGHT_DATA", raising=False)
    done = archwright("oneshot", *words, "--data", "digits")
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_the_comparison_is_shown_for_people(archwright):
    done = archwright("reproduce", "oneshot-nasbench201", "--runs", 2, "--only", "random", "--out", "o")
    assert done.code == 0, done.err
    assert "random_v4" in done.out
    assert "rank" in done.out
    assert "p against" not in done.out
