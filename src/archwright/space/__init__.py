"""Spaces of architectures. No torch here."""

from archwright.space.architecture import Architecture, Value
from archwright.space.cells import Cell, Genotype
from archwright.space.declaring import Constraint
from archwright.space.listed import ListedSpace
from archwright.space.parameters import Choice, Integer, Parameter, Real
from archwright.space.skipping import mean_skip
from archwright.space.space import Space

__all__ = [
    "Architecture",
    "Cell",
    "Choice",
    "Constraint",
    "Genotype",
    "Integer",
    "ListedSpace",
    "Parameter",
    "Real",
    "Space",
    "Value",
    "mean_skip",
]
