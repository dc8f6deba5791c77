"""The exported network as it is used: raw inputs in, logits out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archwright.data.device import per_value
from archwright.errors import DataError
from archwright.shapes import Bands
from archwright.space import Architecture


@dataclass(frozen=True)
class Predictions:
    """What a model says of ``n`` inputs.

    Attributes:
        labels: class indices, ``n``.
        names: class names, ``n``.
        probabilities: softmax, ``n x classes``.
    """

    labels: NDArray[np.int64]
    names: tuple[str, ...]
    probabilities: NDArray[np.float32]


class Model(nn.Module):
    """A trained network with its normalisation inside.

    ``model(x)`` takes *raw* inputs as the data had them (bytes 0 to 255, or floats in the data's own units),
    ``batch x *input_shape``, and gives logits ``batch x classes``. ``model.network`` is the network itself, which takes
    normalised inputs. Where an example has several images (``input_shape`` is :class:`~archwright.shapes.Bands`),
    ``x`` is ``batch x values``, as ``input_shape.pack`` makes them; :meth:`predict` takes the arrays by band too.

    Attributes:
        network: the trained network.
        architecture: what it was built from.
        input_shape: of one input, without the batch.
        classes: names by index.
        byte_inputs: whether the data had bytes (so that images can be given as they are).
        metrics: what was measured at the end of the search.
    """

    scale: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        architecture: Architecture,
        input_shape: Sequence[int],
        classes: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        byte_inputs: bool,
        metrics: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.architecture = architecture
        self.input_shape = input_shape if isinstance(input_shape, Bands) else tuple(input_shape)
        self.classes = tuple(classes)
        self.byte_inputs = byte_inputs
        self.metrics = metrics or {}
        self.register_buffer("scale", torch.tensor(1 / 255 if byte_inputs else 1.0), persistent=False)
        self.register_buffer("mean", per_value(mean, self.input_shape), persistent=False)
        self.register_buffer("std", per_value(std, self.input_shape), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of raw inputs."""
        output = self.network((x.float() * self.scale - self.mean) / self.std)
        logits: Tensor = output[0] if isinstance(output, tuple) else output
        return logits

    def predict(self, inputs: Any, *, batch_size: int = 256) -> Predictions:
        """Classes and probabilities of raw inputs, an array or tensor ``n x *input_shape``, or arrays by band.

        Grey images may lack their channel axis, colour images may have it last; a single input may lack the batch.

        Raises:
            DataError: inputs of another shape.
        """
        x = self.as_batch(inputs)
        device = self.mean.device
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                parts = [self(x[i : i + batch_size].to(device)).softmax(1).cpu() for i in range(0, len(x), batch_size)]
        finally:
            self.train(training)
        probabilities = torch.cat(parts).numpy() if parts else np.zeros((0, len(self.classes)), np.float32)
        labels = probabilities.argmax(axis=1).astype(np.int64)
        return Predictions(labels, tuple(self.classes[i] for i in labels), probabilities)

    def as_batch(self, inputs: Any) -> Tensor:
        """Raw inputs as ``n x *input_shape``.

        Raises:
            DataError: they cannot be read so.
        """
        if isinstance(self.input_shape, Bands) and isinstance(inputs, Mapping):
            inputs = self.input_shape.pack({str(band): _images(array) for band, array in inputs.items()})
        x = inputs if isinstance(inputs, Tensor) else torch.from_numpy(np.asarray(inputs))
        want = self.input_shape
        if tuple(x.shape) == want:
            return x[None]
        if x.ndim >= 2 and tuple(x.shape[1:]) == want:
            return x
        if len(want) == 3:
            last = (want[1], want[2], want[0])
            if tuple(x.shape[-3:]) == last:
                x = x.movedim(-1, -3)
                return x if x.ndim == 4 else x[None]
            if want[0] == 1 and tuple(x.shape[-2:]) == want[1:] and x.ndim in (2, 3):
                return x.reshape(-1, *want)
        raise DataError(
            f"the model takes inputs of shape {want}, and these have {tuple(x.shape)}; bring them to that size first"
        )


def _images(array: Any) -> NDArray[Any]:
    """A band's images as ``n x channels x height x width``."""
    from archwright.data.arrays import as_inputs

    return as_inputs(array.cpu().numpy() if isinstance(array, Tensor) else array, "a band")
