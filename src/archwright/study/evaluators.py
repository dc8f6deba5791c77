"""Which evaluator a search gets, and what of it is stored with the study."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import SettingsError
from archwright.evaluation import Goal, Objective
from archwright.families import Family
from archwright.searchers import SEARCHERS, Clues, searcher_options
from archwright.study.executors import Evaluator, Workers
from archwright.study.function import FunctionEvaluator
from archwright.study.stopping import Budget

if TYPE_CHECKING:
    from archwright.data import Data
    from archwright.evaluate import NetworkEvaluator, Training
    from archwright.evaluate.untrained import ProxyEvaluator

Described = dict[str, Any]
"""What an evaluator adds to the settings of a study."""


@dataclass(frozen=True)
class Trainings:
    """How candidates are to be trained, as :func:`archwright.search` was asked.

    Attributes:
        data, training, epochs, device, repeats, workers, latency_from, processes: see there.
        amounts: see :func:`~archwright.study.choosing.checked_amounts`.
    """

    data: Any
    training: Training | Mapping[str, Any] | None
    epochs: int | None
    device: str
    repeats: int
    workers: Workers
    amounts: Sequence[float] | None
    latency_from: str | Path | None
    processes: int = 1


def make_evaluator(
    function: Callable[..., Any] | None,
    scores: str | None,
    family: Family,
    goal: Goal,
    how: Trainings,
    *,
    batch: int | None,
    seed: int,
) -> tuple[Evaluator, Described]:
    """The evaluator of a search: a function of the user's, scores of untrained networks, or trainings."""
    if function is not None:
        return function_evaluator(function, goal, how)
    if scores is not None:
        return proxy_evaluator(scores, family, goal, how, 64 if batch is None else batch, seed)
    return network_evaluator(family, goal, how)


def function_evaluator(function: Callable[..., Any], goal: Goal, how: Trainings) -> tuple[Evaluator, Described]:
    """An evaluator from a function of the user's.

    Raises:
        SettingsError: a device profile or several processes, which go with trainings.
    """
    if how.processes != 1:
        raise SettingsError("processes share trainings of ours; a function of your own can start some itself")
    if how.latency_from is not None:
        raise SettingsError(
            "latency_from goes with trainings of ours; a function of your own says itself what latency is"
        )
    _check_signature(function, bool(how.amounts))
    made = FunctionEvaluator(function, goal.objectives[0].metric, how.amounts[-1] if how.amounts else None)
    named: Described = {"data": None, "training": None, "function": getattr(function, "__name__", "function")}
    return made, named | ({"fidelities": list(how.amounts)} if how.amounts else {})


