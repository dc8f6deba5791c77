"""Images in FITS files (the FITS standard, version 4.0): the first image of a file, uncompressed or in gzip."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archwright.errors import DataError

BLOCK, CARD = 2880, 80
TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
"""numpy's type by the keyword BITPIX."""


def read_fits(path: Path) -> NDArray[np.float32]:
    """The primary image, ``height x width``, scaled as its header says.

    Raises:
        DataError: no such file, no FITS file, one that is cut off, or one whose primary part is not one plane.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    header, start = _header(content, path)
    try:
        sides = [int(header[f"NAXIS{i}"]) for i in range(int(header["NAXIS"]), 0, -1)]
        dtype = np.dtype(TYPES[int(header["BITPIX"])])
        scale, zero = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} has no image that can be read: its header lacks or garbles {error}") from error
    planes = [side for side in sides if side != 1]
    if len(planes) != 2 or min(planes) < 1:
        raise DataError(f"{path}: the first part has the axes {sides}; expected is one image, height x width")
    if len(content) < start + math.prod(sides) * dtype.itemsize:
        raise DataError(f"{path} is cut off: its image of {planes[0]} x {planes[1]} needs more bytes than there are")
    image = np.frombuffer(content, dtype, math.prod(sides), start).reshape(planes)
    return (image * scale + zero if (scale, zero) != (1, 0) else image).astype(np.float32)


def _header(content: bytes, path: Path) -> tuple[dict[str, str], int]:
    """Values by keyword, as texts, and where the data begin."""
    if not content.startswith(b"SIMPLE  ="):
        raise DataError(f"{path} is not a FITS file")
    found: dict[str, str] = {}
    for at in range(0, len(content) - CARD + 1, CARD):
        card = content[at : at + CARD].decode("ascii", "replace")
        keyword = card[:8].rstrip()
        if keyword == "END":
            return found, -(-(at + CARD) // BLOCK) * BLOCK
        if card[8:10] == "= ":
            found.setdefault(keyword, card[10:].split("/")[0].strip().replace("D", "E"))
    raise DataError(f"{path} is cut off: its header has no end")
