"""Which evaluator a search gets, and what of it is stored with the study."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.families import Family
from archwright.searchers import SEARCHERS, Clues, searcher_options
from archwright.space import Architecture
from archwright.study.executors import Evaluator
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
        data, training, epochs, device, repeats, time_limit, latency_from, processes: see there.
        amounts: see :func:`checked_amounts`.
    """

    data: Any
    training: Training | Mapping[str, Any] | None
    epochs: int | None
    device: str
    repeats: int
    time_limit: float | None
    amounts: Sequence[float] | None
    latency_from: str | Path | None
    processes: int = 1


@dataclass
class FunctionEvaluator:
    """Evaluates with a function of the user's: ``function(architecture)`` gives a number or metrics by name.

    Where ``full`` is given it is called as ``function(architecture, fidelity=amount)``, ``full`` for a full evaluation.
    """

    function: Callable[..., float | Mapping[str, float]]
    metric: str
    full: float | None = None

    def __call__(
        self, architecture: Architecture, *, fidelity: float = 1.0, seed: int = 0, on_epoch: Any = None
    ) -> Evaluation:
        """Call the function; what it raises makes the evaluation a failed one."""
        started = time.perf_counter()
        try:
            more = {} if self.full is None else {"fidelity": fidelity * self.full}
            value = self.function(architecture, **more)
            metrics = dict(value) if isinstance(value, Mapping) else {self.metric: value}
            metrics = {str(name): _as_number(str(name), number) for name, number in metrics.items()}
        except _NoNumberError as error:
            spent = time.perf_counter() - started
            return Evaluation(status="failed", reason=str(error), fidelity=fidelity, cost=fidelity, seconds=spent)
        except Exception as error:
            reason = f"the evaluation raised {type(error).__name__}: {error}".split("\n")[0]
            spent = time.perf_counter() - started
            return Evaluation(status="failed", reason=reason, fidelity=fidelity, cost=fidelity, seconds=spent)
        return Evaluation(metrics, fidelity=fidelity, cost=fidelity, seconds=time.perf_counter() - started)


class _NoNumberError(Exception):
    """A function gave something else than a number."""


def _as_number(name: str, value: Any) -> float:
    """Also of a 0-dimensional array or tensor; text is none, even if it reads like one."""
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        shown = repr(value).replace("\n", " ")
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        raise _NoNumberError(
            f"the evaluation gave {shown} as {name}; it must give a number, or a mapping of names to numbers"
        ) from None


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
        time_limit=how.time_limit,
        latency=profile,
        processes=how.processes,
    )
    made.check()
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
    networks, described = network_evaluator(family, at_last, replace(how, repeats=1, time_limit=None, amounts=None))
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
        built = replace(how, epochs=None, repeats=1, time_limit=None, amounts=None)
        evaluator, _ = network_evaluator(family, Goal((Objective("accuracy", "maximize"),)), built)
    if not isinstance(evaluator, NetworkEvaluator):
        raise SettingsError(
            "clues by name are scores of untrained networks: with an evaluation of your own they need build= and data= too, and "
            "with scores as the evaluation there are none; or give an object with names and a call (archwright.searchers.Clues)"
        )
    names = check_clues(clues)
    made = NetworkClues(evaluator, names, batch, seed, None if study is None else study / FILE, on_done)
    return made, {"names": list(names), "batch": batch, "seed": seed}


def make_budget(
    searcher: str,
    evaluations: int | None,
    equivalents: float | None = None,
    seconds: float | None = None,
    fidelities: Sequence[float] | None = None,
) -> Budget:
    """A budget in which short evaluations count by their share, where the searcher asks for such.

    Raises:
        SettingsError: an unknown searcher, no limit, or one that is not positive.
    """
    searcher_options(searcher)
    if _several(searcher, fidelities) and evaluations is not None:
        equivalents = min(float(evaluations), math.inf if equivalents is None else equivalents)
        evaluations = None
    return Budget(evaluations, equivalents, seconds)


def _several(searcher: str, fidelities: Sequence[float] | None) -> bool:
    """Whether evaluations differ in length."""
    kind = SEARCHERS[searcher]
    return kind.several_fidelities and (fidelities is not None or not kind.fidelities_are_optional)


def checked_amounts(
    searcher: str, fidelities: Sequence[float] | None, epochs: int | None, evaluate: Any, stop_early: bool
) -> Sequence[float] | None:
    """What the user says of fidelities, checked; empty for all epochs, ``None`` for a searcher that has no use for them.

    Raises:
        SettingsError: they do not go with the searcher, the epochs or the evaluation.
    """
    searcher_options(searcher)
    kind = SEARCHERS[searcher]
    several = _several(searcher, fidelities)
    if not kind.several_fidelities and fidelities is not None:
        able = ", ".join(name for name, kind in SEARCHERS.items() if kind.several_fidelities)
        raise SettingsError(f"{searcher} evaluates everything in full; for fidelities take one of {able}")
    if several and stop_early:
        raise SettingsError(f"{searcher} decides itself what is trained on; leave out stopping early")
    if several and evaluate is not None and fidelities is None:
        raise SettingsError(
            f"{searcher} needs fidelities=(small, ..., full), and evaluate(architecture, fidelity=...) that heeds them"
        )
    if not several:
        return None
    if fidelities is None:
        return ()
    if not fidelities or list(fidelities) != sorted(set(fidelities)) or not fidelities[0] > 0:
        raise SettingsError(f"fidelities must be positive and ascending, not {list(fidelities)}")
    if evaluate is None and any(amount != int(amount) for amount in fidelities):
        raise SettingsError(f"fidelities are whole epochs, not {list(fidelities)}")
    if evaluate is None and epochs not in (None, fidelities[-1]):
        raise SettingsError(f"the last of the fidelities is a full training: {fidelities[-1]:g} epochs, not {epochs}")
    return fidelities


def refuse_for_scores(searcher: str, budget: Budget, stop_early: bool) -> None:
    """Refuse what only makes sense with trainings.

    Raises:
        SettingsError: it was asked for.
    """
    searcher_options(searcher)
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
