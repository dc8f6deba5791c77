"""The commands arena and table, from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archwright.space import Choice, Space
from archwright.tables import Column, Table, load_table


@pytest.fixture
def table(archwright) -> Path:
    """125 architectures; accuracy rises with every digit, cost with one of them."""
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    accuracy = (60 + codes @ [4.0, 2.0, 1.0])[:, None, None]
    columns = (
        Column("digits", "val_accuracy", "maximize", np.concatenate([accuracy - 5, accuracy], axis=1), (2, 8)),
        Column("digits", "test_accuracy", "maximize", accuracy + 0.5, (8,)),
        Column("", "params", "minimize", codes[:, :1, None] + 1.0),
    )
    return Table("toy", space, codes, columns).save(Path("toy.table.npz"))


def test_arena_prints_one_json_object(archwright, table):
    words = ["-s", "ls", "-s", "random", "--runs", 5, "--budget", 40, "--json", "--report", "test_accuracy"]
    done = archwright("arena", table, *words)
    assert done.code == 0, done.err
    said = done.json
    assert {"table", "dataset", "signal", "report", "budget", "runs", "optimum", "results", "tests"} <= set(said)
    assert (said["signal"], said["report"]) == ("val_accuracy after 8 epochs", "test_accuracy after 8 epochs")
    assert said["results"][0]["to_optimum"].keys() == {
        "mean", "std", "min", "max", "reached", "equivalents_mean",
    }  # fmt: skip
    assert said["equivalents_per_evaluation"] == 1
    assert {"a", "b", "test", "p"} <= set(said["tests"][0])
    assert Path(said["files"]["html"]).is_file()


def test_without_a_table_it_takes_the_one_that_comes_with_the_package(archwright):
    done = archwright("arena", "--runs", 2, "--budget", 30, "--json")
    assert done.code == 0, done.err
    assert done.json["table"] == "nasbench201-digits"
    assert [r["searcher"] for r in done.json["results"]] == ["random", "rea", "ls", "lspon"]
    assert Path(done.json["files"]["curves"]).is_file()


def test_a_partial_training_is_a_part_of_a_full_one(archwright, table):
    done = archwright("arena", table, "-s", "ls", "--runs", 4, "--budget", 100, "--json", "--signal", "val_accuracy@2")
    assert done.code == 0, done.err
    assert done.json["equivalents_per_evaluation"] == 0.25
    reached = done.json["results"][0]["to_optimum"]
    assert reached["equivalents_mean"] == pytest.approx(reached["mean"] / 4)


def test_hyperband_spends_parts_of_full_trainings(archwright, table):
    words = ("arena", table, "-s", "hyperband", "-s", "random", "--runs", 3, "--budget", 20, "--signal", "val_accuracy")
    done = archwright(*words, "--fidelities", "2,8", "--json")
    assert done.code == 0, done.err
    assert done.json["fidelities"] == [0.25, 1.0]
    first, second = done.json["results"]
    assert first["evaluations"] > 20 == second["evaluations"]
    shown = archwright(*words)
    assert "3 runs of at most 20 full equivalents" in shown.out


def test_arena_prints_tables_for_people(archwright, table):
    done = archwright("arena", table, "--runs", 3, "--budget", 20, "--out", "shown")
    assert done.code == 0, done.err
    assert "Table toy, digits: 3 runs of at most 20 evaluations" in done.out
    assert "arena.html" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "digit"], "did you mean digits"),
        (["--budget", "1000"], "beyond the table"),
        (["--searcher", "nope"], "unknown searcher"),
        (["--searcher", "ls", "--fidelities", "2,8"], "--fidelities is for searchers that ask for short trainings"),
        (["--searcher", "hyperband", "--fidelities", "3,8"], "after 3 epochs; it has 2, 8"),
        (["--noise", "0.1"], "--noise is for surrogates"),
        (["--searcher", "hyperband", "--fidelities", "2;8"], "takes positive whole numbers"),
        (["--searcher", "ls:ties"], "takes NAME=VALUE, not 'ties'"),
        (["--signal", "val_accuracy@7"], "not known after 7 epochs; it is after 2, 8"),
        (["--signal", "val_accuracy", "--signal", "params", "--report", "params"], "--report is for one --signal"),
        (["--signal", "val_accuracy", "--signal", "params", "-s", "ls"], "LocalSearch handles one objective"),
    ],
)
def test_arena_refuses_in_one_line(archwright, table, words, message):
    done = archwright("arena", table, *words)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("arena").exists()


def test_a_csv_becomes_a_table_and_is_shown(archwright):
    Path("mine.csv").write_text("net,acc\nI1,80\n12,82\n22,85\n")
    words = ["table", "import", "mine.csv", "--family", "macro", "--set", "cells=[1, 1]", "--notation", "string"]
    said = archwright(*words, "--architecture", "net", "--metric", "acc=accuracy:pets", "--json").json
    assert said["file"] == "mine.table.npz"
    assert said["columns"][0]["best"] == 85
    assert "3 architectures, a part of the space" in archwright("table", "show", "mine.table.npz").out
    assert load_table("mine.table.npz").datasets == ("pets",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "mine.csv", "--architecture", "net", "--metric", "a"], "a CSV file needs --family"),
        (
            ["import", "gone.csv", "--architecture", "net", "--metric", "a", "--family", "macro"],
            "there is no file gone.csv",
        ),
        (["import", "nasbench20"], "unknown table 'nasbench20'; did you mean nasbench201"),
        (
            ["import", "mine.csv", "--where", "x", "--architecture", "n", "--metric", "a", "--family", "macro"],
            "COLUMN=VALUE",
        ),
        (["show", "gone.table.npz"], "there is no table gone.table.npz"),
        (["import", "mine.csv", "--curves"], "--curves is for NATS-Bench"),
        (["import", "gone.pickle.pbz2"], "there is no file gone.pickle.pbz2"),
    ],
)
def test_table_refuses_in_one_line(archwright, words, message):
    done = archwright("table", *words)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_table_is_made_and_competed_on(archwright):
    words = ["--data", "digits", "--limit", 60, "--epochs", 1, "--seeds", 2, "--sample", 12, "--workers", 0]
    done = archwright("table", "make", "mlp", *words, "--out", "mlp.table.npz", "--json")
    assert done.code == 0, done.err
    assert done.json["architectures"] == 12
    done = archwright(
        "arena",
        "mlp.table.npz",
        "--signal",
        "val_loss",
        "--report",
        "test_accuracy",
        "--runs",
        3,
        "--budget",
        8,
        "--json",
    )
    assert done.code == 0, done.err
    assert done.json["signal"] == "val_loss after 1 epochs"


def test_a_published_table_is_run_again(archwright, shared_data):
    done = archwright("reproduce", "dmls-front", "--data-dir", shared_data, "--runs", 1, "--json")
    assert done.code == 0, done.err
    rows = done.json["rows"]
    assert len(rows) == 9
    assert rows[0]["published"] == {"mean": 29.07, "std": 8.89}
    assert 0 < rows[0]["ours"]["mean"] <= 100
    assert "in place of MacroNASBench" in rows[0]["differs"]
    assert "front_share@800" in archwright("reproduce", "dmls-front", "--data-dir", shared_data, "--runs", 1).out


def test_reproduce_freerea_says_where_runs_end(archwright, shared_data):
    done = archwright("reproduce", "freerea", "--data-dir", shared_data, "--runs", 1, "--json")
    assert done.code == 0
    rows = done.json["rows"]
    assert len(rows) == 15
    assert rows[0]["published"]["mean"] == 94.36
    assert rows[0]["ours"]["mean"] == pytest.approx(94.36, abs=0.1)
    assert archwright("reproduce", "freerea", "--data-dir", shared_data, "--runs", 0).code == 2


def test_tables_of_pretrained_ensembles_are_run_again_and_kept(archwright, shared_data):
    words = [
        "reproduce",
        "ensemble-search-time",
        "--data-dir",
        shared_data,
        "--runs",
        2,
        "--only",
        "ls",
        "--out",
        "kept",
    ]
    done = archwright(*words, "--json")
    assert done.code == 0, done.err
    assert [(r["dataset"], r["reached"], r["published"]["mean"]) for r in done.json["rows"]] == [
        ("cifar10", 2, 99.0), ("cifar100", 2, 118.5)
    ]  # fmt: skip
    kept = Path("kept/runs.jsonl").read_text()
    out = archwright(*words).out
    assert Path("kept/runs.jsonl").read_text() == kept
    assert "99.00 ± 56.82" in out
    assert "naszilla" in out


def test_a_pretraining_of_another_seed_is_taken_and_the_rows_say_so(archwright, shared_data):
    small = {"members": 1, "profiled": 30, "pretraining_epochs": 1, "low_epochs": 1, "high_epochs": 1, "f": 1, "q": 1}
    options = [word for name, value in small.items() for word in ("--option", f"{name}={value}")]
    words = (
        "--data-dir",
        shared_data,
        "--only",
        "thesis",
        "--runs",
        1,
        "--seed",
        3,
        "--budget",
        2,
        "--out",
        "kept",
        "--json",
    )
    done = archwright("reproduce", "ensemble-search-time", *words, *options, "--pretrainings", 2)
    assert done.code == 0, done.err
    assert [f.name.rpartition("-")[2] for f in Path("kept").glob("*.safetensors")] == ["1.safetensors"]
    assert all("pretrainings shared by seeds: 1" in r["differs"] for r in done.json["rows"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ensemble-times"], "did you mean ensemble-"),
        (["lspon-speed", "--only", "ls"], "lspon-speed has no --only; it takes --runs, --seed, --workers"),
        (["ensemble-ablations", "--option", "epochs=3"], "unknown option 'epochs'"),
        (["ensemble-ablations", "--runs", 0], "runs must be at least 1, not 0"),
        (["ensemble-ablations", "--pretrainings", 0], "pretrainings must be at least 1, not 0"),
        (["lspon-speed", "--pretrainings", 1], "lspon-speed has no --pretrainings"),
    ],
)
def test_reproduce_of_ensembles_refuses_in_one_line(archwright, words, message):
    done = archwright("reproduce", *words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_reproduce_refuses_in_one_line(archwright, tmp_path):
    done = archwright("reproduce", "lspon-sped")
    assert done.code == 2
    assert "unknown publication 'lspon-sped'; did you mean lspon-speed" in done.err
    done = archwright("reproduce", "lspon-speed", "--data-dir", tmp_path)
    assert done.code == 2
    assert "name their folder with --data-dir" in done.err


def test_nasbench101_in_the_arena_with_the_test_accuracy_that_all_cells_have(archwright, shared_data):
    words = ["--data-dir", shared_data, "--runs", 2, "--budget", 40, "-s", "ls", "-s", "random", "--json"]
    done = archwright("arena", "nasbench101", *words)
    assert done.code == 0, done.err
    assert done.json["signal"] == "test_accuracy after 108 epochs"
    assert all(85 < r["best_mean"] < 94.32 and r["evaluations"] == 40 for r in done.json["results"])


def test_nats_bench_as_distributed_becomes_a_table(archwright, shared_data):
    folder = shared_data / "nats-bench-official-sample" / "NATS-tss-v1_0-3ffb9-simple"
    done = archwright("table", "import", folder, "--out", "t.table.npz", "--json")
    assert done.code == 0, done.err
    assert done.json["architectures"] == 3
    assert load_table("t.table.npz").datasets == ("cifar10", "cifar100", "imagenet16-120")


def test_searchers_compete_on_the_surrogate(archwright, shared_data):
    pytest.importorskip("onnxruntime")
    words = ("arena", "nasbench301", "--data-dir", shared_data, "-s", "ls", "-s", "random", "--runs", 2, "--budget", 20)
    done = archwright(*words, "--noise", 0.1, "--json")
    assert done.code == 0, done.err
    assert done.json["optimum"] is None
    assert done.json["results"][0]["to_optimum"] is None
    assert "reached" not in done.json["files"]
    assert "Nobody knows the optimum" in Path(done.json["files"]["html"]).read_text()
    assert "val_accuracy after 98 epochs" in archwright(*words).out
    shown = archwright("table", "show", "nasbench301", "--data-dir", shared_data)
    assert "1,076,746,950,455,072,400 architectures" in shown.out
    for wrong, message in (
        (("--signal", "val_accuracy", "--signal", "val_loss"), "one --signal"),
        (("--dataset", "cifar100"), "is about cifar10"),
        (("--give-first",), "--give-first is for tables"),
    ):
        refused = archwright(*words, *wrong)
        assert refused.code == 2
        assert message in refused.err


def test_searchers_may_look_at_columns_that_cost_nothing(archwright, table):
    how = ["--runs", 8, "--budget", 10, "--json"]
    done = archwright("arena", table, "-s", "ls", "-s", "ls:clues=params", "-s", "ls:clues=-params+random", *how)
    assert done.code == 0, done.err
    without, helped, misled = (r["best_mean"] for r in done.json["results"])
    assert helped > misled
    everyone = archwright("arena", table, "-s", "ls", "-s", "ls:clues=none", "--clues", "params", *how)
    assert everyone.code == 0, everyone.err
    assert everyone.json["clues"] == ["params"]
    assert [r["best_mean"] for r in everyone.json["results"]] == [helped, without]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-s", "random", "--clues", "params"], "for searchers that take them: ls"),
        (["-s", "random:clues=params"], "random takes no clues"),
        (["-s", "ls", "--clues", "parms"], "did you mean params"),
        (["-s", "ls", "--clues", "val_accuracy"], "is what trainings gave"),
        (["-s", "ls:clues=params+params"], "each clue once"),
    ],
)
def test_impossible_clues_are_refused(archwright, table, words, message):
    done = archwright("arena", table, *words, "--runs", 2, "--budget", 10)
    assert done.code != 0
    assert message in done.err


def test_any_surrogate_searches_a_table_and_one_that_cannot_is_refused(archwright):
    words = ("arena", "nasbench201-digits", "--runs", 1, "--budget", 14, "--json", "--out", "out")
    done = archwright(
        *words, "-s", "surrogate-bo:surrogate=gp-wl,batch=2", "-s", "surrogate-bo:surrogate=ridge,acquisition=ts"
    )
    assert done.code == 0, done.err
    wrong = archwright(*words, "-s", "surrogate-bo:surrogate=tree")
    assert wrong.code == 2
    assert "unknown surrogate 'tree'" in wrong.err


def test_arena_keeps_runs_and_ends_them_at_the_optimum(archwright, table):
    words = ("arena", table, "-s", "ls", "--budget", 100, "--until-optimum", "--keep", "kept/runs.jsonl", "--json")
    first = archwright(*words, "--runs", 2)
    assert first.code == 0, first.err
    more = archwright(*words, "--runs", 3)
    assert len(Path("kept/runs.jsonl").read_text().splitlines()) == 3
    assert more.json["results"][0]["evaluations"] < 100


def test_arena_refuses_to_end_at_an_optimum_that_is_not_judged(archwright, table):
    done = archwright("arena", table, "-s", "ls", "--budget", 50, "--until-optimum", "--report", "test_accuracy")
    assert done.code != 0
    assert "signal is also the report" in done.err


def test_real_data_are_compared_in_one_process(archwright):
    done = archwright("reproduce", "ensemble-real-data", "--workers", 2)
    assert done.code != 0
    assert "ensemble-real-data has no --workers" in done.err


def test_the_shipped_table_is_enough_for_a_part_of_the_ensemble_arena(archwright):
    words = ("reproduce", "ensemble-arena", "--only", "digits val_loss", "--runs", 2, "--budget", 4, "--out", "kept")
    done = archwright(*words)
    assert done.code == 0, done.err
    assert "ensemble-bo" in done.out
    again = archwright(*words, "--json")
    assert [r["searcher"] for r in again.json["rows"]][:2] == ["ensemble-bo", "random"]
    assert len(Path("kept/nasbench201-digits-digits-val_loss.jsonl").read_text().splitlines()) == 2 * len(
        again.json["rows"]
    )
