"""Benchmarks with known answers: the table, its file, and how those of others are read."""

from archwright.tables.column import Column
from archwright.tables.files import load_table
from archwright.tables.known import KNOWN, data_folders, find_table
from archwright.tables.reading import Metric, import_csv, notations
from archwright.tables.table import Table

__all__ = ["KNOWN", "Column", "Metric", "Table", "data_folders", "find_table", "import_csv", "load_table", "notations"]
