"""Every way in for data, and every way in which it can be wrong."""

from __future__ import annotations

import pickle
import sys
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from archwright.data import Data, load_data
from archwright.errors import DataError


def images(n, size=(6, 6), seed=0, channels=None):
    shape = (n, *size) if channels is None else (n, *size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def labels(n, classes=3):
    return np.arange(n) % classes


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def medmnist(path, channels=None):
    parts = {"train": 30, "val": 9, "test": 12}
    arrays = {f"{p}_images": images(n, channels=channels) for p, n in parts.items()}
    return npz(path, **arrays, **{f"{p}_labels": labels(n)[:, None] for p, n in parts.items()})


def sizes(data):
    return tuple(len(s) for s in data.splits.values())


def test_digits_are_embedded():
    data = load_data("digits")
    assert data.input_shape == (1, 8, 8)
    assert sum(sizes(data)) == 1797
    assert data.num_classes == 10
    assert data.train.inputs.dtype == np.uint8


def test_medmnist_layout_keeps_its_splits(tmp_path):
    data = load_data(medmnist(tmp_path / "scans.npz"))
    assert sizes(data) == (30, 9, 12)
    assert data.input_shape == (1, 6, 6)
    assert data.name == "scans"
    assert load_data(medmnist(tmp_path / "rgb.npz", channels=3)).input_shape == (3, 6, 6)


def test_missing_splits_are_made_and_said(tmp_path):
    data = load_data(npz(tmp_path / "x.npz", images=images(100), labels=labels(100)))
    assert sizes(data) == (60, 20, 20)
    assert any("test split: 0.2" in note for note in data.notes)
    only = load_data(
        npz(
            tmp_path / "y.npz",
            train_images=images(100),
            train_labels=labels(100),
            test_images=images(30),
            test_labels=labels(30),
        )
    )
    assert sizes(only) == (80, 20, 30)


def test_splits_are_stratified_disjoint_and_depend_on_the_seed_only(tmp_path):
    x = np.arange(200, dtype=np.float32).reshape(200, 1)
    y = np.array([0] * 180 + [1] * 20)
    first, again, other = (load_data((x, y), seed=s) for s in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    for split in first.splits.values():
        assert np.mean(split.targets) == pytest.approx(0.1, abs=0.01)
    seen = np.concatenate([s.inputs[:, 0] for s in first.splits.values()])
    assert sorted(seen) == list(range(200))


def test_normalisation_is_that_of_the_training_split():
    data = load_data((images(50, channels=3), labels(50)))
    scaled = data.train.inputs / 255
    assert data.mean == pytest.approx(scaled.mean((0, 2, 3)))
    assert data.std == pytest.approx(scaled.std((0, 2, 3)))
    assert load_data((np.ones((60, 4), np.float32), labels(60))).std == (1.0,) * 4


def test_limit_takes_a_stratified_part_of_the_training_images():
    data = load_data((images(100), labels(100)), limit=15)
    assert sizes(data) == (15, 20, 20)
    assert np.bincount(data.train.targets).tolist() == [5, 5, 5]
    assert len(data.subset(6).train) == 6


def test_class_weights_are_inverse_frequencies_of_mean_one():
    data = load_data((images(100), np.array([0] * 80 + [1] * 20)))
    assert data.class_weights() == pytest.approx([0.4, 1.6])


def folder(root, classes=("cat", "dog"), n=6, size=(5, 7), mode="L"):
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(n):
            array = images(1, size, seed=i)[0]
            Image.fromarray(array).convert(mode).save(root / name / f"{i}.png")
    return root


def test_folder_of_class_folders(tmp_path):
    data = load_data(folder(tmp_path / "pets"))
    assert data.classes == ("cat", "dog")
    assert data.input_shape == (1, 5, 7)
    assert sum(sizes(data)) == 12


def test_folder_with_splits(tmp_path):
    for split, n in (("train", 6), ("val", 3), ("test", 4)):
        folder(tmp_path / "pets" / split, n=n)
    assert sizes(load_data(tmp_path / "pets")) == (12, 6, 8)


def test_grey_and_colour_images_become_colour(tmp_path):
    folder(tmp_path / "pets", ("cat",))
    folder(tmp_path / "pets", ("dog",), mode="RGB")
    data = load_data(tmp_path / "pets")
    assert data.input_shape == (3, 5, 7)
    assert any("read as colour" in note for note in data.notes)


def test_images_of_mixed_sizes_are_refused_with_the_remedy(tmp_path):
    folder(tmp_path / "pets")
    Image.fromarray(images(1, (9, 9))[0]).save(tmp_path / "pets" / "dog" / "0.png")
    with pytest.raises(DataError, match=r"2 sizes: .*dog/0.png is 9 x 9, most are 7 x 5; pass --resize 5"):
        load_data(tmp_path / "pets")
    assert load_data(tmp_path / "pets", resize=8).input_shape == (1, 8, 8)
    assert load_data(tmp_path / "pets", resize=(4, 6)).input_shape == (1, 4, 6)


def test_corrupt_image_is_named_or_left_out(tmp_path):
    folder(tmp_path / "pets")
    (tmp_path / "pets" / "cat" / "2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cat/2.png cannot be read as an image.*--skip-corrupt"):
        load_data(tmp_path / "pets")
    data = load_data(tmp_path / "pets", skip_corrupt=True)
    assert sum(sizes(data)) == 11
    assert any("left out" in note for note in data.notes)


def test_truncated_image_is_corrupt_too(tmp_path):
    folder(tmp_path / "pets", size=(60, 60))
    file = tmp_path / "pets" / "cat" / "2.png"
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(DataError, match="cat/2.png cannot be read"):
        load_data(tmp_path / "pets")


def cifar_batch(path, n, key=b"labels", classes=3):
    rows = images(n, (3072,)).reshape(n, 3072)
    content = {b"data": rows, key: [i % classes for i in range(n)]}
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content))


