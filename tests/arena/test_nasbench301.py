"""NAS-Bench-301: the model's answers, noise, and competitions without rows."""

from __future__ import annotations

import ast
import gzip
import json
import pickle

import numpy as np
import pytest

from archwright.arena import Entry, compete, run, surrogate_problem
from archwright.errors import SettingsError, TableError
from archwright.families import get_family
from archwright.families.cellspace import CELLS
from archwright.families.darts import OPERATIONS, PUBLISHED, from_text
from archwright.space import Architecture
from archwright.tables import find_table
from archwright.tables.surrogate import find_surrogate

LS, RANDOM, HYPERBAND = Entry("ls", "ls", {}), Entry("random", "random", {}), Entry("hyperband", "hyperband", {})


@pytest.fixture(scope="module")
def surrogate(shared_data):
    pytest.importorskip("onnxruntime")
    return find_surrogate("nasbench301", shared_data)


def uniform(operation):
    space = get_family("darts").space
    return Architecture({n: "0-1" if n.endswith("inputs") else operation for n in space.names})


def test_it_knows_every_architecture_of_the_benchmark(surrogate, shared_data):
    listed = json.loads(gzip.decompress((shared_data / "darts-space/nb301_archs_11221.json.gz").read_bytes()))
    architectures = []
    for text in list(listed.values())[:500]:
        values = {}
        for cell, pairs in zip(CELLS, ast.literal_eval(text)):
            for i, node in enumerate(range(2, 6)):
                (a, first), (b, second) = sorted(pairs[2 * i : 2 * i + 2])
                values |= {f"{cell}{node}_inputs": f"{a}-{b}"}
                values |= {f"{cell}{node}_a": OPERATIONS[first], f"{cell}{node}_b": OPERATIONS[second]}
        architectures.append(Architecture({n: values[n] for n in surrogate.family.space.names}))
    predicted = surrogate.predict(architectures, "val_accuracy")
    assert predicted.shape == (500,)
    assert ((predicted > 80) & (predicted < 97)).all()


def test_answers_are_those_that_make_sense(surrogate):
    published, *plain = [from_text(PUBLISHED), *map(uniform, ("skip_connect", "avg_pool_3x3"))]
    good, skips, pools = surrogate.predict([published, *plain], "val_accuracy")
    assert good == pytest.approx(92.88, abs=0.01)
    assert good > skips > pools
    assert surrogate.predict([published], "val_accuracy", 1)[0] < 70
    assert (
        surrogate.predict([published], "train_seconds", 98)[0]
        > 10 * surrogate.predict([published], "train_seconds", 5)[0]
    )


def test_many_at_once_get_the_same_answers_as_one_by_one(surrogate):
    sample = surrogate.family.space.sample(np.random.default_rng(0), 20)
    together = surrogate.predict(sample, "val_loss", 50)
    alone = [surrogate.predict([a], "val_loss", 50)[0] for a in sample]
    assert together == pytest.approx(alone, rel=1e-4)
    assert surrogate.predict([], "val_loss").shape == (0,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"metric": "accuracy"}, "unknown metric 'accuracy'"),
        ({"epoch": 99}, "after 1 to 98 epochs, not after 99"),
        ({"epoch": 0}, "not after 0"),
        ({"architectures": [Architecture({"x": 1})]}, "not in the DARTS space"),
    ],
)
def test_what_it_cannot_answer_is_refused(surrogate, words, message):
    with pytest.raises(TableError, match=message):
        surrogate.predict(**({"architectures": [uniform("skip_connect")], "metric": "val_accuracy"} | words))


def test_missing_files_and_uses_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ARCHWRIGHT_DATA", raising=False)
    with pytest.raises(TableError, match="model_v2.onnx.*--data-dir"):
        find_surrogate("nasbench301", tmp_path)
    with pytest.raises(TableError, match="is a surrogate and has no rows"):
        find_table("nasbench301", tmp_path)


def test_a_broken_model_is_named(tmp_path, surrogate):
    folder = tmp_path / "darts-space" / "yahpo_nb301_v2"
    folder.mkdir(parents=True)
    (folder / "model_v2.onnx").write_bytes(b"no model")
    (folder / "encoding.json").write_text((surrogate.folder / "encoding.json").read_text())
    with pytest.raises(TableError, match="is not the model of NAS-Bench-301"):
        find_surrogate("nasbench301", tmp_path).predict([uniform("skip_connect")], "val_accuracy")


def test_a_competition_has_no_optimum_and_is_the_same_in_other_processes(surrogate):
    one, two = (
        compete(surrogate_problem(surrogate), [LS, RANDOM], runs=2, budget=15, workers=w).result for w in (1, 2)
    )
    assert one["optimum"] is None
    assert [r["to_optimum"] for r in one["results"]] == [None, None]
    assert one["best_found"]["signal"] == max(one["best_found"]["signal"], *(r["best_mean"] for r in one["results"]))
    assert {t["measure"] for t in one["tests"]} == {"best"}
    for first, second in zip(one["results"], two["results"]):
        assert first["best_mean"] == pytest.approx(second["best_mean"], abs=1e-6)


def test_noise_is_a_function_of_run_and_architecture(surrogate):
    problem = surrogate_problem(surrogate, noise=1.0)
    first, again, other = (run(problem, RANDOM, 30, seed) for seed in (0, 0, 1))
    assert first.asked == again.asked != other.asked
    row = problem.space.row(first.asked[0])
    clean = surrogate.predict([first.asked[0]], "val_accuracy")[0]
    seen = [problem.evaluations_of_run(seed)[row].metrics["val_accuracy"] for seed in range(200)]
    assert np.mean(seen) == pytest.approx(clean, abs=0.3)
    assert np.std(seen) == pytest.approx(1.0, abs=0.15)
    assert seen[0] == problem.evaluations_of_run(0)[row].metrics["val_accuracy"]


def test_incumbents_are_chosen_by_the_noisy_signal_and_judged_by_the_report(surrogate):
    problem = surrogate_problem(surrogate, report="val_accuracy", noise=5.0)
    done = compete(problem, [RANDOM], runs=3, budget=40)
    chosen = [run.rows[np.argmax(done.problem.signal_of_run(run))] for run in done.runs["random"]]
    ends = done.curves["random"][:, -1]
    assert ends == pytest.approx(done.problem.values(done.problem.report)[chosen])
    assert ends.mean() < done.result["best_found"]["report"]


def test_hyperband_asks_the_surrogate_for_few_epochs(surrogate):
    problem = surrogate_problem(surrogate, "val_accuracy@81", epochs=(3, 9, 27, 81))
    done = compete(problem, [HYPERBAND], runs=1, budget=8).result["results"][0]
    assert done["short_evaluations"] > 20


def test_a_problem_can_be_sent_to_another_process(surrogate):
    problem = surrogate_problem(surrogate)
    first = run(problem, RANDOM, 3, 0)
    assert run(pickle.loads(pickle.dumps(problem)), RANDOM, 3, 0).asked == first.asked


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"signal": "val_accuracy#0"}, "no trainings to choose from"),
        ({"noise": -1.0}, "0 or more"),
        ({"noise": float("nan")}, "0 or more"),
        ({"epochs": (9, 3, 98)}, "ascending"),
        ({"epochs": (3, 9)}, "end with the signal's 98"),
    ],
)
def test_impossible_problems_are_refused(surrogate, words, message):
    with pytest.raises(SettingsError, match=message):
        surrogate_problem(surrogate, **words)
