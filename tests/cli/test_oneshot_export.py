"""What a search inside one network leaves behind: models that load, predict and agree with the retrained network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import archwright as aw
from archwright.data import load_data
from archwright.evaluate.scoring import evaluate_split
from archwright.families import get_family
from archwright.space import Architecture
from archwright.supernet.repeated import best_run

TINY = (
    "darts", "--data", "digits", "--limit", 60, "--small", "--epochs", 1, "--option", "pretrain_epochs=0",
    "--option", "search_cells=3", "--option", "evaluation_cells=3", "--option", "nodes=1", "--set", "channels=4",
    "--set", "cells=3", "--train", "epochs=1", "--device", "cpu",
)  # fmt: skip


def run(archwright, method, *more):
    done = archwright("oneshot", method, *TINY, "--study", "s", "--json", *more)
    assert done.code == 0, done.err
    return done.json


def retrained(found, name="retrain"):
    """The network that was trained, tower and all, from its checkpoint."""
    family = get_family(found["family"], **found["family_options"])
    architecture = Architecture(found["architecture"]) if name == "retrain" else family.default
    network = family.build(architecture, (1, 8, 8), 10)
    tensors = load_file(f"s/{name}.safetensors")
    state = {key: tensors[f"network/{key}"] for key in network.state_dict()}
    network.load_state_dict(state)
    return network.eval()


def agrees(model, network):
    data = load_data("digits", limit=60)
    x = torch.from_numpy(data.test.inputs[:7])
    with torch.no_grad():
        np.testing.assert_allclose(model(x), network((x.float() * data.scale - data.mean[0]) / data.std[0]), atol=1e-5)


@pytest.mark.parametrize("method", ["icdarts", "abl_reduce_max", "abl_stem_identity", "hier_v1", "hier_v2"])
def test_exported_models_compute_what_was_retrained(archwright, method):
    found = run(archwright, method)
    assert {"weights", "architecture", "card", "result"} <= set(found["files"])
    assert all(Path(file).is_file() for file in found["files"].values())
    assert Path(found["files"]["weights"]) == Path("s/model/model.safetensors")
    model = aw.load("s")
    agrees(model, retrained(found))
    assert not any(name.startswith("tower") for name in load_file(found["files"]["weights"]))
    assert sum(p.numel() for p in model.parameters()) == found["retrain"]["params"]
    assert model.architecture == Architecture(found["architecture"])
    test = evaluate_split(model.network, load_data("digits", limit=60), load_data("digits", limit=60).test)
    assert test.metrics["accuracy"] == pytest.approx(found["retrain"]["test_accuracy"])
    low, high = (found["retrain"]["test"][f"accuracy_{end}"] for end in ("low", "high"))
    assert low < found["retrain"]["test_accuracy"] < high
    assert f"{low:.4f} to {high:.4f}" in Path(found["files"]["card"]).read_text()
    assert ("initial" in found) == ("initial_weights" in found["files"]) == method.startswith("hier")
    if method.startswith("hier"):
        agrees(aw.load("s/model-initial"), retrained(found, "initial"))


def test_a_study_is_exported_again_and_to_onnx(archwright):
    runtime = pytest.importorskip("onnxruntime")
    found = run(archwright, "cell_xdarts")
    assert "onnx" not in found["files"]
    done = archwright("export", "s", "--out", "again", "--json")
    assert done.code == 0, done.err
    assert done.json["metrics"]["test"]["accuracy"] == found["retrain"]["test_accuracy"]
    model = aw.load("again")
    agrees(model, retrained(found))
    session = runtime.InferenceSession(done.json["files"]["onnx"])
    x = np.random.default_rng(0).uniform(0, 16, (3, 1, 8, 8)).astype(np.float32)
    (logits,) = session.run(None, {"input": x})
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.from_numpy(x)), logits, atol=1e-4)
    card = Path("again/README.md").read_text()
    assert "cell_xdarts, inside one network, seed 0" in card
    assert "after the last epoch" in card
    sizes = json.loads(Path("again/architecture.json").read_text())["data"]["sizes"]
    assert found["retrain"]["examples"] == sizes["train"] + sizes["validation"]
    assert f"trained on {found['retrain']['examples']} examples" in card


def test_a_search_that_was_not_retrained_is_retrained_for_export(archwright):
    found = run(archwright, "random_v1", "--no-retrain")
    assert set(found["files"]) == {"result"}
    assert "has no exported model yet" in archwright("predict", "s", "x.npy").err
    done = archwright("export", "s", "--no-onnx", "--json")
    assert done.code == 0, done.err
    agrees(aw.load("s"), retrained(found))
    other = archwright("export", "s", "--no-onnx", "--out", "longer", "--final-epochs", 2, "--json")
    assert other.code == 0, other.err
    assert Path("s/retrain-2.safetensors").is_file()


def test_exports_that_cannot_be_are_refused(archwright):
    run(archwright, "random_v1", "--no-retrain")
    refused = archwright("export", "s", "--trial", 3)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "has no trials" in refused.err
    described = json.loads(Path("s/oneshot.json").read_text())
    Path("s/oneshot.json").write_text(json.dumps(described | {"data": "other"}))
    assert "is not the data that the study" in archwright("export", "s").err
    Path("s/oneshot.json").write_text("{")
    assert "cannot be read" in archwright("export", "s").err
    Path("s/result.json").unlink()
    assert "is not over" in archwright("export", "s").err


def test_commands_on_trials_say_that_there_are_none(archwright):
    run(archwright, "random_v1", "--no-retrain", "--runs", 2)
    for words in (("report", "s"), ("report", "s/run-0")):
        refused = archwright(*words)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "of archwright oneshot and has no trials; archwright oneshot-report" in refused.err
    assert archwright("export", "s/run-1", "--no-onnx").code == 0
    assert aw.load("s/run-1").classes == tuple("0123456789")


def test_of_several_runs_the_best_by_validation_is_exported(archwright):
    found = run(archwright, "icdarts", "--runs", 2)
    worth = [own["search"]["val_accuracy"] for own in found["runs"]]
    best = worth.index(max(worth))
    done = archwright("export", "s", "--no-onnx", "--json")
    assert done.code == 0, done.err
    (exported,) = done.json["runs"]
    assert exported["run"] == f"s/run-{best}"
    assert exported["chosen_by"] == "search.val_accuracy"
    assert exported["metrics"]["test"]["accuracy"] == found["runs"][best]["retrain"]["test_accuracy"]
    assert exported["files"]["weights"] == "s/model/model.safetensors"
    assert aw.load("s").architecture == Architecture(found["runs"][best]["architecture"])
    shown = archwright("export", "s", "--no-onnx")
    assert f"s/run-{best}, the best search.val_accuracy of the runs" in shown.out
    every = archwright("export", "s", "--all", "--no-onnx", "--out", "all", "--json")
    assert [own["files"]["weights"] for own in every.json["runs"]] == [f"all/run-{n}/model.safetensors" for n in (0, 1)]
    assert "leave --all out" in archwright("export", "s/run-0", "--all").err
    assert "has no trials" in archwright("export", "s", "--trial", 1).err


def test_networks_retrained_without_the_validation_split_have_its_accuracy(archwright):
    assert "val_accuracy" not in run(archwright, "random_v1")["retrain"]
    Path("s").rename("all")
    found = run(archwright, "random_v1", "--option", "retrain_on=train")
    exported = archwright("export", "s", "--no-onnx", "--json").json
    assert exported["metrics"]["validation"]["accuracy"] == found["retrain"]["val_accuracy"]


def test_the_test_split_chooses_no_run(archwright, tmp_path):
    run(archwright, "random_v1", "--no-retrain", "--runs", 2)
    refused = archwright("export", "s", "--no-onnx")
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
    assert "no validation accuracy to choose by; export one, such as s/run-0, or all with --all" in refused.err
    results = [json.loads(Path(f"s/run-{n}/result.json").read_text()) for n in (0, 1)]
    for n, (result, test, held_out) in enumerate(zip(results, (0.9, 0.1), (0.3, 0.4))):
        result["retrain"] = {"test_accuracy": test, "val_accuracy": held_out}
        Path(f"s/run-{n}/result.json").write_text(json.dumps(result))
    assert best_run(Path("s")) == (Path("s/run-1"), "retrain.val_accuracy")
    Path("s/run-1/result.json").unlink()
    refused = archwright("export", "s", "--no-onnx")
    assert (refused.code, "run-1 is not over" in refused.err) == (2, True), refused.err


def test_a_template_of_ones_own_is_stored_with_the_model(archwright):
    Path("mine.py").write_text(
        "from archwright.layers.templates import Template\n"
        "from archwright.supernet.methods import Method\n"
        "around = Template(without=('skip_connect',), stem='conv1x1', reduction='maxpool')\n"
        "method = Method('random cells in another template', 'random', micro={'template': around})\n"
    )
    found = run(archwright, "mine.py:method")
    assert found["family_options"]["template"]["reduction"] == "maxpool"
    agrees(aw.load("s"), retrained(found))
