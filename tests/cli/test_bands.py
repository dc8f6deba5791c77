"""Data with several images per example, from a file to an exported network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import archwright as aw
from archwright.data import Augmentation, DeviceSplit, load_data
from archwright.errors import ArchwrightError, DataError
from archwright.evaluate import NetworkEvaluator, Training, train
from archwright.evaluate.checkpoint import network_tensors
from archwright.evaluate.inheritance import inherit
from archwright.families import CATALOGUE, family_from, for_shape, get_family
from archwright.layers import MergeBands
from archwright.shapes import Bands
from archwright.space import Architecture, Choice, Space
from archwright.study.final import FinalSettings

SIZES = {"vis": 24, "j": 8, "h": 8, "y": 8}


def images(n, seed=0, sizes=SIZES):
    """Noise, with a bright middle in every band in one of two classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    made = {band: rng.normal(size=(n, side, side)).astype(np.float32) for band, side in sizes.items()}
    for x in made.values():
        middle = slice(x.shape[1] // 4, -(x.shape[1] // 4))
        x[labels == 1, middle, middle] += 2
    return made, labels


def write(path, **replaced):
    content = {}
    for seed, (split, n) in enumerate((("train", 60), ("test", 20))):
        made, labels = images(n, seed)
        content |= {f"{split}_images_{band}": x for band, x in made.items()} | {f"{split}_labels": labels}
    np.savez(path, **{name: x for name, x in (content | replaced).items() if x is not None})
    return path


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    return write(tmp_path_factory.mktemp("four") / "four.npz")


@pytest.fixture(scope="module")
def data(four):
    return load_data(four)


def test_a_file_of_four_bands_is_read_in_its_order(data):
    assert list(data.input_shape.images) == ["vis", "j", "h", "y"]
    assert data.input_shape.merged == (4, 8, 8)
    assert data.kind == "image"
    vis = data.bands.unpack(data.test.inputs)["vis"]
    assert np.array_equal(vis[:, 0], images(20, 1)[0]["vis"])
    assert len(data.mean) == len(data.std) == 4


def test_every_band_is_normalised_by_itself():
    made, labels = images(60)
    made["vis"] = made["vis"] * 100 + 7
    data = load_data((made, labels))
    rows = DeviceSplit(data.train, data, "cpu").prepared(slice(None))
    for image in data.bands.unpack(rows).values():
        assert abs(float(image.mean())) < 1e-4
        assert abs(float(image.std()) - 1) < 1e-3


def test_bands_come_from_python_in_every_form():
    made, labels = images(40)
    stacked = {"vis": np.repeat(made["vis"][..., None], 3, axis=3), "j": made["j"]}
    assert load_data((stacked, labels)).input_shape.images == {"vis": (3, 24, 24), "j": (1, 8, 8)}
    both = load_data({"train": (made, labels), "test": (made, labels)})
    assert len(both.test) == 40
    assert load_data((made, labels), resize=12, merge="convolution").input_shape.merged == (4, 12, 12)
    as_bytes = {band: x.astype(np.uint8) for band, x in made.items()}
    assert load_data((as_bytes, labels)).train.inputs.dtype == np.uint8


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"test_images_j": None}, "test: the band 'j' is missing"),
        ({"test_images_k": np.zeros((20, 8, 8))}, "the test split has the band 'k'"),
        ({"train_images_j": np.zeros((60, 8))}, r"train, j: a band must be images .* not of shape \(60, 8\)"),
        ({"train_images_j": np.zeros((59, 8, 8))}, "train: bands have different numbers of examples: vis 60, j 59"),
        ({"train_images_j": np.full((60, 8, 8), np.nan)}, "not finite"),
        ({f"train_images_{band}": None for band in SIZES}, "images_NAME for each of several bands"),
    ],
)
def test_bands_that_do_not_fit_together_are_refused(tmp_path, replaced, message):
    with pytest.raises(DataError, match=message):
        load_data(write(tmp_path / "four.npz", **replaced))


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_family_takes_bands(name):
    plain = get_family(name)
    bands = Bands({"vis": (1, 97, 97), "j": (1, 32, 32)})
    family = for_shape(plain, bands)
    if family.check_shape is not None:
        family.check_shape(bands)
    with torch.no_grad():
        network = family.build(family.default or family.space.default, bands, 3).eval()
        rows = torch.randn(2, *bands)
        answer = network(rows)
        assert answer.shape == (2, 3)
        assert torch.allclose(family.deploy(network).eval()(rows), answer, atol=1e-3)
        assert torch.equal(network.network(network.merge(rows)), answer)