@pytest.fixture
def cifar10(tmp_path):
    root = tmp_path / "cifar-10-batches-py"
    for i in range(1, 6):
        cifar_batch(root / f"data_batch_{i}", 12)
    cifar_batch(root / "test_batch", 9)
    (root / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"plane", b"car", b"bird"]}))
    return root


def test_cifar10_as_distributed(cifar10, tmp_path):
    data = load_data(cifar10)
    assert data.input_shape == (3, 32, 32)
    assert data.classes == ("plane", "car", "bird")
    assert sizes(data) == (48, 12, 9)
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(cifar10, "cifar-10-batches-py")
    assert load_data(archive).fingerprint == data.fingerprint


def test_cifar100_and_the_binary_version(tmp_path):
    root = tmp_path / "cifar-100-python"
    cifar_batch(root / "train", 30, b"fine_labels")
    cifar_batch(root / "test", 9, b"fine_labels")
    (root / "meta").write_bytes(pickle.dumps({b"fine_label_names": [b"a", b"b", b"c"]}))
    assert sizes(load_data(root)) == (24, 6, 9)
    binary = tmp_path / "cifar-10-batches-bin"
    binary.mkdir()
    rows = np.hstack([labels(30)[:, None], images(30, (3072,))]).astype(np.uint8)
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (binary / name).write_bytes(rows.tobytes())
    data = load_data(binary)
    assert sizes(data) == (24, 6, 30)
    assert (data.test.inputs.reshape(30, -1) == rows[:, 1:]).all()


class Evil:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_pickle_that_wants_code_is_refused(cifar10, capsys):
    (cifar10 / "data_batch_2").write_bytes(pickle.dumps({b"data": Evil(), b"labels": [0]}))
    with pytest.raises(DataError, match=r"wants builtins.print"):
        load_data(cifar10)
    assert capsys.readouterr().out == ""


def test_damaged_cifar_is_refused(cifar10):
    (cifar10 / "data_batch_2").write_bytes(b"\x80\x04nonsense")
    with pytest.raises(DataError, match="is damaged"):
        load_data(cifar10)
    (cifar10 / "test_batch").unlink()
    (cifar10 / "data_batch_2").unlink()
    with pytest.raises(DataError, match="'test_batch' is missing"):
        load_data(cifar10)


