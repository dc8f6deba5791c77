"""Balanced crops of electron microscopy, on stand-ins laid out as the real files are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from archwright.data import load_data
from archwright.data.microscopy import balanced_crops, middle_counts, prepare_microscopy
from archwright.errors import DataError, SettingsError


def blobs(shape, seed=0):
    """A mask of a few squares."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    for _ in range(4):
        y, x = rng.integers(0, shape[0] - 12), rng.integers(0, shape[1] - 12)
        mask[y : y + 12, x : x + 12] = 255
    return mask


def write_stack(path, pages):
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(path, save_all=True, append_images=others)


def stacks(root, slices=3, shape=(64, 80)):
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for k, name in enumerate(("training", "testing")):
        masks = [blobs(shape, 10 * k + i) for i in range(slices)]
        write_stack(root / f"{name}.tif", [rng.integers(50, 200, shape, dtype=np.uint8) for _ in masks])
        write_stack(root / f"{name}_groundtruth.tif", masks)
    return root


@settings(max_examples=30, deadline=None)
@given(st.integers(32, 50), st.integers(32, 50), st.integers(0, 1000))
def test_the_middle_is_the_central_four_by_four(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.3
    counts = middle_counts(mask)
    assert counts.shape == (height - 31, width - 31)
    y, x = (np.random.default_rng(seed + 1).integers(n) for n in counts.shape)
    assert counts[y, x] == mask[y : y + 32, x : x + 32][14:18, 14:18].sum()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 61))
def test_positives_have_eight_structure_pixels_in_their_middle_and_negatives_none(seed, count):
    mask = blobs((70, 90), seed)
    crops, labels = balanced_crops(mask, mask, count, np.random.default_rng(seed))
    assert crops.shape == (count, 32, 32)
    inside = (crops[:, 14:18, 14:18] > 0).sum((1, 2))
    assert (inside[labels == 1] >= 8).all()
    assert (inside[labels == 0] == 0).all()
    assert 0 <= (labels == 1).sum() - (labels == 0).sum() <= 1


def test_all_windows_of_a_class_are_drawn_and_no_others():
    mask = np.zeros((40, 40), np.uint8)
    mask[20:24, 20:24] = 1
    place = np.arange(1600, dtype=np.int32).reshape(40, 40)
    crops, labels = balanced_crops(place, mask, 4000, np.random.default_rng(0))
    counts = middle_counts(mask)
    for label, fits in ((1, counts > 7), (0, counts == 0)):
        drawn = {tuple(np.argwhere(place == corner)[0]) for corner in crops[labels == label, 0, 0]}
        assert drawn == {tuple(c) for c in np.argwhere(fits)}


def test_a_slice_gives_as_many_of_each_class_and_165_of_them_the_published_number():
    mask = blobs((48, 48))
    train = [balanced_crops(mask, mask, 300, np.random.default_rng(i))[1] for i in range(165)]
    assert {(int((y == 1).sum()), int((y == 0).sum())) for y in train} == {(150, 150)}
    assert sum(map(len, train)) == 49_500
    test = [balanced_crops(mask, mask, 60, np.random.default_rng(i))[1] for i in range(165)]
    assert {(int((y == 1).sum()), int((y == 0).sum())) for y in test} == {(30, 30)}
    assert sum(map(len, test)) == 9_900


def test_stacks_become_a_data_set(tmp_path):
    made = prepare_microscopy(stacks(tmp_path / "em"), tmp_path / "em.npz", train_crops=10, test_crops=6, seed=3)
    assert made.class_counts == {"train": [15, 15], "test": [9, 9]}
    data = load_data(tmp_path / "em.npz")
    assert data.input_shape == (1, 32, 32)
    assert data.classes == ("background", "structure")
    assert "train split: structures of training_groundtruth.tif" in data.notes
    with np.load(tmp_path / "em.npz") as file:
        assert (file["train_images"].min(), file["train_images"].max()) == (0, 1)
        assert file["test_images"].min() >= 0
        assert file["test_images"].max() <= 1
    prepare_microscopy(tmp_path / "em", tmp_path / "again.npz", train_crops=10, test_crops=6, seed=3)
    prepare_microscopy(tmp_path / "em", tmp_path / "other.npz", train_crops=10, test_crops=6, seed=4)
    assert load_data(tmp_path / "again.npz").fingerprint == data.fingerprint
    assert load_data(tmp_path / "other.npz").fingerprint != data.fingerprint


def test_several_masks_are_joined_and_slices_without_structure_left_out(tmp_path):
    source = stacks(tmp_path / "em")
    empty, full = np.zeros((64, 80), np.uint8), blobs((64, 80), 5)
    write_stack(source / "training_groundtruth.tif", [empty, full, empty])
    write_stack(source / "training_groundtruth_synapses.tif", [full, empty, empty])
    made = prepare_microscopy(source, tmp_path / "em.npz", train_crops=4, test_crops=4)
    assert made.sizes["train"] == 8
    assert "train split: 1 of 3 slices left out, which lack one of the classes" in made.notes
    assert "train split: structures of training_groundtruth.tif, training_groundtruth_synapses.tif" in made.notes


def no_mask(source):
    (source / "testing_groundtruth.tif").unlink()


def no_stack(source):
    (source / "training.tif").unlink()


def fewer_slices(source):
    write_stack(source / "training_groundtruth.tif", [blobs((64, 80))])


def no_structure(source):
    write_stack(source / "training_groundtruth.tif", [np.zeros((64, 80), np.uint8)] * 3)


def no_image(source):
    (source / "training.tif").write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_mask, "no masks testing_groundtruth.tif"),
        (no_stack, "has not the stack training.tif"),
        (fewer_slices, "1 of 64 x 80, not 3 of 64 x 80"),
        (no_structure, "no slice of training has both classes"),
        (no_image, "cannot be read as a stack"),
    ],
)
def test_damaged_stacks_are_named(tmp_path, damage, message):
    damage(stacks(tmp_path / "em"))
    with pytest.raises(DataError, match=message):
        prepare_microscopy(tmp_path / "em", tmp_path / "em.npz", train_crops=4, test_crops=4)


def test_what_cannot_be_cropped_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"fewer than a crop of 32 x 32"):
        prepare_microscopy(stacks(tmp_path / "em", shape=(30, 60)), tmp_path / "em.npz")
    with pytest.raises(SettingsError, match="at least 2 crops"):
        prepare_microscopy(tmp_path / "em", tmp_path / "em.npz", train_crops=1)
    with pytest.raises(DataError, match="there is no folder"):
        prepare_microscopy(tmp_path / "nowhere", tmp_path / "em.npz")
