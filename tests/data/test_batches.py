"""Batches on the device, and augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archwright.data import Augmentation, DeviceSplit, load_data
from archwright.data.augment import cut_and_mix, cutout, mix, random_crop, random_flip
from archwright.errors import SettingsError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def data():
    x = np.random.default_rng(0).integers(0, 256, (101, 3, 6, 6), dtype=np.uint8)
    return load_data({p: (x, np.arange(101) % 4) for p in ("train", "validation", "test")})


def test_batches_are_normalised_and_complete(data):
    split = DeviceSplit(data.train, data, "cpu")
    inputs, targets = (torch.cat(parts) for parts in zip(*split.batches(32)))
    assert inputs.mean((0, 2, 3)).numpy() == pytest.approx(np.zeros(3), abs=1e-5)
    assert inputs.std((0, 2, 3), correction=0).numpy() == pytest.approx(np.ones(3), abs=1e-5)
    assert (targets == split.targets).all()


def test_shuffled_batches_have_every_example_once_and_none_alone(data):
    split = DeviceSplit(data.train, data, "cpu")
    batches = list(split.batches(50, generator()))
    assert [len(t) for _, t in batches] == [50, 51]
    assert split.steps(50) == 2
    again = list(split.batches(50, generator()))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, again))
    rows = torch.cat([x.reshape(len(x), -1) for x, _ in batches])
    assert len(rows.unique(dim=0)) == 101


def test_crop_moves_images_by_at_most_the_padding():
    x = torch.zeros(400, 1, 7, 7)
    x[:, 0, 3, 3] = 1
    moved = random_crop(x, 2, generator())
    places = moved.flatten(1).argmax(1)
    rows, columns = places // 7, places % 7
    assert (moved.sum((1, 2, 3)) == 1).all()
    assert set(rows.tolist()) == set(columns.tolist()) == {1, 2, 3, 4, 5}


def test_flip_mirrors_about_half():
    x = torch.arange(4.0).reshape(1, 1, 1, 4).expand(500, 1, 1, 4)
    first = random_flip(x, generator())[:, 0, 0, 0]
    assert set(first.tolist()) == {0.0, 3.0}
    assert 200 < (first == 3).sum() < 300


def test_cutout_blanks_one_square_in_each():
    x = torch.ones(300, 2, 9, 9)
    gone = (cutout(x, 3, generator()) == 0).float()
    assert torch.equal(gone[:, 0], gone[:, 1])
    areas = gone[:, 0].sum((1, 2))
    assert areas.max() == 9
    assert areas.min() >= 4
    assert (areas == 9).float().mean() > 0.5


def test_mixup_mixes_inputs_and_targets_alike():
    x = torch.eye(6).reshape(6, 1, 1, 6)
    mixed, soft = mix(x, torch.eye(6), 1.0, generator())
    assert torch.allclose(mixed.reshape(6, 6), soft)
    assert torch.allclose(soft.sum(1), torch.ones(6))


def test_cutmix_targets_are_areas():
    x = torch.eye(5)[:, :, None, None].expand(5, 5, 8, 8)
    mixed, soft = cut_and_mix(x.contiguous(), torch.eye(5), 1.0, generator(1))
    assert torch.allclose(mixed.mean((2, 3)), soft, atol=1e-6)
    assert set(mixed.unique().tolist()) == {0.0, 1.0}


def test_augmentation_is_a_function_of_the_generator():
    x, y = torch.randn(16, 3, 8, 8), torch.arange(16) % 4
    everything = Augmentation(crop=2, flip=True, cutout=3, mixup=0.2, cutmix=1.0)
    first, again = everything(x, y, 4, generator(3)), everything(x, y, 4, generator(3))
    other = everything(x, y, 4, generator(4))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert first[1].shape == (16, 4)


def test_no_augmentation_changes_nothing():
    x, y = torch.randn(4, 1, 3, 3), torch.arange(4)
    same = Augmentation()(x, y, 4, generator())
    assert same[0] is x
    assert same[1] is y
    assert Augmentation().is_none


def test_tables_take_mixup_only():
    Augmentation(mixup=0.2).check("tabular")
    with pytest.raises(SettingsError, match="are for images"):
        Augmentation(flip=True).check("tabular")
    with pytest.raises(SettingsError, match="cannot be negative"):
        Augmentation(crop=-1)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_inputs_are_normalised_in_any_unit_and_constant_ones_are_not(unit):
    x = np.random.default_rng(0).normal(3, 1, (60, 4, 4)).astype(np.float32) * np.float32(unit)
    data = load_data((np.stack([x, np.full_like(x, 3 * unit), np.zeros_like(x)], axis=1), np.arange(60) % 2))
    assert data.std[0] == pytest.approx(unit, rel=0.1)
    assert data.std[1:] == (1.0, 1.0)
