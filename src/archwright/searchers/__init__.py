"""Searchers: each decides which architecture to evaluate next."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from archwright.errors import SettingsError, unknown
from archwright.evaluation import Goal
from archwright.searchers.bananas import Bananas
from archwright.searchers.base import Clues, Searcher, Worth, dominates, worth
from archwright.searchers.dmls import DMLS
from archwright.searchers.ensemblebo import EnsembleBO
from archwright.searchers.evolution import RegularizedEvolution
from archwright.searchers.freerea import FreeREA
from archwright.searchers.hyperband import Hyperband, SuccessiveHalving
from archwright.searchers.local import BestImprove, LocalSearch, WorstImprove
from archwright.searchers.lsgp import LSGP
from archwright.searchers.moead import MOEAD
from archwright.searchers.nsga2 import NSGA2
from archwright.searchers.pon import LSPON
from archwright.searchers.random import RandomSearch
from archwright.searchers.scalarised import ScalarisedLS
from archwright.searchers.surrogate import ForestBO, GaussianProcessBO, SurrogateBO
from archwright.searchers.thesisbo import EnsembleBOThesis
from archwright.searchers.tpe import TPE
from archwright.searchers.weights import LSWeights
from archwright.space import Space

SEARCHERS: Mapping[str, type[Searcher]] = {
    "random": RandomSearch,
    "ls": LocalSearch,
    "ls-best": BestImprove,
    "ls-worst": WorstImprove,
    "lsweights": LSWeights,
    "lspon": LSPON,
    "ls-gp": LSGP,
    "bananas": Bananas,
    "ensemble-bo": EnsembleBO,
    "ensemble-bo-thesis": EnsembleBOThesis,
    "hyperband": Hyperband,
    "successive-halving": SuccessiveHalving,
    "tpe": TPE,
    "forest-bo": ForestBO,
    "gp-bo": GaussianProcessBO,
    "surrogate-bo": SurrogateBO,
    "dmls": DMLS,
    "rea": RegularizedEvolution,
    "freerea": FreeREA,
    "nsga2": NSGA2,
    "moead": MOEAD,
    "scalarised-ls": ScalarisedLS,
}


def searcher_options(name: str) -> dict[str, Any]:
    """The options of a searcher and their defaults.

    Raises:
        SettingsError: no searcher has this name.
    """
    if name not in SEARCHERS:
        raise SettingsError(unknown("searcher", name, SEARCHERS))
    parameters = inspect.signature(SEARCHERS[name]).parameters
    given = ("seed", "fidelities", "clues")
    return {p.name: p.default for p in parameters.values() if p.kind is p.KEYWORD_ONLY and p.name not in given}


def make_searcher(
    name: str,
    space: Space,
    goal: Goal,
    *,
    seed: int = 0,
    fidelities: Sequence[float] = (1.0,),
    clues: Clues | None = None,
    **options: Any,
) -> Searcher:
    """A searcher by its name on the command line.

    Args:
        name: one of :data:`SEARCHERS`.
        space, goal, seed: as of a :class:`Searcher`.
        fidelities: for searchers of several fidelities; the others only ask for full evaluations.
        clues: for searchers that take them; the others ignore them.
        options: of the searcher.

    Raises:
        SettingsError: unknown name or option, or a goal that the searcher cannot handle.
    """
    known = searcher_options(name)
    for option in options:
        if option not in known:
            raise SettingsError(f"searcher {name!r}: " + unknown("option", option, known or ["(it has none)"]))
    if SEARCHERS[name].several_fidelities:
        options["fidelities"] = tuple(fidelities)
    if SEARCHERS[name].takes_clues:
        options["clues"] = clues
    return SEARCHERS[name](space, goal, seed=seed, **options)


__all__ = [
    "DMLS",
    "LSGP",
    "LSPON",
    "MOEAD",
    "NSGA2",
    "SEARCHERS",
    "TPE",
    "Bananas",
    "BestImprove",
    "Clues",
    "EnsembleBO",
    "EnsembleBOThesis",
    "ForestBO",
    "FreeREA",
    "GaussianProcessBO",
    "Hyperband",
    "LSWeights",
    "LocalSearch",
    "RandomSearch",
    "RegularizedEvolution",
    "ScalarisedLS",
    "Searcher",
    "SuccessiveHalving",
    "SurrogateBO",
    "WorstImprove",
    "Worth",
    "dominates",
    "make_searcher",
    "searcher_options",
    "worth",
]
