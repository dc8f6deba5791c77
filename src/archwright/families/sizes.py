"""Published networks for 224-pixel images, and small ones of the same make for images of a few pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archwright.errors import FamilyError, unknown
from archwright.families.base import needs_images

SIZES = ("auto", "paper", "small")
SMALL_BELOW = 64
"""``auto`` takes the small networks where an image's shorter side has fewer pixels."""
LAST_SIDE = 4
"""A small network halves its images as often as leaves so many pixels a side."""


def check_size(family: str, size: object) -> None:
    """Refuse an unknown size.

    Raises:
        FamilyError: with the known ones.
    """
    if size not in SIZES:
        raise FamilyError(f"{family}: " + unknown("size", str(size), SIZES))


def is_small(size: str, input_shape: tuple[int, ...]) -> bool:
    """Whether the small networks are meant for such images."""
    return size == "small" or (size == "auto" and min(input_shape[1:]) < SMALL_BELOW)


def takes(family: str, size: str) -> Callable[[tuple[int, ...]], None]:
    """A ``check_shape``: images of 4 pixels a side or more, of 32 or more for the published networks."""
    check = needs_images(family, LAST_SIDE)

    def checked(input_shape: tuple[int, ...]) -> None:
        check(input_shape)
        if size == "paper" and min(input_shape[1:]) < 32:
            raise FamilyError(
                f"{family}: the published networks halve the image five times and need at least 32 x 32 pixels; the data has "
                f"{input_shape[1]} x {input_shape[2]}: use --set size=small, or larger images"
            )

    return checked


def strides(input_shape: tuple[int, ...], small: bool, given_up: Sequence[int]) -> tuple[int, ...]:
    """1 or 2 for each place of a network that halves the image when it is not small.

    Args:
        given_up: the places in the order in which a small network does without them; their number is that of places.
    """
    side, halvings = min(input_shape[1:]), 0
    while small and halvings < len(given_up) and -(-side // 2) >= LAST_SIDE:
        side, halvings = -(-side // 2), halvings + 1
    without = set(given_up[: len(given_up) - halvings]) if small else set()
    return tuple(1 if place in without else 2 for place in range(len(given_up)))
