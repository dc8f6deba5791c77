"""Augmentation of whole batches on the device: no Python per sample, nothing read back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from archwright.errors import SettingsError
from archwright.shapes import Bands


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training batch, in this order.

    Examples of several images have the same done to all: pixels are those of the common size, and larger or smaller in
    the others.

    Attributes:
        crop: random crops after padding by so many pixels of zero (the mean, as inputs are normalised).
        flip: half of the images are mirrored, left to right.
        cutout: a square of so many pixels is blanked, centred anywhere (DeVries and Taylor 2017).
        mixup: parameter of the Beta distribution (Zhang et al. 2018); 0 for none.
        cutmix: likewise (Yun et al. 2019); with both, each batch has one of them.
        vertical_flip: half of the images are mirrored, top to bottom; after ``flip``.
        bands: where each image lies, if an example has several.

    Raises:
        SettingsError: a negative value.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    vertical_flip: bool = False
    bands: Bands | None = None

    def __post_init__(self) -> None:
        if min(self.crop, self.cutout, self.mixup, self.cutmix) < 0:
            raise SettingsError(f"augmentation settings cannot be negative: {self}")

    @property
    def is_none(self) -> bool:
        """Whether nothing is done."""
        return not (self.crop or self.flip or self.vertical_flip or self.cutout or self.mixup or self.cutmix)

    def check(self, kind: str) -> None:
        """Refuse augmentation of anything but images (mixup does for tables too).

        Raises:
            SettingsError: crop, flip, cutout or cutmix of a table.
        """
        if kind != "image" and (self.crop or self.flip or self.vertical_flip or self.cutout or self.cutmix):
            raise SettingsError(
                "crop, flips, cutout and cutmix are for images, and the data is a table; only mixup goes with it"
            )

    def __call__(
        self, inputs: Tensor, targets: Tensor, classes: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            inputs: ``batch x channels x height x width``, or with bands ``batch x values``; normalised.
            targets: ``batch``, class indices.
            classes: how many there are.
            generator: on the inputs' device.

        Returns:
            Inputs, and targets: class indices as they were, or ``batch x classes`` shares with mixup or cutmix.
        """
        if self.crop:
            inputs = random_crop(inputs, self.crop, generator, self.bands)
        if self.flip:
            inputs = random_flip(inputs, generator, bands=self.bands)
        if self.vertical_flip:
            inputs = random_flip(inputs, generator, -2, self.bands)
        if self.cutout:
            inputs = cutout(inputs, self.cutout, generator, self.bands)
        if not (self.mixup or self.cutmix):
            return inputs, targets
        soft = functional.one_hot(targets, classes).to(inputs.dtype)
        if not self.cutmix:
            return mix(inputs, soft, self.mixup, generator)
        if not self.mixup:
            return cut_and_mix(inputs, soft, self.cutmix, generator, self.bands)
        mixed = mix(inputs, soft, self.mixup, generator)
        cut = cut_and_mix(inputs, soft, self.cutmix, generator, self.bands)
        first = torch.rand((), generator=generator, device=inputs.device) < 0.5
        return torch.where(first, mixed[0], cut[0]), torch.where(first, mixed[1], cut[1])


def random_crop(x: Tensor, padding: int, generator: torch.Generator, bands: Bands | None = None) -> Tensor:
    """Every image shifted by up to ``padding`` pixels in both directions, zeros coming in."""
    n, (h, w) = len(x), _grid(x, bands)
    top = torch.randint(0, 2 * padding + 1, (n, 1), generator=generator, device=x.device)
    left = torch.randint(0, 2 * padding + 1, (n, 1), generator=generator, device=x.device)

    def move(image: Tensor) -> Tensor:
        scales = image.shape[2] / h, image.shape[3] / w
        return _shifted(image, _scaled(top - padding, scales[0]), _scaled(left - padding, scales[1]), padding, scales)

    return _each(x, bands, move)


def _scaled(pixels: Tensor, scale: float) -> Tensor:
    return pixels if scale == 1 else (pixels * scale).round().long()


def _shifted(x: Tensor, down: Tensor, right: Tensor, most: int, scales: tuple[float, float]) -> Tensor:
    """Images of which row ``i`` is what row ``i + down`` was."""
    n, _, h, w = x.shape
    above, beside = (math.ceil(most * scale) for scale in scales)
    padded = functional.pad(x, (beside, beside, above, above))
    rows = (down + above + torch.arange(h, device=x.device))[:, :, None]
    columns = (right + beside + torch.arange(w, device=x.device))[:, None, :]
    batch = torch.arange(n, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2).contiguous()