def test_a_family_is_itself_for_one_image_and_if_it_takes_bands():
    family = get_family("cnn")
    assert for_shape(family, (3, 8, 8)) is family
    wrapped = for_shape(family, Bands({"a": (1, 8, 8)}))
    assert for_shape(wrapped, Bands({"a": (1, 8, 8)})) is wrapped
    assert wrapped.build(family.default or family.space.default, (1, 8, 8), 2)(torch.zeros(2, 1, 8, 8)).shape == (2, 2)


def test_what_a_family_cannot_take_is_said_of_the_merged_image(data):
    with pytest.raises(ArchwrightError, match="8 x 8"):
        NetworkEvaluator(get_family("nasbench201", stages=5), data)


class Middle(torch.nn.Module):
    def __init__(self, bands, classes):
        super().__init__()
        self.bands = bands
        self.head = torch.nn.Linear(len(bands.images), classes)

    def forward(self, rows):
        return self.head(torch.stack([image.amax((1, 2, 3)) for image in self.bands.unpack(rows).values()], dim=1))


def test_a_family_may_take_the_bands_themselves(data):
    family = family_from(
        Space(a=Choice(1, 2)), lambda _, shape, classes: Middle(shape, classes), "mine", takes_bands=True
    )
    evaluation = NetworkEvaluator(family, data, Training(epochs=1))(family.space.default)
    assert evaluation.status == "ok"


def test_a_deeper_network_inherits_all_of_its_parent_on_bands(data):
    family = for_shape(get_family("cnn"), data.input_shape)
    parent = family.default
    child = Architecture({**parent, "depth": 3})
    network, old = (family.build(a, data.input_shape, 2) for a in (child, parent))
    morph = family.morph(child, parent, data.input_shape)
    assert morph.identities
    inherit(network, network_tensors(old), morph, seed=0)
    rows = torch.randn(3, *data.input_shape)
    assert torch.allclose(network.eval()(rows), old.eval()(rows), atol=1e-4)


