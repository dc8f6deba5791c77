"""``archwright.search``: the main job in one call. The command line goes through here too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.families import Family, family_from, get_family
from archwright.searchers import Clues
from archwright.space import Architecture, Space
from archwright.study.choosing import checked_amounts, choose_searcher, make_budget
from archwright.study.evaluators import Trainings, check_scores, let_inherit, make_clues, make_evaluator
from archwright.study.executors import Workers
from archwright.study.goals import make_goal
from archwright.study.job import Job
from archwright.study.loop import Silent, Watcher
from archwright.study.result import Result
from archwright.study.stopping import Budget
from archwright.study.torchrun import led, wanted_processes

if TYPE_CHECKING:
    from torch import nn

    from archwright.evaluate import Training
    from archwright.study.final import FinalSettings


@led
def search(
    space: Space | Family | str | Path,
    build: Callable[..., nn.Module] | None = None,
    *,
    data: Any = None,
    objectives: str | Sequence[str] | Mapping[str, str] | Goal = "accuracy",
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    evaluate: Callable[..., float | Mapping[str, float]] | str | None = None,
    proxy_batch: int | None = None,
    fidelities: Sequence[float] | None = None,
    searcher: str | None = None,
    searcher_options: Mapping[str, Any] | None = None,
    budget: int | Budget = 50,
    epochs: int | None = None,
    training: Training | Mapping[str, Any] | None = None,
    study: str | Path | None = None,
    storage: str | None = None,
    seed: int = 0,
    workers: int = 0,
    threads: int | None = None,
    device: str = "auto",
    latency_from: str | Path | None = None,
    time_limit: float | None = None,
    stop_early: bool = False,
    repeats: int = 1,
    processes: int | None = None,
    replicate: bool = False,
    inherit: bool = False,
    inherit_epochs: int | None = None,
    clues: Sequence[str] | Clues | None = None,
    clue_batch: int = 64,
    warm_start: str | Path | Iterable[Architecture | Mapping[str, Any]] | None = None,
    final: FinalSettings | None = None,
    watcher: Watcher | None = None,
    final_watcher: Watcher | None = None,
    command: Sequence[str] | None = None,
) -> Result:
    """Find a network: search, retrain the best, test, export and keep everything in a study.

    The same call again continues the study where it stopped; a larger budget prolongs it.

    Args:
        space: a :class:`~archwright.space.Space` (with ``build``), a family, its name, or a path to a file
            with ``space`` and ``build``.
        build: ``(architecture, input_shape, num_classes) -> nn.Module``, for a space.
        data: whatever :func:`archwright.data.load_data` takes: a name, a path, arrays, a torch data set, ...
            It is split with a seed of its own, so that searches with other seeds share their test images.
        objectives, at_most, at_least: see :func:`make_goal`.
        evaluate: your own evaluation, instead of training on ``data``: ``architecture -> number or metrics``. Or
            ``"proxy:NAME,NAME"``: scores of untrained networks are the objectives, see
            :class:`~archwright.evaluate.untrained.ProxyEvaluator`; of ``objectives`` those that need no training join them,
            the others (accuracy by default) choose among the candidates that are trained at the end.
        proxy_batch: training examples that networks are scored on, 64 by default.
        fidelities: for searchers of several fidelities, such as ``hyperband``: what an evaluation may have, ascending,
            the last is a full one. Epochs, by default all up to ``epochs``; for ``evaluate`` any amounts, which it then
            gets as ``evaluate(architecture, fidelity=amount)``.
        searcher, searcher_options: by name; see ``archwright list searchers``. By default that of the study, if it is continued;
            else ``ensemble-bo`` where networks are trained from scratch for one objective or ``fidelities`` are given, and
            ``rea`` otherwise (:func:`~archwright.study.choosing.choose_searcher`).
        budget: number of evaluations, or a :class:`~archwright.study.Budget`. A number counts short evaluations by
            their share.
        epochs: of each training in the search (a shorthand for ``training={"epochs": ...}``).
        training: how networks are trained, see :class:`~archwright.evaluate.Training`.
        study: folder to keep the study in; without one it is kept in memory and nothing is exported.
        storage: Optuna database URL, instead of an SQLite file in the folder.
        seed: of everything random.
        workers: worker processes; 0 evaluates in this process (nothing can be killed then).
        threads: of each worker; by default the cores divided among the workers.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        latency_from: a device profile (``archwright profile --measure-lut``) that predicts ``latency_ms``, which is
            then not measured.
        time_limit: seconds for one evaluation.
        stop_early: stop trials that are in the worse half at equal epochs.
        repeats: trainings per evaluation, averaged.
        processes: that share each training, one per GPU on CUDA. In a script that torchrun started, as many as it
            started by default: rank 0 searches then, and the others get its result (:mod:`archwright.study.torchrun`).
        inherit: start each training from the weights of the best finished trial that differs in one parameter. Scores of
            such trials owe something to their ancestors; the final training starts from scratch. Needs ``study``.
        inherit_epochs: of trainings that start so; ``epochs`` by default.
        clues: what a searcher that takes them (``archwright list searchers``) may look at before it pays for a training: names
            of proxies, ``params``, ``flops`` or ``skip`` (:class:`~archwright.evaluate.clues.NetworkClues`; ``-NAME`` where less
            is better), or an object of your own (:class:`~archwright.searchers.Clues`). Names go with ``evaluate`` too, where
            ``build`` and ``data`` say what to score.
        clue_batch: training examples that clues are scored on.
        replicate: evaluate a repeated architecture anew instead of answering from the cache.
        warm_start: a study's folder, a JSON file with architectures, or architectures, to evaluate first.
        final: what happens at the end, see :class:`~archwright.study.final.FinalSettings`.
        watcher, final_watcher: are told of progress.
        command: the command line to store, for the report.

    Raises:
        ArchwrightError: a mistake in what was asked for; nothing has been evaluated then.
    """
    from archwright.study.final import FinalSettings

    crew = Workers(workers, threads, time_limit)
    scores = evaluate if isinstance(evaluate, str) and evaluate != "train" else None
    function = None if isinstance(evaluate, str) else evaluate
    goal = make_goal(objectives, at_most=at_most, at_least=at_least, free_names=function is not None)
    family = _family(space, build, function)
    trains = function is None and scores is None and not inherit
    searcher = searcher or choose_searcher(goal, trains=trains, fidelities=fidelities, study=study)
    limits = budget if isinstance(budget, Budget) else make_budget(searcher, budget, fidelities=fidelities)
    check_scores(scores, proxy_batch, searcher, limits, stop_early)
    amounts = checked_amounts(searcher, fidelities, epochs, function, stop_early)
    if amounts and function is None:
        epochs = int(amounts[-1])
    processes = 1 if function is not None and processes is None else wanted_processes(processes)
    how = Trainings(data, training, epochs, device, repeats, crew, amounts, latency_from, processes)
    evaluator, described = make_evaluator(function, scores, family, goal, how, batch=proxy_batch, seed=seed)
    path = None if study is None else Path(study)
    if inherit or inherit_epochs is not None:
        described |= let_inherit(evaluator, study, inherit, inherit_epochs, stop_early or amounts is not None)
    looked_at = None
    if clues is not None:
        scored = (watcher or Silent()).scored
        looked_at, described["clues"] = make_clues(
            clues, evaluator, searcher, clue_batch, seed, path, scored, family, how
        )
    job = Job(
        family=family,
        goal=getattr(evaluator, "goal", goal),  # scores are objectives of their own
        evaluator=evaluator,
        described={**described, "device": device, "processes": processes, "command": list(command or [])},
        path=path,
        storage=storage,
        budget=limits,
        seed=seed,
        workers=crew,
        stop_early=stop_early,
        searcher=searcher,
        searcher_options=dict(searcher_options or {}),
        fidelities=_shares(described.get("fidelities", [1])),
        replicate=replicate,
        clues=looked_at,
        given=_given(warm_start, family.space),
        final=final or FinalSettings(),
        watcher=watcher or Silent(),
        final_watcher=final_watcher or Silent(),
    )
    return job.run()


def _family(space: Space | Family | str | Path, build: Any, evaluate: Any) -> Family:
    if isinstance(space, Family):
        return space
    if isinstance(space, (str, Path)):
        return get_family(space)
    if build is None and evaluate is None:
        raise SettingsError(
            "a space needs build=, which makes its networks, or evaluate=, which says what they are worth"
        )
    return family_from(space, build or _no_network)


def _no_network(*_: Any) -> nn.Module:
    raise SettingsError("this space has no build function")


def _shares(amounts: Sequence[float]) -> tuple[float, ...]:
    return tuple(amount / amounts[-1] for amount in amounts)


def _given(source: str | Path | Iterable[Architecture | Mapping[str, Any]] | None, space: Space) -> list[Architecture]:
    """Architectures to start from.

    Raises:
        SettingsError: the source cannot be read, or holds something that the space does not have.
    """
    if source is None:
        return []
    if isinstance(source, (str, Path)):
        from archwright.study.warm_start import read_architectures

        source = read_architectures(Path(source))
    given = [a if isinstance(a, Architecture) else Architecture(a) for a in source]
    for architecture in given:
        problems = space.problems(architecture)
        if problems:
            raise SettingsError(f"warm start: {architecture} is not in the space: {problems[0]}")
    return given
