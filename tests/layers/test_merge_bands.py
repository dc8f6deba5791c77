"""Bands of several sizes as one row of values, and as one image."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import DataError
from archwright.layers import MergeBands
from archwright.shapes import MERGES, Bands

LENS = {"vis": (1, 200, 200), "j": (1, 66, 66), "h": (1, 66, 66), "y": (1, 66, 66)}
shapes = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4)


@pytest.mark.parametrize("merge", MERGES)
def test_four_lens_bands_become_one_image_of_four_channels(merge):
    bands = Bands(LENS, merge=merge)
    assert bands.merged == (4, 66, 66)
    assert tuple(bands) == (200 * 200 + 3 * 66 * 66,)
    with torch.no_grad():
        assert MergeBands(bands)(torch.randn(2, *bands)).shape == (2, 4, 66, 66)


@pytest.mark.parametrize("merge", MERGES)
def test_a_large_band_becomes_the_means_of_its_blocks(merge):
    bands = Bands({"vis": (1, 7, 7), "j": (1, 2, 2)}, merge=merge)
    large, small = np.arange(49, dtype=np.float32).reshape(1, 1, 7, 7), np.ones((1, 1, 2, 2), np.float32)
    with torch.no_grad():
        image = MergeBands(bands)(torch.from_numpy(bands.pack({"vis": large, "j": small})))
    blocks = large[0, 0, :6, :6].reshape(2, 3, 2, 3).mean((1, 3))
    assert np.allclose(image[0, 0], blocks, atol=1e-5)
    assert np.array_equal(image[0, 1], small[0, 0])


@pytest.mark.parametrize(("merge", "learned"), [("average", 0), ("convolution", 9)])
def test_only_a_convolution_has_weights(merge, learned):
    module = MergeBands(Bands({"vis": (1, 6, 6), "j": (1, 2, 2)}, merge=merge))
    assert sum(p.numel() for p in module.parameters()) == learned


@settings(max_examples=40, deadline=None)
@given(shapes, st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.none(), st.sampled_from(MERGES))
def test_any_sizes_come_to_the_common_one(made, size, merge):
    bands = Bands({f"band {i}": shape for i, shape in enumerate(made)}, size, merge)
    with torch.no_grad():
        out = MergeBands(bands)(torch.ones(2, *bands))
    assert tuple(out.shape[1:]) == bands.merged
    assert torch.allclose(out, torch.ones(()), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(shapes, st.booleans())
def test_packing_loses_nothing(made, as_bytes):
    rng = np.random.default_rng(0)
    dtype = np.uint8 if as_bytes else np.float32
    images = {f"b{i}": rng.integers(0, 255, (3, *shape)).astype(dtype) for i, shape in enumerate(made)}
    bands = Bands({name: x.shape[1:] for name, x in images.items()})
    rows = bands.pack(images)
    assert rows.dtype == dtype
    assert all(np.array_equal(x, images[name]) for name, x in bands.unpack(rows).items())
    marks = np.arange(bands.merged[0], dtype=np.float32)
    spread = bands.unpack(bands.spread(marks)[None])
    assert [m for x in spread.values() for c in x[0] for m in np.unique(c)] == marks.tolist()


def test_bands_survive_copies_and_json():
    bands = Bands(LENS, (50, 50), "convolution")
    for again in (pickle.loads(pickle.dumps(bands)), copy.deepcopy(bands), Bands.from_json(bands.to_json())):
        assert again == bands
        assert again.merged == (4, 50, 50)
    assert bands != Bands(LENS)
    assert bands != Bands(dict(reversed(LENS.items())), (50, 50), "convolution")
    assert tuple(bands) == bands


def test_bands_that_do_not_fit_are_refused():
    images = {"a": np.zeros((2, 1, 4, 4)), "b": np.zeros((2, 1, 2, 2))}
    bands = Bands({name: x.shape[1:] for name, x in images.items()})
    with pytest.raises(DataError, match="band 'b' is missing; there are a"):
        bands.pack({"a": images["a"]})
    with pytest.raises(DataError, match=r"'b' has images of shape \(1, 3, 3\), not \(1, 2, 2\)"):
        bands.pack({**images, "b": np.zeros((2, 1, 3, 3))})
    with pytest.raises(DataError, match="different numbers of examples: a 2, b 1"):
        bands.pack({**images, "b": images["b"][:1]})
    with pytest.raises(DataError, match="unknown way to merge bands 'averag'; did you mean average"):
        Bands(LENS, merge="averag")
    with pytest.raises(DataError, match="at least one"):
        Bands({})
    with pytest.raises(DataError, match=r"'a' has shape \(4, 4\)"):
        Bands({"a": (4, 4)})
    with pytest.raises(DataError, match="0 x 3 pixels"):
        Bands(LENS, (0, 3))
