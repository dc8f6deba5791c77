"""The protocol of retraining (Herron 2023, section 3.4.2)."""

import pytest

from archwright.supernet.methods import OneShot


def test_the_published_protocol():
    size, training = OneShot("icdarts").final()
    assert size == {"channels": 36, "cells": 20}
    assert (training.epochs, training.batch_size, training.optimizer, training.momentum) == (600, 128, "sgd", 0.9)
    assert not training.nesterov
    assert (training.weight_decay, training.decay) == (5e-4, "all")
    assert (training.drop_path, training.drop_path_rates) == (0.3, "equal")
    assert (training.cutout, training.auxiliary_weight, training.gradient_clip) == (16, 0.4, 5.0)
    assert (training.crop, training.flip, training.label_smoothing, training.keep) == (4, True, 0.0, "last")
    rates = [training.learning_rate(epoch * 390, 390) for epoch in (0, 300, 599)]
    assert rates == pytest.approx([0.025, 0.0125, 1.71e-7], rel=5e-3)
