"""Examples that live on the device, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

import torch
from torch import Tensor

from archwright.data.dataset import Data, Split
from archwright.shapes import Bands


class DeviceSplit:
    """A split on a device. Bytes stay bytes there and become normalised floats batch by batch.

    Attributes:
        inputs: ``n x *input_shape``, uint8 or float32.
        targets: ``n``, int64.
    """

    def __init__(self, split: Split, data: Data, device: str | torch.device, *, channels_last: bool = False) -> None:
        self.inputs = torch.from_numpy(split.inputs).to(device)
        self.targets = torch.from_numpy(split.targets).to(device)
        self._channels_last = channels_last and self.inputs.ndim == 4
        mean, std = (per_value(moment, data.input_shape) for moment in (data.mean, data.std))
        self._factor = (data.scale / std).to(device)
        self._offset = (-mean / std).to(device)

    def __len__(self) -> int:
        return len(self.targets)

    def part(self, rows: slice) -> DeviceSplit:
        """Some of the examples, without copying them."""
        taken = copy(self)
        taken.inputs, taken.targets = self.inputs[rows], self.targets[rows]
        return taken

    def prepared(self, index: Tensor | slice) -> Tensor:
        """Normalised inputs at ``index``, float32."""
        batch = torch.addcmul(self._offset, self.inputs[index].float(), self._factor)
        return batch.contiguous(memory_format=torch.channels_last) if self._channels_last else batch

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """``(inputs, targets)`` in order, or shuffled by a CPU ``generator`` (so that the order is equal on all devices).

        A last batch of a single example joins the one before when shuffled, since batch norm cannot train on it.
        """
        n = len(self)
        if generator is None:
            for start in range(0, n, batch_size):
                part = slice(start, start + batch_size)
                yield self.prepared(part), self.targets[part]
            return
        order = torch.randperm(n, generator=generator).to(self.targets.device, non_blocking=True)
        starts = list(range(0, n, batch_size))
        if len(starts) > 1 and n - starts[-1] == 1:
            starts.pop()
        for start, end in zip(starts, [*starts[1:], n]):
            index = order[start:end]
            yield self.prepared(index), self.targets[index]

    def steps(self, batch_size: int) -> int:
        """Batches in a shuffled epoch."""
        full, left = divmod(len(self), batch_size)
        return max(1, full + (left > 1))


def per_value(moments: Sequence[float], input_shape: tuple[int, ...]) -> Tensor:
    """Numbers by channel or feature, in a shape that goes with a batch of inputs."""
    if isinstance(input_shape, Bands):
        return torch.from_numpy(input_shape.spread(moments))[None]
    return torch.tensor(moments, dtype=torch.float32).reshape(1, -1, *([1] * (len(input_shape) - 1)))