def shifted_rows(bands, n=16):
    """A bright square at the same place of every band, at each band's scale."""
    made = {}
    for name, (_, h, w) in bands.images.items():
        x = np.zeros((n, 1, h, w), np.float32)
        x[:, :, h // 4 : h // 2, w // 4 : w // 2] = 1
        made[name] = x
    return torch.from_numpy(bands.pack(made))


BANDS = Bands({"vis": (1, 24, 24), "j": (1, 8, 8)})


@pytest.mark.parametrize(
    "what", [{"flip": True}, {"vertical_flip": True}, {"flip": True, "vertical_flip": True}, {"crop": 2}, {"cutout": 3}]
)
def test_all_bands_of_an_example_are_moved_alike(what):
    rows = shifted_rows(BANDS)
    targets = torch.zeros(16, dtype=torch.long)
    moved, _ = Augmentation(**what, bands=BANDS)(rows, targets, 2, torch.Generator().manual_seed(0))
    assert not torch.equal(moved, rows)
    vis, j = BANDS.unpack(moved).values()
    assert torch.equal(vis[:, :, 1::3, 1::3], j)


def test_a_box_of_another_example_has_the_same_place_in_every_band():
    rows = torch.cat([torch.zeros(8, *BANDS), torch.ones(8, *BANDS)])
    targets = torch.cat([torch.zeros(8), torch.ones(8)]).long()
    mixed, soft = Augmentation(cutmix=1.0, bands=BANDS)(rows, targets, 2, torch.Generator().manual_seed(1))
    vis, j = BANDS.unpack(mixed).values()
    assert torch.equal(vis[:, :, 1::3, 1::3], j)
    assert torch.allclose(j.mean((1, 2, 3)), soft[:, 1], atol=1e-6)


def test_one_band_is_augmented_as_an_image_would_be():
    one = Bands({"a": (2, 9, 9)})
    x, targets = torch.randn(12, 2, 9, 9), torch.arange(12) % 3
    how = {"crop": 2, "flip": True, "vertical_flip": True, "cutout": 4, "cutmix": 1.0}
    plain, soft = Augmentation(**how)(x, targets, 3, torch.Generator().manual_seed(3))
    rows, also = Augmentation(**how, bands=one)(x.flatten(1), targets, 3, torch.Generator().manual_seed(3))
    assert torch.equal(plain.flatten(1), rows)
    assert torch.equal(soft, also)


def test_what_depends_on_the_centre_is_not_moved_or_hidden():
    settings = Training(crop=4, cutout=16, cutmix=1.0, flip=True, centre_safe=True)
    made = settings.augmentation((1, 32, 32))
    assert (made.crop, made.cutout, made.cutmix, made.flip) == (0, 0, 0, True)
    assert Training(crop=4, centre_safe=True).augmentation((1, 32, 32)) is None


def test_a_learned_reduction_is_trained():
    made, labels = images(60)
    data = load_data((made, labels), merge="convolution")
    family = for_shape(get_family("cnn"), data.input_shape)
    network = family.build(family.default or family.space.default, data.input_shape, 2)
    before = network.merge.reductions[0].weight.detach().clone()
    train(network, data, Training(epochs=1), seed=0)
    assert not torch.equal(network.merge.reductions[0].weight, before)


def test_search_predict_and_export_on_four_bands(archwright, four):
    done = archwright(
        "search", "mlp", "--data", four, "--budget", 2, "--epochs", 2, "--final-epochs", 5, "--train", "vertical_flip=true",
        "--train", "batch_size=8",
        "--merge", "convolution", "--maximize", "f_beta", "--study", "s", "--baselines", 0, "--json"
    )  # fmt: skip
    assert done.code == 0, done.err
    onnx = done.json["files"]["onnx"]
    model = aw.load("s")
    assert isinstance(model.network.merge, MergeBands)
    made, labels = images(20, 1)
    answer = model.predict(made)
    assert (answer.labels == labels).mean() > 0.8
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx)
    assert [i.name for i in session.get_inputs()] == list(SIZES)
    (logits,) = session.run(None, {band: x[:, None] for band, x in made.items()})
    assert np.array_equal(logits.argmax(1), answer.labels)
    predicted = archwright("predict", "s", four, "--json").json["predictions"]
    assert [row["label"] for row in predicted] == answer.labels.tolist()
    assert "vis 1 x 24 x 24, j 1 x 8 x 8" in Path("s/model/README.md").read_text()
    described = json.loads(Path("s/model/architecture.json").read_text())
    assert described["merges_bands"]
    assert load_data(four, **described["data"]["loading"]).input_shape == model.input_shape
    np.save("one.npy", made["vis"])
    np.savez("three.npz", **{band: x for band, x in made.items() if band != "y"})
    for file, message in (("one.npy", "takes several bands"), ("three.npz", "no array images_y")):
        refused = archwright("predict", "s", file)
        assert refused.code == 2
        assert message in refused.err
        assert "Traceback" not in refused.err


def test_an_unknown_way_to_merge_is_refused(archwright, four):
    refused = archwright("search", "cnn", "--data", four, "--merge", "avrage", "--study", "s")
    assert refused.code == 2
    assert "did you mean average" in refused.err


def test_profile_takes_the_shape_of_bands(archwright, four):
    done = archwright("profile", "cnn", "--data", four, "--repeats", 2, "--json")
    assert done.code == 0, done.err
    assert done.json["metrics"]["macs"] > 0


def test_networks_made_in_python_are_loaded_on_bands(four, tmp_path):
    def build(architecture, input_shape, num_classes):
        assert input_shape == (4, 8, 8)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, num_classes))

    result = aw.search(
        Space(a=Choice(1, 2)),
        build=build,
        data=str(four),
        budget=1,
        epochs=1,
        study=tmp_path / "s",
        final=FinalSettings(1, 1, 0, onnx=False),
    )
    made, _ = images(3)
    assert result.model().predict(made).probabilities.shape == (3, 2)
