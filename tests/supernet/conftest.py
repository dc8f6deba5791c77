"""Data that searches inside one network are tested on."""

import numpy as np
import pytest

from archwright.data import Data, load_data


@pytest.fixture(scope="session")
def data() -> Data:
    """96 images of noise, 3 x 8 x 8, in three classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (96, 3, 8, 8)).astype(np.uint8)
    return load_data({"train": (images, np.arange(96) % 3)}, validation=0.2, test=0.2)
