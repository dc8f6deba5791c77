"""Cells that were found: read from files, counted over the stacked network, compared, drawn."""

from archwright.genotypes.comparing import Group, compare
from archwright.genotypes.counting import depth, depth_counts, operation_counts
from archwright.genotypes.reading import Cells, parse_cells, read_cells

__all__ = ["Cells", "Group", "compare", "depth", "depth_counts", "operation_counts", "parse_cells", "read_cells"]
