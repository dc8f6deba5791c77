"""The command proxies correlate, and reproduced results about proxies, from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archwright.space import Choice, Space
from archwright.tables import Column, Table


@pytest.fixture
def table(archwright) -> Path:
    """125 architectures with scores that know something of their accuracy, and some that do not."""
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    rng = np.random.default_rng(0)
    accuracy = 60 + codes @ [4.0, 2.0, 1.0]
    partial = np.where(rng.random(125) < 0.5, np.nan, accuracy)
    failed = np.where(codes[:, 0] == 0, -np.inf, accuracy + rng.normal(size=125) * 8)

    def column(name, values, way="maximize"):
        return Column("digits", name, way, values[:, None, None].astype(float))

    columns = (
        column("val_accuracy", accuracy),
        column("val_loss", 5 - accuracy / 30, "minimize"),
        column("logsynflow", np.exp(accuracy / 20) + rng.random(125)),
        column("naswot", failed),
        column("naswot_seconds", np.full(125, 0.25), "minimize"),
        column("jacov", -100 - rng.random(125)),
        column("suite_snip", partial),
        column("zico", np.ones(125)),
        column("grasp", np.full(125, -np.inf)),
    )
    return Table("toy", space, codes, columns).save(Path("toy.table.npz"))


def test_correlate_prints_one_json_object_and_writes_files(archwright, table):
    done = archwright("proxies", "correlate", table, "--proxies", "logsynflow,nwot,hybrid", "--resamples", 40, "--json")
    assert done.code == 0, done.err
    said = done.json
    assert (said["table"], said["dataset"], said["n"], said["target"]) == ("toy", "digits", 125, "val_accuracy")
    assert [r["proxy"] for r in said["results"]] == ["logsynflow", "nwot", "hybrid"]
    for row in said["results"]:
        assert {"kendall", "spearman", "top1_accuracy", "top10_accuracy", "rank_of_best", "overlap_at_10"} <= set(row)
        low, high = row["kendall_interval"]
        assert low <= row["kendall"] <= high
    assert said["results"][0]["kendall"] > 0.98
    assert [r["failed"] for r in said["results"]] == [0, 25, 25]
    assert [r["seconds"] for r in said["results"]] == [None, 0.25, None]
    assert np.array(said["proxy_to_proxy"]["spearman"]).shape == (3, 3)
    for kind in ("html", "json", "markdown", "latex", "scatter", "likeness", "seconds"):
        assert Path(said["files"][kind]).stat().st_size > 100
    assert 'src="http' not in Path(said["files"]["html"]).read_text()


def test_correlations_are_shown_with_the_top_of_the_list(archwright, table):
    done = archwright("proxies", "correlate", table, "--proxies", "logsynflow", "--resamples", 0)
    assert done.code == 0, done.err
    assert "rank of best" in done.out
    assert "best of 10" in done.out
    assert "first choice" in Path("proxies/proxies.md").read_text()


def test_by_default_all_whole_scores_that_rank_something_are_compared(archwright, table):
    done = archwright("proxies", "correlate", table, "--json", "--resamples", 0)
    assert done.code == 0, done.err
    assert [r["proxy"] for r in done.json["results"]] == ["logsynflow", "naswot", "jacov", "hybrid"]


def test_options_of_a_hybrid_follow_its_name(archwright, table):
    name = "hybrid:di=logsynflow,dd=jacov,alpha=1,beta=0.5,normaliser=abs-max,mode=unconditional"
    done = archwright("proxies", "correlate", table, "--proxies", f"naswot,{name}", "--json", "--resamples", 0)
    assert done.code == 0, done.err
    assert [r["proxy"] for r in done.json["results"]] == ["naswot", name]


def test_a_sample_repeats_with_its_seed(archwright, table):
    words = ("proxies", "correlate", table, "--proxies", "naswot", "--sample", 50, "--json", "--resamples", 0)
    first, again, other = (archwright(*words, "--seed", s).json for s in (1, 1, 2))
    assert first["n"] == 50
    assert first["results"] == again["results"] != other["results"]


def test_a_target_that_should_be_small_is_turned_round(archwright, table):
    words = ("proxies", "correlate", table, "--proxies", "logsynflow", "--json", "--resamples", 20)
    by_loss = archwright(*words, "--target", "val_loss").json["results"][0]
    by_accuracy = archwright(*words).json["results"][0]
    assert by_loss["kendall"] == pytest.approx(by_accuracy["kendall"])
    assert by_loss["top1_accuracy"] == pytest.approx(5 - by_accuracy["top1_accuracy"] / 30)
    assert by_loss["gap"] >= 0


def test_architectures_without_a_score_are_left_out_and_counted(archwright, table):
    said = archwright("proxies", "correlate", table, "--proxies", "suite_snip,naswot", "--json").json
    assert 40 < said["n"] == 125 - said["missing"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--proxies", "snip"), "did you mean suite_snip"),
        (("--proxies", "nonsense"), "has no scores 'nonsense' on digits; it has logsynflow, naswot"),
        (("--proxies", "grasp"), "grasp failed on all 125"),
        (("--proxies", "zico"), "zico gives all 125 architectures the score 1"),
        (("--proxies", "naswot,naswot"), "each proxy once"),
        (("--proxies", "hybrid:alpha=-1"), "alpha must be a finite number"),
        (("--proxies", "hybrid:alpha=NaN"), "alpha must be a finite number"),
        (("--proxies", "hybrid:gamma=1"), "unknown option 'gamma'"),
        (("--proxies", "hybrid:dd=jacov"), "dividing by a maximum that is not positive"),
        (("--proxies", "hybrid:dd=grasp"), "grasp failed on all 125"),
        (("--proxies", "sum:naswot=1"), "two or more"),
        (("--proxies", "learned:proxies=naswot,train=124"), "124 cannot be fitted on"),
        (("--dataset", "pets"), "unknown data set 'pets'"),
        (("--proxies", "naswot", "--target", "accuracy"), "unknown metric"),
        (("--proxies", "naswot", "--sample", "126"), "a sample of 126 is not possible"),
        (("--proxies", "naswot", "--resamples", "-1"), "must not be negative"),
    ],
)
def test_mistakes_are_explained_in_a_line(archwright, table, words, message):
    done = archwright("proxies", "correlate", table, *words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_sizes_of_the_shipped_table_are_proxies(archwright):
    done = archwright("proxies", "correlate", "nasbench201-digits", "--json", "--resamples", 0)
    assert done.code == 0, done.err
    assert "params" in [r["proxy"] for r in done.json["results"]]


def test_hybrid_tables_are_printed_beside_the_published(archwright, shared_data):
    done = archwright("reproduce", "hybrid-tables", "--data-dir", shared_data, "--json")
    assert done.code == 0, done.err
    rows = {(r["dataset"], r["proxy"], r["measure"]): r for r in done.json["rows"]}
    hybrid = rows["cifar100", "hybrid", "top1_accuracy"]
    assert (hybrid["ours"], hybrid["published"]) == (pytest.approx(70.88), 70.88)


def test_reproduce_refuses_options_of_the_other_kind(archwright):
    assert "hybrid-tables has no --runs; it takes --out" in archwright("reproduce", "hybrid-tables", "--runs", 3).err
    assert "lspon-speed has no --out" in archwright("reproduce", "lspon-speed", "--out", "x").err
    assert "did you mean hybrid-tables" in archwright("reproduce", "hybrid-table").err


def test_networks_of_a_family_are_scored(archwright):
    words = (
        "proxies",
        "score",
        "cnn",
        "--data",
        "digits",
        "--sample",
        1,
        "--batch",
        16,
        "--proxies",
        "synflow,nwot,snip",
    )
    done = archwright(*words, "--json")
    assert done.code == 0, done.err
    first, second = done.json["results"]
    assert first["scores"].keys() == {"synflow", "nwot", "snip"}
    assert first["scores"] != second["scores"]
    assert archwright(*words, "--json").json["results"][0]["scores"] == first["scores"]
    assert "synflow" in archwright(*words).out


def test_an_unknown_proxy_to_score_is_named(archwright):
    done = archwright("proxies", "score", "cnn", "--data", "digits", "--proxies", "synflo", "--sample", 0)
    assert done.code == 2
    assert "did you mean synflow" in done.err


def test_proxies_are_listed(archwright):
    listed = archwright("list", "proxies", "--json").json["proxies"]
    assert {"nwot", "synflow", "zen"} <= {p["name"] for p in listed}


def test_a_sample_has_so_many_different_networks(archwright, tmp_path):
    (tmp_path / "net.py").write_text(
        "import archwright as aw\nfrom torch import nn\nspace = aw.Space(width=aw.Choice(2, 4, 8))\n"
        "def build(a, shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, a['width']), nn.ReLU(), nn.Linear(a['width'], classes))\n"
    )
    words = ("proxies", "score", tmp_path / "net.py", "--data", "digits", "--proxies", "params", "--json")
    for sample, number in ((2, 2), (3, 3), (9, 3)):
        found = archwright(*words, "--sample", sample).json["results"]
        assert len({r["architecture"]["width"] for r in found}) == len(found) == number


@pytest.mark.parametrize(
    ("words", "message"), [(["--proxies", ","], "name at least one proxy"), (["--batch", 0], "at least 1, not 0")]
)
def test_scoring_nothing_is_refused(archwright, words, message):
    done = archwright("proxies", "score", "cnn", "--data", "digits", "--proxies", "params", *words)
    assert done.code == 2
    assert message in done.err


def test_scores_are_computed_now_and_kept(archwright):
    words = ["--data", "digits", "--sample", 12, "--batch", 16, "--resamples", 0, "--out", "now", "--json"]
    done = archwright(
        "proxies", "correlate", "nasbench201-digits", *words, "--proxies", "nwot,l2_norm,params,sum:nwot=1,params=1"
    )
    assert done.code == 0, done.err
    assert (done.json["n"], done.json["sample"]) == (12, 12)
    assert [r["proxy"] for r in done.json["results"]] == ["nwot", "l2_norm", "params", "sum:nwot=1,params=1"]
    assert len(Path("now/scores.jsonl").read_text().splitlines()) == 13
    assert done.json["results"][0]["seconds"] > 0


def test_a_table_is_scored_and_used_as_clues(archwright):
    words = ["nasbench201-digits", "--data", "digits", "--sample", 30, "--proxies", "l2_norm", "--batch", 8]
    done = archwright("table", "score", *words, "--out", "scored.table.npz", "--json")
    assert done.code == 0, done.err
    named = {c["metric"]: c for c in done.json["columns"]}
    assert named["l2_norm"]["missing"] == 15_625 - 30
    used = archwright("arena", "scored.table.npz", "-s", "rea:clues=l2_norm", "--runs", 2, "--budget", 15, "--json")
    assert used.code == 0, used.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--proxies", "skip"], "none of skip is a proxy"),
        (["--sample", 99999], "has 15625 architectures"),
        (["--batch", 0, "--sample", 3], "at least 1"),
    ],
)
def test_impossible_computed_scores_are_refused(archwright, words, message):
    done = archwright("proxies", "correlate", "nasbench201-digits", "--data", "digits", *words)
    assert done.code != 0
    assert message in done.err
