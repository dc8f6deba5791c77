"""Families around published vision networks, from a search by name to an exported network that predicts."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

import archwright as aw
from archwright.families import get_family
from archwright.study.final import FinalSettings

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name", ["mobileone", *(pytest.param(n, marks=SLOW) for n in ("moat", "swiftformer", "attention", "snapformer"))]
)
def test_a_family_is_searched_by_name_exported_and_predicts(tmp_path, name):
    images = np.random.default_rng(0).integers(0, 255, (24, 8, 8), np.uint8)
    found = aw.search(
        name, data={"train": (images, np.arange(24) % 2), "test": (images[:6], np.arange(6) % 2)}, searcher="random",
        budget=1, epochs=1, training={"batch_size": 8}, study=tmp_path / "s",
        final=FinalSettings(top=1, epochs=1, baselines=0, onnx=False),
    )  # fmt: skip
    model = aw.load(tmp_path / "s")
    assert model.predict(images[:3]).probabilities.shape == (3, 2)
    parameters = sum(p.numel() for p in model.network.parameters())
    assert parameters == found.best.evaluation.metrics["params"]
    if name == "mobileone":
        trained = get_family(name).build(found.best.architecture, (1, 8, 8), 2)
        assert parameters < sum(p.numel() for p in trained.parameters())
        assert not any(isinstance(m, nn.BatchNorm2d) for m in model.network.modules())
