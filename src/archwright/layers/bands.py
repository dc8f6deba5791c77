"""Several images of different sizes as one: the stem of networks on bands."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.shapes import Bands, Image


class MergeBands(nn.Module):
    """``batch x values`` -> ``batch x channels x height x width``: all bands brought to one size, channels side by side.

    A band at least twice as large in both directions is first reduced by a whole factor, without padding (what does not
    fill a block at the lower and right border is left out: 200 pixels by 3 are 66). What then is not of the common size is
    interpolated bilinearly.

    Args:
        bands: shapes, common size, and whether the reduction is the mean of blocks or a convolution with kernel and stride
            of that factor, which starts as the mean.
    """

    def __init__(self, bands: Bands) -> None:
        super().__init__()
        self.bands = bands
        self.reductions = nn.ModuleList(_reduction(shape, bands) for shape in bands.images.values())

    def forward(self, x: Tensor) -> Tensor:
        """One image of all channels."""
        images = self.bands.unpack(x).values()
        return torch.cat([self._resized(reduce(image)) for reduce, image in zip(self.reductions, images)], dim=1)

    def _resized(self, x: Tensor) -> Tensor:
        if tuple(x.shape[2:]) == self.bands.size:
            return x
        return functional.interpolate(x, self.bands.size, mode="bilinear", align_corners=False)


def _reduction(shape: Image, bands: Bands) -> nn.Module:
    channels, *sides = shape
    factor = (sides[0] // bands.size[0], sides[1] // bands.size[1])
    if min(factor) < 1 or factor == (1, 1):
        return nn.Identity()
    if bands.merge == "average":
        return nn.AvgPool2d(factor)
    made = nn.Conv2d(channels, channels, factor, stride=factor, bias=False)
    with torch.no_grad():
        made.weight.copy_(torch.eye(channels)[:, :, None, None] / (factor[0] * factor[1]))
    return made


def on_bands(network: nn.Module, bands: Bands) -> nn.Module:
    """A network of one image as a network on bands; ``network`` and ``merge`` are its parts."""
    return nn.Sequential(OrderedDict(merge=MergeBands(bands), network=network))


def merge_in_stem(network: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Let a network of one image, with a part called ``stem``, take bands where the inputs are such; in place."""
    if isinstance(input_shape, Bands):
        network.stem = nn.Sequential(MergeBands(input_shape), network.stem)  # type: ignore[arg-type]