def random_flip(x: Tensor, generator: torch.Generator, axis: int = -1, bands: Bands | None = None) -> Tensor:
    """Half of the images mirrored, left to right or (axis -2) top to bottom."""
    flipped = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) < 0.5
    return _each(x, bands, lambda image: torch.where(flipped, image.flip(axis), image))


def cutout(x: Tensor, size: int, generator: torch.Generator, bands: Bands | None = None) -> Tensor:
    """A square of zeros in every image, centred anywhere in it, cut off at its borders."""
    n, (h, w) = len(x), _grid(x, bands)
    box = _boxes(n, h, w, torch.full((n, 1), float(size), device=x.device), x.device, generator)
    return x.masked_fill(_everywhere(box, bands), 0.0)


def mix(x: Tensor, soft: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Convex combinations with other examples of the batch, one share for each example."""
    share = _beta(len(x), alpha, x.device, generator)
    order = torch.randperm(len(x), generator=generator, device=x.device)
    wide = share.reshape(-1, *([1] * (x.ndim - 1)))
    return wide * x + (1 - wide) * x[order], share[:, None] * soft + (1 - share[:, None]) * soft[order]


def cut_and_mix(
    x: Tensor, soft: Tensor, alpha: float, generator: torch.Generator, bands: Bands | None = None
) -> tuple[Tensor, Tensor]:
    """A box of every image replaced by that of another; targets in proportion to the area that stays."""
    n, (h, w) = len(x), _grid(x, bands)
    share = _beta(n, alpha, x.device, generator)
    sides = torch.sqrt(1 - share)[:, None]
    box = _boxes(n, h, w, None, x.device, generator, sides)
    order = torch.randperm(n, generator=generator, device=x.device)
    stays = 1 - box.float().mean((1, 2, 3))[:, None]
    return torch.where(_everywhere(box, bands), x[order], x), stays * soft + (1 - stays) * soft[order]


def _grid(x: Tensor, bands: Bands | None) -> tuple[int, int]:
    """Height and width in which shifts and boxes are drawn."""
    return (x.shape[2], x.shape[3]) if bands is None else bands.size


def _each(x: Tensor, bands: Bands | None, change: Callable[[Tensor], Tensor]) -> Tensor:
    """``change`` of the images, or of every band's."""
    if bands is None:
        return change(x)
    return torch.cat([change(image).flatten(1) for image in bands.unpack(x).values()], dim=1)


def _everywhere(box: Tensor, bands: Bands | None) -> Tensor:
    """A mask ``n x 1 x h x w`` of the common size as one of rows of values, the same place in every band."""
    if bands is None:
        return box
    images = bands.images.values()
    sized = [functional.interpolate(box.float(), (h, w), mode="nearest-exact") > 0.5 for _, h, w in images]
    return torch.cat([mask.expand(-1, shape[0], -1, -1).flatten(1) for mask, shape in zip(sized, images)], dim=1)


def _boxes(
    n: int,
    h: int,
    w: int,
    size: Tensor | None,
    device: torch.device,
    generator: torch.Generator,
    sides: Tensor | None = None,
) -> Tensor:
    """Masks ``n x 1 x h x w`` of one box each: ``size`` pixels, or ``sides`` times height and width."""
    height = size if size is not None else h * sides  # type: ignore[operator]
    width = size if size is not None else w * sides  # type: ignore[operator]
    y = torch.randint(0, h, (n, 1), generator=generator, device=device)
    x = torch.randint(0, w, (n, 1), generator=generator, device=device)
    rows, columns = torch.arange(h, device=device), torch.arange(w, device=device)
    in_rows = (rows >= y - height // 2) & (rows < y - height // 2 + height)
    in_columns = (columns >= x - width // 2) & (columns < x - width // 2 + width)
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _beta(n: int, alpha: float, device: torch.device, generator: torch.Generator) -> Tensor:
    """Draws from Beta(alpha, alpha), from a generator (torch's own Beta takes none): quotient of Gamma draws."""
    shape = torch.full((2, n), float(alpha), device=device)
    gamma = torch._standard_gamma(shape, generator=generator)
    total = gamma.sum(0)
    return torch.where(total > 0, gamma[0] / total.clamp_min(1e-30), torch.full_like(total, 0.5))
