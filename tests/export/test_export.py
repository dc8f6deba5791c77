"""What is exported can be loaded, served, and trusted."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import archwright as aw
from archwright.data import load_data
from archwright.errors import DataError, FamilyError, SettingsError, StudyError
from archwright.export import export_model, load, predict_files
from archwright.families import family_from, get_family
from archwright.space import Choice, Space

METRICS = {
    "validation": {"accuracy": 0.9, "params": 1234.0},
    "test": {"accuracy": 0.91, "accuracy_low": 0.88, "accuracy_high": 0.94},
    "baselines": [{"kind": "default", "test": {"accuracy": 0.8}}],
}
SETTINGS = {
    "goal": {"objectives": [["accuracy", "maximize"]], "bounds": []},
    "seed": 3,
    "command": ["archwright", "search"],
}


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


def write(folder, data, family, architecture=None, onnx=False):
    architecture = architecture or family.default or family.space.default
    torch.manual_seed(0)
    network = family.build(architecture, data.input_shape, data.num_classes)
    for buffer in network.buffers():
        if buffer.dtype.is_floating_point:
            buffer.uniform_(0.5, 1.5)
    files = export_model(
        network,
        folder,
        family=family,
        architecture=architecture,
        data=data,
        metrics=METRICS,
        settings=SETTINGS,
        onnx=onnx,
    )
    return network.eval(), files


def normalised(data, x):
    shape = (1, -1, *([1] * (x.ndim - 2)))
    return (torch.from_numpy(x).float() * data.scale - torch.tensor(data.mean).reshape(shape)) / torch.tensor(
        data.std
    ).reshape(shape)


@pytest.mark.parametrize("name", ["nasbench201", "cnn", "macro", "mlp"])
def test_loaded_model_computes_what_the_network_did(tmp_path, digits, name):
    options = {"nasbench201": {"channels": 4, "cells": 1}, "macro": {"cells": [1, 1], "width": 8, "head": 16}}.get(
        name, {}
    )
    network, _ = write(tmp_path / "model", digits, get_family(name, **options))
    model = load(tmp_path / "model")
    x = digits.test.inputs[:9]
    with torch.no_grad():
        assert torch.allclose(model(torch.from_numpy(x)), network(normalised(digits, x).float()), atol=1e-5)
    assert not model.training
    assert model.classes == digits.classes


@pytest.mark.parametrize("name", ["nasbench201", "mlp"])
def test_onnx_agrees_for_any_batch_size(tmp_path, digits, name):
    runtime = pytest.importorskip("onnxruntime")
    family = get_family(name, **({"channels": 4, "cells": 1, "stages": 1} if name == "nasbench201" else {}))
    _, files = write(tmp_path / "model", digits, family, onnx=True)
    session = runtime.InferenceSession(files["onnx"])
    model = load(tmp_path / "model")
    for size in (1, 3, 17):
        x = digits.test.inputs[:size].astype(np.float32)
        (logits,) = session.run(None, {"input": x})
        with torch.no_grad():
            assert np.allclose(logits, model(torch.from_numpy(x)).numpy(), atol=1e-4)
    assert "outputs agree with torch within" in files["card"].read_text()


def test_missing_onnx_is_said_and_the_rest_is_written(tmp_path, digits, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    _, files = write(tmp_path / "model", digits, get_family("mlp"), onnx=True)
    assert set(files) == {"weights", "architecture", "card"}
    assert "pip install 'archwright[onnx]'" in files["card"].read_text()


class Stubborn(torch.nn.Module):
    """Cannot be traced: its path depends on its input's values."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(64, 10)

    def forward(self, x):
        x = x.flatten(1)
        return self.inner(x if float(x.sum()) > 0 else -x)


def test_network_that_onnx_cannot_express_is_exported_without(tmp_path, digits):
    family = family_from(Space(a=Choice(1, 2)), lambda a, s, n: Stubborn())
    _, files = write(tmp_path / "model", digits, family, onnx=True)
    assert "onnx" not in files
    assert "could not be made" in files["card"].read_text()


def test_card_says_how_good_and_how_to_use(tmp_path, digits):
    _, files = write(tmp_path / "model", digits, get_family("mlp"))
    card = files["card"].read_text()
    for text in (
        "0.9100",
        "0.8800 to 0.9400",
        "| default |",
        "archwright.load",
        "archwright predict",
        digits.fingerprint,
        "maximize accuracy",
    ):
        assert text in card