def test_table_in_csv(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("a,kind,b\n" + "".join(f"{i},{'xyz'[i % 3]},{i * 0.5}\n" for i in range(30)))
    data = load_data(file, target="kind")
    assert data.input_shape == (2,)
    assert data.classes == ("x", "y", "z")
    assert data.kind == "tabular"
    with pytest.raises(DataError, match="no column 'kidn'"):
        load_data(file, target="kidn")
    with pytest.raises(DataError, match="line 2.*must be numbers"):
        load_data(file)


def test_python_forms_are_equal():
    x, y = images(60), labels(60)
    parts = [(x[:40], y[:40]), (x[40:50], y[40:50]), (x[50:], y[50:])]
    tensors = [torch.utils.data.TensorDataset(torch.from_numpy(a), torch.from_numpy(b)) for a, b in parts]
    forms = [
        dict(zip(("train", "validation", "test"), parts)),
        tuple(parts),
        tuple(tensors),
        dict(zip(("train", "val", "test"), tensors)),
    ]
    prints = {load_data(form).fingerprint for form in forms}
    assert len(prints) == 1
    data = load_data(forms[0])
    assert load_data(data) is data
    assert isinstance(data, Data)


def test_own_loader_by_file_and_by_module(tmp_path, monkeypatch):
    file = tmp_path / "my_loader.py"
    file.write_text(
        "import numpy as np\ndef load():\n    return np.zeros((40, 3), 'float32') + np.arange(40)[:, None], np.arange(40) % 2\n"
    )
    by_file = load_data(f"{file}:load")
    assert by_file.input_shape == (3,)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert load_data("my_loader:load").fingerprint == by_file.fingerprint
    for text, message in [
        (f"{file}:lood", "no function 'lood'"),
        ("no_such_module_x:load", "cannot be imported"),
        (f"{tmp_path}/none.py:load", "there is no file"),
    ]:
        with pytest.raises(DataError, match=message):
            load_data(text)
    file.write_text("def load():\n    return 1 / 0\ndef nothing():\n    return 3\n")
    with pytest.raises(DataError, match=r"load\(\) raised ZeroDivisionError"):
        load_data(f"{file}:load")
    with pytest.raises(DataError, match="int is not data"):
        load_data(f"{file}:nothing")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": images(5)}, "has the arrays a; expected are train_images"),
        ({"images": images(5), "labels": labels(4)}, "5 inputs and 4 labels"),
        ({"images": images(30), "labels": np.zeros(30, int)}, "only one class"),
        ({"images": images(30), "labels": labels(30) - 1}, "negative label"),
        ({"images": images(30), "labels": labels(30) + 0.5}, "whole numbers"),
        ({"images": images(30), "labels": np.eye(3)[labels(30)]}, "one class per input"),
        ({"images": images(30).astype(str), "labels": labels(30)}, "not numbers"),
        ({"images": np.full((30, 4, 4), np.nan, np.float32), "labels": labels(30)}, "not finite"),
        ({"images": np.array([images(1), None], dtype=object), "labels": labels(2)}, "pickled Python objects"),
        ({"images": images(0), "labels": labels(0)}, "no examples"),
        ({"images": np.zeros(30, np.uint8), "labels": labels(30)}, "inputs have shape"),
        ({"images": images(4), "labels": np.array([0, 0, 0, 1])}, "too few"),
        (
            {
                "train_images": images(30),
                "train_labels": labels(30),
                "test_images": images(9),
                "test_labels": labels(9, 9),
            },
            "has the label 3, which the training split does not have",
        ),
        (
            {
                "train_images": images(30),
                "train_labels": labels(30),
                "test_images": images(9, (7, 7)),
                "test_labels": labels(9),
            },
            r"test split have shape \(1, 7, 7\)",
        ),
    ],
)
def test_npz_files_with_a_fault_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load_data(npz(tmp_path / "bad.npz", **arrays))


def test_files_that_are_not_there_or_not_data(tmp_path):
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "what.xyz").write_text("hello")
    (tmp_path / "void").mkdir()
    (tmp_path / "hollow" / "cat").mkdir(parents=True)
    cases = {
        tmp_path / "none.npz": "there is no file or folder",
        "digitz": "did you mean digits",
        tmp_path / "empty.npz": "is empty",
        tmp_path / "text.npz": "not a readable .npz",
        tmp_path / "what.xyz": "of no kind that can be read",
        tmp_path / "void": "one folder per class",
        tmp_path / "hollow": "has no images",
    }
    for source, message in cases.items():
        with pytest.raises(DataError, match=message):
            load_data(source)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(DataError, match="between 0 and 1"):
        load_data("digits", validation=share)


def test_real_scans(shared_data):
    data = load_data(shared_data / "pneumoniamnist" / "pneumoniamnist.npz")
    assert sizes(data) == (3882, 524, 624)
    assert np.bincount(data.train.targets).tolist() == [388, 3494]
    assert np.bincount(data.test.targets).tolist() == [234, 390]


def test_real_photographs_through_a_loader_of_ones_own(shared_data, monkeypatch):
    from pathlib import Path

    monkeypatch.setenv("ARCHWRIGHT_DATA", str(shared_data))
    data = load_data(f"{Path(__file__).parents[2] / 'examples' / 'cifar10_jpeg.py'}:load", limit=1000)
    assert data.input_shape == (3, 32, 32)
    assert data.mean == pytest.approx((0.4913, 0.4821, 0.4465), abs=0.02)
    assert np.bincount(data.train.targets).tolist() == [100] * 10
