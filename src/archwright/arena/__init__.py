"""The arena: searchers compared on tables, with statistics, figures and tables for a paper."""

from archwright.arena.comparison import Comparison, compete
from archwright.arena.problem import Problem, Signal, default_signal, read_signal, shares
from archwright.arena.runs import Entry, Run, run
from archwright.arena.surrogate import SurrogateProblem, surrogate_problem

__all__ = [
    "Comparison",
    "Entry",
    "Problem",
    "Run",
    "Signal",
    "SurrogateProblem",
    "compete",
    "default_signal",
    "read_signal",
    "run",
    "shares",
    "surrogate_problem",
]