def test_export_replaces_what_was_there_whole(tmp_path, digits):
    write(tmp_path / "model", digits, get_family("mlp"))
    (tmp_path / "model" / "stale").write_text("")
    write(tmp_path / "model", digits, get_family("cnn"))
    assert not (tmp_path / "model" / "stale").exists()
    assert "cnn" in (tmp_path / "model" / "architecture.json").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_failed_export_leaves_the_old_model(tmp_path, digits, monkeypatch):
    write(tmp_path / "model", digits, get_family("mlp"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("archwright.export.writing.save_model", full)
    with pytest.raises(StudyError, match="No space left on device"):
        write(tmp_path / "model", digits, get_family("cnn"))
    assert load(tmp_path / "model").architecture == get_family("mlp").default
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_model_of_a_users_file_is_independent_of_the_file(tmp_path, digits):
    source = tmp_path / "net.py"
    source.write_text("import archwright as aw\nfrom torch import nn\nspace = aw.Space(w=[4, 8])\n"
                      "def build(a, s, n): return nn.Sequential(nn.Flatten(), nn.Linear(64, a['w']), nn.Linear(a['w'], n))\n")  # fmt: skip
    network, _ = write(tmp_path / "model", digits, get_family(source))
    source.unlink()
    x = digits.test.inputs[:3]
    with torch.no_grad():
        assert torch.allclose(
            load(tmp_path / "model")(torch.from_numpy(x)), network(normalised(digits, x).float()), atol=1e-5
        )


def test_model_made_in_python_needs_its_builder(tmp_path, digits):
    def build(a, shape, n):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, n))

    write(tmp_path / "model", digits, family_from(Space(a=Choice(1, 2)), build))
    with pytest.raises(FamilyError, match=r"load\(path, build=...\)"):
        load(tmp_path / "model")
    assert load(tmp_path / "model", build=build).predict(digits.test.inputs[:2]).probabilities.shape == (2, 10)


@pytest.fixture
def model(tmp_path, digits):
    write(tmp_path / "model", digits, get_family("mlp"))
    return tmp_path / "model"


def test_damaged_or_foreign_files_are_refused(model):
    described = json.loads((model / "architecture.json").read_text())
    cases = [
        ({**described, "format": 99}, "newer than this Archwright knows"),
        ({**described, "classes": ["a", "b"]}, "do not fit the architecture"),
        ({k: v for k, v in described.items() if k != "format"}, "cannot be read"),
    ]
    for content, message in cases:
        (model / "architecture.json").write_text(json.dumps(content))
        with pytest.raises(StudyError, match=message):
            load(model)
    (model / "architecture.json").write_text(json.dumps(described))
    (model / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(StudyError, match="do not fit|damaged"):
        load(model)
    (model / "model.safetensors").unlink()
    with pytest.raises(StudyError, match="are missing"):
        load(model)
    with pytest.raises(SettingsError, match="is not there"):
        write_device(model)


def write_device(model):
    data = load_data("digits")
    write(model, data, get_family("mlp"))
    return load(model, device="cuda:7")


def test_study_without_a_model_says_how_to_make_one(tmp_path):
    (tmp_path / "study.db").write_bytes(b"")
    with pytest.raises(StudyError, match="archwright export"):
        load(tmp_path)


def test_predict_takes_arrays_in_every_usual_layout(model, digits):
    loaded = aw.load(model)
    x = digits.test.inputs[:4]
    expected = loaded.predict(x).labels.tolist()
    assert loaded.predict(x[:, 0]).labels.tolist() == expected
    assert loaded.predict(np.moveaxis(x, 1, -1)).labels.tolist() == expected
    assert loaded.predict(torch.from_numpy(x)).labels.tolist() == expected
    assert loaded.predict(x[0]).labels.tolist() == expected[:1]
    assert loaded.predict(x[0, 0]).labels.tolist() == expected[:1]
    with pytest.raises(DataError, match=r"takes inputs of shape \(1, 8, 8\), and these have \(4, 9, 9\)"):
        loaded.predict(np.zeros((4, 9, 9), np.uint8))


def test_files_are_predicted_row_by_row(model, digits, tmp_path):
    loaded = aw.load(model)
    np.save(tmp_path / "some.npy", digits.test.inputs[:3])
    Image.fromarray(digits.test.inputs[0, 0]).convert("RGB").save(tmp_path / "colour.png")
    rows = predict_files(loaded, [tmp_path / "some.npy", tmp_path / "colour.png"])
    assert [r["file"].split("/")[-1] for r in rows] == ["some.npy[0]", "some.npy[1]", "some.npy[2]", "colour.png"]
    assert rows[3]["class"] == rows[0]["class"]
    (tmp_path / "broken.png").write_text("x")
    (tmp_path / "void").mkdir()
    np.save(tmp_path / "objects.npy", np.array([None, 1], dtype=object))
    for name, message in [("broken.png", "cannot be read as an image"), ("void", "has no images"), ("none.png", "there is no file"),
                          ("objects.npy", "cannot be read as an array")]:  # fmt: skip
        with pytest.raises(DataError, match=message):
            predict_files(loaded, [tmp_path / name])
