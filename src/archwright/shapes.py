"""Examples made of several images of different sizes, such as the bands of a telescope: how they lie in one row of values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import DataError, unknown

Image = tuple[int, int, int]
MERGES = ("average", "convolution")
"""How a band that is larger than the common size is brought down: the mean of blocks, or a convolution that is learned."""


class Bands(tuple[int, ...]):
    """The shape ``(values,)`` of an example whose bands, images of any sizes, lie one after another in a row.

    Wherever a shape is needed it is one, so a network on bands takes ``batch x values``; :meth:`unpack` gives the images
    back. Families that know nothing of bands see :attr:`merged`, see :func:`~archwright.families.for_shape`.

    Args:
        images: channels, height and width of each band, by name, in the order in which they are merged.
        size: height and width to which all are brought; by default those of the band with the fewest pixels.
        merge: one of :data:`MERGES`.

    Attributes:
        images, size, merge: as given.

    Raises:
        DataError: no band, a side below 1, or an unknown ``merge``.
    """

    images: dict[str, Image]
    size: tuple[int, int]
    merge: str

    def __new__(
        cls, images: Mapping[str, Sequence[int]], size: Sequence[int] | None = None, merge: str = "average"
    ) -> Bands:
        """A tuple of one number: how many values an example has."""
        known = {str(name): _image(str(name), shape) for name, shape in images.items()}
        if not known:
            raise DataError("an example of several bands needs at least one")
        if merge not in MERGES:
            raise DataError(unknown("way to merge bands", merge, MERGES))
        made = super().__new__(cls, (sum(math.prod(shape) for shape in known.values()),))
        made.images = known
        least = min(known.values(), key=lambda shape: shape[1] * shape[2])
        made.size = (int(size[0]), int(size[1])) if size is not None else least[1:]
        made.merge = merge
        if min(made.size) < 1:
            raise DataError(f"bands cannot be brought to {made.size[0]} x {made.size[1]} pixels")
        return made

    def __reduce__(self) -> Any:
        return Bands, (self.images, self.size, self.merge)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bands):
            return super().__eq__(other)
        return (repr(self), self.size, self.merge) == (repr(other), other.size, other.merge)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__()

    def __repr__(self) -> str:
        return ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in self.images.items())

    @property
    def merged(self) -> Image:
        """Shape of the one image that they become: all channels, at the common size."""
        return (sum(shape[0] for shape in self.images.values()), *self.size)

    @property
    def slices(self) -> dict[str, slice]:
        """Where each band lies in a row."""
        ends = np.cumsum([0, *(math.prod(shape) for shape in self.images.values())]).tolist()
        return {name: slice(a, b) for name, a, b in zip(self.images, ends, ends[1:])}

    def pack(self, images: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Rows ``n x values`` from arrays ``n x channels x height x width`` by band; bytes stay bytes where all are.

        Raises:
            DataError: a band is missing, or has another shape or number of examples.
        """
        for name, shape in self.images.items():
            if name not in images:
                raise DataError(f"the band {name!r} is missing; there are {', '.join(images) or 'none'}")
            if tuple(images[name].shape[1:]) != shape:
                raise DataError(f"the band {name!r} has images of shape {images[name].shape[1:]}, not {shape}")
        arrays = [images[name] for name in self.images]
        counts = {name: len(images[name]) for name in self.images}
        if len(set(counts.values())) > 1:
            raise DataError(
                "bands have different numbers of examples: " + ", ".join(f"{k} {n}" for k, n in counts.items())
            )
        dtype = np.uint8 if all(a.dtype == np.uint8 for a in arrays) else np.float32
        rows = np.empty((len(arrays[0]), *self), dtype)
        for array, part in zip(arrays, self.slices.values()):
            rows[:, part] = array.reshape(len(array), -1)
        return rows

    def unpack(self, rows: Any) -> dict[str, Any]:
        """Views ``n x channels x height x width`` by band, of an array or tensor ``n x values``."""
        return {name: rows[:, part].reshape(-1, *self.images[name]) for name, part in self.slices.items()}

    def spread(self, values: Sequence[float]) -> NDArray[np.float32]:
        """Numbers by channel (of all bands in order) as one for each value of a row."""
        pixels = [shape[1] * shape[2] for shape in self.images.values() for _ in range(shape[0])]
        return np.repeat(np.asarray(values, dtype=np.float32), pixels)

    def to_json(self) -> dict[str, Any]:
        """Plain data; the inverse of :meth:`from_json`."""
        return {"images": {k: list(v) for k, v in self.images.items()}, "size": list(self.size), "merge": self.merge}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Bands:
        """From what :meth:`to_json` gave."""
        return cls(content["images"], content["size"], content["merge"])


def merged(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape itself, or for bands that of the one image that they become."""
    return shape.merged if isinstance(shape, Bands) else shape


def _image(name: str, shape: Sequence[int]) -> Image:
    if len(shape) != 3 or min(shape) < 1:
        raise DataError(f"the band {name!r} has shape {tuple(shape)}; it must be (channels, height, width)")
    return int(shape[0]), int(shape[1]), int(shape[2])