def _check_signature(function: Callable[..., Any], fidelities: bool) -> None:
    """Refuse a function that cannot be called as it will be.

    Raises:
        SettingsError: it takes other arguments.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of some built-in functions nothing is known
        return
    try:
        signature.bind(None, **({"fidelity": 1.0} if fidelities else {}))
    except TypeError as error:
        called = "evaluate(architecture, fidelity=amount)" if fidelities else "evaluate(architecture)"
        raise SettingsError(
            f"the evaluation is called as {called}, and {getattr(function, '__name__', 'it')}{signature} cannot be: {error}"
        ) from None


def network_evaluator(family: Family, goal: Goal, how: Trainings) -> tuple[NetworkEvaluator, Described]:
    """An evaluator that trains.

    Raises:
        SettingsError: no data, or a device profile without use.
        ArchwrightError: data, family, training or profile that cannot be used.
    """
    if how.latency_from is not None and "latency_ms" not in goal.metrics:
        raise SettingsError(
            "latency_from predicts latency_ms, which is neither an objective nor a bound of this search"
        )
    if how.data is None:
        raise SettingsError("a search needs data= (a name, a path, arrays or a data set), or evaluate=")
    from archwright.data import load_data
    from archwright.evaluate import NetworkEvaluator, Training
    from archwright.evaluate.devices import resolve_device
    from archwright.evaluate.ranks import warn_of_crowding
    from archwright.hardware.profile import load_profile

    training = how.training if isinstance(how.training, Training) else Training.from_json(how.training or {})
    if how.epochs is not None:
        training = replace(training, epochs=how.epochs)
    loaded: Data = load_data(how.data)
    profile = None if how.latency_from is None else load_profile(how.latency_from)
    made = NetworkEvaluator(
        family,
        loaded,
        training,
        goal,
        device=how.device,
        repeats=how.repeats,
        time_limit=how.workers.time_limit,
        latency=profile,
        processes=how.processes,
    )
    made.check()
    warn_of_crowding(max(1, how.workers.count), how.processes, resolve_device(how.device))
    described: Described = {
        "data": loaded.description() | {"fingerprint": loaded.fingerprint},
        "training": training.to_json(),
        "repeats": how.repeats,
    }
    if profile is not None:
        described["latency"] = {
            "predicted_for": profile.name,
            "batch_size": profile.batch_size,
            "fingerprint": profile.fingerprint,
        }
    if how.amounts is not None:
        described["fidelities"] = list(how.amounts or range(1, training.epochs + 1))
    return made, described


def proxy_evaluator(
    scores: str, family: Family, goal: Goal, how: Trainings, batch: int, seed: int
) -> tuple[ProxyEvaluator, Described]:
    """An evaluator that scores untrained networks (``proxy:NAME,NAME``) and trains only at the end.

    Raises:
        SettingsError: a device profile, which goes with trainings; see also :func:`network_evaluator`.
    """
    from archwright.evaluate.untrained import ProxyEvaluator, final_goal, read_proxies, search_goal

    if how.latency_from is not None:
        raise SettingsError("a device profile goes with trainings; leave out latency_from, or evaluate proxy:NAME")
    names = read_proxies(scores)
    wanted = search_goal(names, goal)
    at_last = final_goal(goal)
    untimed = replace(how, repeats=1, workers=replace(how.workers, time_limit=None), amounts=None)
    networks, described = network_evaluator(family, at_last, untimed)
    made = ProxyEvaluator(networks, names, wanted, batch=batch, seed=seed, repeats=how.repeats)
    stored = {"proxies": list(names), "batch": batch, "seed": seed, "repeats": how.repeats, "goal": at_last.to_json()}
    return made, described | {"evaluate": stored}


def make_clues(
    clues: Sequence[str] | Clues,
    evaluator: Evaluator,
    searcher: str,
    batch: int,
    seed: int,
    study: Path | None,
    on_done: Callable[[int], None],
    family: Family,
    how: Trainings,
) -> tuple[Clues, Described]:
    """What a searcher may look at, and how it is stored with the settings.

    With a function of the user's as the evaluation, ``family`` builds the networks that named clues are scores of, on ``how.data``.

    Raises:
        SettingsError: the searcher takes none, unknown names, or names where no network is built.
    """
    from archwright.evaluate import NetworkEvaluator
    from archwright.evaluate.clues import FILE, NetworkClues, check_clues

    if not SEARCHERS[searcher].takes_clues:
        able = ", ".join(name for name, kind in SEARCHERS.items() if kind.takes_clues)
        raise SettingsError(f"{searcher} takes no clues; leave them out, or take one of {able}")
    if callable(clues):
        return clues, {"names": list(clues.names)}
    if isinstance(evaluator, FunctionEvaluator) and how.data is not None:
        built = replace(how, epochs=None, repeats=1, workers=Workers(), amounts=None)
        evaluator, _ = network_evaluator(family, Goal((Objective("accuracy", "maximize"),)), built)
    if not isinstance(evaluator, NetworkEvaluator):
        raise SettingsError(
            "clues by name are scores of untrained networks: with an evaluation of your own they need build= and data= too, and "
            "with scores as the evaluation there are none; or give an object with names and a call (archwright.searchers.Clues)"
        )
    names = check_clues(clues)
    made = NetworkClues(evaluator, names, batch, seed, None if study is None else study / FILE, on_done)
    return made, {"names": list(names), "batch": batch, "seed": seed}


def check_scores(scores: str | None, batch: int | None, searcher: str, budget: Budget, stop_early: bool) -> None:
    """Refuse what only makes sense with trainings where there are scores, and a batch for scores where there are none.

    Raises:
        SettingsError: it was asked for.
    """
    searcher_options(searcher)
    if scores is None:
        if batch is not None:
            raise SettingsError("a batch for proxies goes with evaluate proxy:NAME; leave it out")
        return
    if SEARCHERS[searcher].several_fidelities:
        raise SettingsError(f"{searcher} varies the length of trainings, and scores of untrained networks have none")
    if stop_early:
        raise SettingsError("scoring untrained networks has no epochs to stop at; leave out stopping early")
    if budget.equivalents is not None:
        raise SettingsError("scores cost no trainings; limit their number or the time in place of full equivalents")


def let_inherit(
    evaluator: Evaluator,
    study: str | Path | None,
    inherit: bool,
    epochs: int | None,
    varied: bool,
) -> dict[str, Any]:
    """Prepare the evaluator for inheritance; returns what it adds to the settings.

    Args:
        evaluator: of the search.
        study: its folder, in which weights are kept.
        inherit, epochs: what was asked for.
        varied: whether trainings differ in length, or are stopped.

    Raises:
        SettingsError: it does not go with the rest.
    """
    from archwright.evaluate import NetworkEvaluator

    if not inherit:
        raise SettingsError("epochs of trainings that inherit weights need inherit (--inherit)")
    if not isinstance(evaluator, NetworkEvaluator):
        raise SettingsError("weights are inherited in trainings of ours; they do not go with a function of your own")
    if study is None:
        raise SettingsError("inherited weights are kept in the study's folder; name one with study=")
    if varied:
        raise SettingsError(
            "a training that inherits weights cannot be compared epoch by epoch with one that does not; leave out "
            "inheritance, or stopping early and searchers of several fidelities"
        )
    full = evaluator.training.epochs
    if epochs is not None and not 1 <= epochs <= full:
        raise SettingsError(f"trainings that inherit weights take 1 to {full} epochs, not {epochs}")
    evaluator.weights, evaluator.inherit_epochs = (Path(study) / "weights").absolute(), epochs
    return {"inherit": True if epochs is None else epochs}
