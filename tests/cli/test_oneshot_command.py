"""``archwright oneshot``: from digits to retrained networks, resuming, mistakes."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from archwright.cli.oneshot import SMALL
from archwright.families import get_family
from archwright.families.darts import edges
from archwright.supernet.methods import OneShot

TINY = (
    "darts", "--data", "digits", "--limit", 60, "--small", "--epochs", 1, "--option", "pretrain_epochs=0",
    "--option", "search_cells=3", "--option", "evaluation_cells=3", "--option", "nodes=1", "--set", "channels=4",
    "--set", "cells=3", "--train", "epochs=1", "--device", "cpu",
)  # fmt: skip
GAMES = ("--option", "tiers=2", "--option", "largest=2", "--option", "operations=relu,skip_connect,min_conv_3x3")


def run(archwright, method, *more):
    done = archwright("oneshot", method, *TINY, "--study", "s", "--json", *more)
    assert done.code == 0, done.err
    return done.json


def test_cells_are_found_retrained_and_kept(archwright):
    found = run(archwright, "icdarts")
    assert set(found) == {
        "method", "genotype", "architecture", "family", "family_options", "search", "retrain", "expected_latency", "files",
    }  # fmt: skip
    assert 0 <= found["retrain"]["test_accuracy"] <= 1
    assert found["search"]["seconds"] > 0
    assert found["search"]["peak_memory_mb"] > 0
    assert len(found["genotype"]["normal"][0]) == 2
    assert all(Path(file).is_file() for file in found["files"].values())
    again = run(archwright, "icdarts")
    assert again["genotype"] == found["genotype"]
    assert again["retrain"]["test"] == found["retrain"]["test"]
    assert json.loads(Path(found["files"]["result"]).read_text())["method"] == "icdarts"


def test_cells_of_the_family_are_an_architecture_of_it(archwright):
    words = [w for w in TINY if w != "nodes=1"]
    words.pop(words.index("--set") - 1)
    done = archwright("oneshot", "icdarts", *words, "--study", "s", "--json", "--no-retrain")
    assert done.code == 0, done.err
    found = done.json
    assert "retrain" not in found
    for kind, nodes in found["genotype"].items():
        ours = sorted((i, node, name) for node, pairs in enumerate(nodes, start=2) for name, i in pairs)
        assert sorted(edges(found["architecture"], kind)) == ours


@pytest.mark.parametrize("method", ["abl_reduce_max", "abl_stem_identity", "xdarts_lat_0.05"])
def test_variants(archwright, method):
    assert run(archwright, method)["retrain"]["epochs"] == 1


@pytest.mark.parametrize("method", ["hier_v1", "hier_v2"])
def test_hierarchical_search_reports_both_networks(archwright, method):
    found = run(archwright, method)
    assert len(found["genotype"]["template"]) == (2 if method == "hier_v1" else 3)
    assert {"retrain", "initial"} <= set(found)
    done = archwright("cells", "compare", "s", "--json")
    assert done.code == 0, done.err
    (group,) = done.json["groups"]
    by_type = {
        kind: Counter(name for node in found["genotype"][kind] for name, _ in node)
        for kind in set(found["genotype"]["sequence"])
    }
    expected = sum((by_type[kind] for kind in found["genotype"]["sequence"]), Counter())
    assert {name: each["mean"] for name, each in group["operations"].items() if each["mean"]} == expected
    assert len(found["genotype"]["sequence"]) == 3


@pytest.mark.parametrize("method", ["opspace_dynamic", "combined"])
def test_tournaments(archwright, method):
    found = run(archwright, method, *GAMES)
    assert found["search"]["searches"] == 3
    assert set(found["search"]["frequencies"]) == {"1", "2"}
    assert ("latency_table" in found["search"]) == (method == "combined")
    assert (found["expected_latency"] is not None) == (method == "combined")
    assert run(archwright, method, *GAMES)["genotype"] == found["genotype"]


def test_a_summary_for_people(archwright):
    done = archwright("oneshot", "icdarts", *TINY, "--study", "s")
    assert done.code == 0
    assert "test accuracy" in done.out
    assert "search: epoch 1" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("icdart", "darts", "--data", "digits"), "unknown method 'icdart'; did you mean icdarts"),
        (("icdarts", "cnn", "--data", "digits"), "unknown family of search inside one network 'cnn'"),
        (("icdarts", "darts", "--data", "digits", "--option", "epoch=3"), "unknown option 'epoch'"),
        (("icdarts", "darts", "--data", "digits", "--epochs", 0), "epochs must be a whole number of at least 1"),
        (("icdarts", "darts", "--data", "digits", "--option", "tiers=2"), "unknown option 'tiers'"),
        (("icdarts", "darts", "--data", "digits", "--option", "channels=none"), "channels must be a whole number"),
        (("icdarts", "darts", "--data", "digits", "--option", "operations=conv_9x9"), "unknown operation 'conv_9x9'"),
        (("opspace_dynamic", "darts", "--data", "digits", "--option", "largest=50"), "from 2 to 33"),
        (("icdarts", "darts", "--data", "digits", "--set", "depth=3"), "unknown setting of the network 'depth'"),
        (("icdarts", "darts", "--data", "digits", "--train", "epoch=3"), "unknown training setting 'epoch'"),
        (("combined", "darts", "--data", "digits", "--workers", -1), "workers must be a whole number of at least 0"),
    ],
)  # fmt: skip
def test_mistakes_are_named_on_one_line(archwright, words, message):
    done = archwright("oneshot", *words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_folder_with_other_settings_is_refused(archwright):
    run(archwright, "icdarts", "--no-retrain")
    done = archwright("oneshot", "icdarts", *TINY, "--study", "s", "--seed", 1)
    assert done.code == 2
    assert "other settings (seed)" in done.err


def test_tables_and_tiny_images_are_refused(archwright):
    Path("t.csv").write_text("a,b,y\n" + "\n".join(f"{i},{i % 3},{i % 2}" for i in range(40)))
    done = archwright("oneshot", "icdarts", "darts", "--data", "t.csv")
    assert done.code == 2
    assert "is a table" in done.err


def test_methods_are_listed(archwright):
    listed = {e["name"] for e in archwright("list", "methods", "--json").json["methods"]}
    assert {"icdarts", "abl_aux", "opspace_dynamic", "combined", "hier_v1", "hier_v2"} <= listed
    assert sum(name.startswith("abl_") for name in listed) == 12


@pytest.mark.slow
def test_games_of_a_tier_are_played_by_workers(archwright):
    alone = run(archwright, "opspace_dynamic", *GAMES)
    done = archwright("oneshot", "opspace_dynamic", *TINY, *GAMES, "--study", "t", "--json", "--workers", 2)
    assert done.json["genotype"] == alone["genotype"]


def test_cells_of_other_rules_are_an_architecture_of_the_family_with_its_options(archwright):
    found = run(archwright, "xdarts_lat_0.05")
    family = get_family(found["family"], **found["family_options"])
    assert (family.options["rule"], family.options["nodes"]) in (("xdarts", 1), ("darts", 1), ("idarts", 1))
    assert {k: [[list(p) for p in n] for n in v] for k, v in family.cells.cells(found["architecture"]).items()} == {
        k: [sorted(n, key=lambda pair: (pair[1], family.cells.choices.index(pair[0]))) for n in v]
        for k, v in found["genotype"].items()
    }


def test_the_method_of_30_lines_in_the_docs_runs(archwright, tmp_path):
    page = Path(__file__).parents[2] / "docs" / "oneshot" / "engine.md"
    code = next(c for c in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL) if "fairdarts" in c)
    assert len(code.strip().splitlines()) <= 30
    (tmp_path / "fair.py").write_text(code)
    result = run(archwright, "fair.py:fairdarts")
    (point,) = result["search"]["curve"]
    assert point["arch_loss"] == pytest.approx(point["arch_search"] + point["arch_zero_one"], rel=1e-5)
    assert -2.5 <= point["arch_zero_one"] <= 0
    assert 0 <= result["retrain"]["test_accuracy"] <= 1
    (alphas,) = json.loads(Path(result["files"]["alphas"]).read_text())
    assert np.shape(alphas["normal"]) == (2, 7)


def test_a_search_that_memory_is_too_small_for_is_refused(archwright, monkeypatch):
    monkeypatch.setattr("archwright.supernet.memory.free_memory", lambda _: 2**20)
    done = archwright("oneshot", "icdarts", *TINY, "--study", "s", "--no-retrain")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "cpu has 1 MB free: lower batch_size (32), channels" in done.err
    assert "--option memory=ignore" in done.err
    done = archwright("oneshot", "icdarts", *TINY, "--study", "s", "--no-retrain", "--option", "memory=ignore")
    assert done.code == 0
    assert "the search of cells needs about" in done.err
    done = archwright("oneshot", "icdarts", *TINY, "--study", "s", "--option", "memory=never")
    assert "unknown memory 'never'" in done.err
    done = archwright("oneshot", "random_v1", *TINY, "--study", "t")
    assert done.code == 2
    assert "retraining needs about" in done.err
    assert "lower channels and cells with --set" in done.err


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ("hier_v2", (), "the search of cells needs about"),
        ("opspace_dynamic", ("--workers", 5), "MB in 2 processes; cpu has 1 MB free: lower workers, batch_size (32)"),
    ],
)
def test_memory_is_minded_before_any_search(archwright, monkeypatch, method, more, message):
    monkeypatch.setattr("archwright.supernet.memory.free_memory", lambda _: 2**20)
    words = (*TINY, *(GAMES if method == "opspace_dynamic" else ()), *more)
    done = archwright("oneshot", method, *words, "--study", "s", "--quiet")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert message in done.err
    assert {file.name for file in Path("s").iterdir()} == {"oneshot.json"}


@pytest.mark.parametrize("method", ["icdarts", "random_v1", "hier_v1", "opspace_dynamic"])
def test_figures_of_a_search_are_those_of_all_its_sittings(archwright, method):
    found = run(archwright, method, "--no-retrain", *(GAMES if method == "opspace_dynamic" else ()))
    search = found["search"]
    assert {"seconds", "epochs", "val_accuracy", "peak_memory_mb"} <= set(search)
    assert search["epochs"] == {"icdarts": 1, "random_v1": 0, "hier_v1": 2, "opspace_dynamic": 3}[method]
    if method == "random_v1":
        assert (search["seconds"], search["val_accuracy"], search["peak_memory_mb"]) == (0.0, None, None)
    else:
        assert search["seconds"] > 0
        assert 0 <= search["val_accuracy"] <= 1
        assert search["peak_memory_mb"] > 100
    assert (found["expected_latency"] is not None) == (method in ("icdarts", "hier_v1"))
    again = run(archwright, method, "--no-retrain", *(GAMES if method == "opspace_dynamic" else ()))
    assert again == found


def test_several_runs_have_a_mean_and_a_spread(archwright):
    found = run(archwright, "random_v1", "--runs", 2, "--seed", 3)
    accuracies = [one["retrain"]["test_accuracy"] for one in found["runs"]]
    assert found["summary"]["retrain.test_accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)
    spread = abs(accuracies[0] - accuracies[1]) / 2**0.5
    assert found["summary"]["retrain.test_accuracy"]["std"] == pytest.approx(spread)
    assert {p.name for p in Path("s").iterdir()} == {"run-3", "run-4", "runs.json"}
    alone = run(archwright, "random_v1", "--seed", 4, "--study", "t")
    assert alone["genotype"] == found["runs"][1]["genotype"]
    assert alone["retrain"]["test"] == found["runs"][1]["retrain"]["test"]
    done = archwright("oneshot", "random_v1", *TINY, "--study", "s", "--runs", 2, "--seed", 3)
    assert "2 runs" in done.out
    assert "retrain.test_accuracy" in done.out
    assert archwright("oneshot", "random_v1", *TINY, "--runs", 0).code == 2


def test_small_searches_and_retrains_on_images_as_they_are():
    small = SMALL["darts"]
    asked = OneShot("icdarts", small["search"], small["network"], small["training"])
    search, (_, training) = asked.settings()[2], asked.final()
    assert (search.crop, search.flip) == (training.crop, training.flip) == (0, False)


def test_small_adds_no_phase_that_a_method_leaves_out(archwright):
    sizes = ("--option", "search_cells=3", "--option", "evaluation_cells=3", "--option", "nodes=1", "--set", "cells=3")
    words = ("--data", "digits", "--limit", 60, "--small", "--epochs", 1, "--train", "epochs=1", *sizes, "--study", "s")
    done = archwright("oneshot", "darts1", "darts", *words)
    assert done.code == 0, done.err
    assert "epoch 1, loss" in done.err
    assert "epoch 2" not in done.err
    assert json.loads(Path("s/oneshot.json").read_text())["options"]["pretrain_epochs"] == 0
    assert "archwright cells draw s" in done.out
    assert "(0)" in done.out


KEPT = (
    "darts", "--data", "digits", "--limit", 60, "--small", "--epochs", 1, "--option", "pretrain_epochs=0", "--option", "channels=2",
    "--option", "search_cells=3", "--option", "evaluation_cells=3", "--option", "nodes=2", "--set", "channels=2", "--set", "cells=3",
    "--train", "epochs=1", "--device", "cpu", "--study", "s",
)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "numbers"),
    [(["kept=1"], {1}), (["kept=3"], {2, 3}), (["cell=idarts", "kept=4"], {4}), (["cell=edge", "threshold=0.1"], {4, 6})],
)  # fmt: skip
def test_how_many_edges_are_kept_is_an_option(archwright, options, numbers):
    done = archwright("oneshot", "icdarts", *KEPT, *(word for o in options for word in ("--option", o)), "--json")
    assert done.code == 0, done.err
    assert {len(node) for nodes in done.json["genotype"].values() for node in nodes} == numbers
    assert done.json["family_options"]["rule"] == ("xdarts" if options == ["kept=3"] else "any")
    card = Path("s/model/README.md").read_text()
    assert ("parameters that are False are left out" in card) == (options != ["kept=3"])
    assert "| False |" not in card
    drawn = archwright("cells", "draw", "s/result.json", "--out", "cells.png")
    assert drawn.code == 0, drawn.err
    np.save("new.npy", np.zeros((3, 8, 8), np.float32))
    assert archwright("predict", "s", "new.npy").code == 0


def test_cells_without_an_open_gate_are_not_retrained(archwright):
    done = archwright("oneshot", "icdarts", *KEPT, "--option", "cell=sparse", "--quiet")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "no operation's gate reached the threshold" in done.err
    found = archwright("oneshot", "icdarts", *KEPT, "--option", "cell=sparse", "--no-retrain", "--json")
    assert found.json["genotype"] == {"normal": [[], []], "reduce": [[], []]}
    refused = archwright("export", "s")
    assert (refused.code, "the cells are empty" in refused.err) == (2, True), refused.err
