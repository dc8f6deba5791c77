"""Cells of a search that is over, retrained on other data (as those of CIFAR-10 on CIFAR-100, Herron 2023, section 3.4.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import ArchwrightError, SettingsError
from archwright.families import get_family
from archwright.report.runs import read_result
from archwright.supernet.retraining import Design, read_design
from archwright.supernet.searched import Searched

if TYPE_CHECKING:
    from archwright.supernet.methods import OneShot

OF = {"darts": ("darts", "hierarchical"), "nasbench201": ("nasbench201",)}
"""Families of retrained networks, by the family that is searched."""


def found_before(
    asked: OneShot, result: Mapping[str, Any], _size: Mapping[str, int], _folder: Path | None, say: Callable[[str], object]
) -> Searched:  # fmt: skip
    """What a search found, in networks of the same size unless asked otherwise."""
    say(f"cells of {asked.cells}")
    design = _resized(read_design(result), asked.network)
    designs = {"retrain": design}
    if "initial" in result and design.family.default is not None:
        designs["initial"] = replace(design, architecture=design.family.default)
    more = {"cells": str(asked.cells)}
    return Searched(dict(result["genotype"]), designs, 0.0, 0, None, None, result.get("expected_latency"), more)


def _resized(design: Design, size: Mapping[str, int]) -> Design:
    """The same cells in a network of another size.

    Raises:
        ArchwrightError: a template that was found for another number of cells.
    """
    if not size:
        return design
    family = get_family(design.family.name, **{**design.family.options, **size})
    family.space.validate(design.architecture)
    return replace(design, family=family)


def read_found(asked: OneShot) -> Mapping[str, Any]:
    """The result whose cells are asked for.

    Raises:
        StudyError: it cannot be read.
        SettingsError: it has no cells of the family.
    """
    result = read_result(asked.cells)
    try:
        family = read_design(result).family.name
    except (KeyError, TypeError, ArchwrightError) as error:
        raise SettingsError(f"{asked.cells} is not the result of a search inside one network: {error}") from error
    if family not in OF[asked.family]:
        raise SettingsError(f"{asked.cells} has a network of the family {family}, and {asked.family} was asked for")
    return result


def of_run(cells: str, seed: int) -> str:
    """The cells of the run with this seed, where a study has several runs; else the study's."""
    own = Path(cells) / f"run-{seed}" if cells else None
    return str(own) if own is not None and own.is_dir() else cells
