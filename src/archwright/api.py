"""``archwright.search``: the main job in one call. The command line goes through here too."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import SettingsError, StudyError
from archwright.evaluation import Bound, Goal, Objective
from archwright.families import CATALOGUE, Family, family_from, family_spec, get_family
from archwright.searchers import SEARCHERS, Clues, make_searcher, searcher_options
from archwright.space import Architecture, Space
from archwright.study.choosing import choose_searcher
from archwright.study.conversation import Conversation
from archwright.study.evaluators import (
    Trainings,
    checked_amounts,
    function_evaluator,
    let_inherit,
    make_budget,
    make_clues,
    network_evaluator,
    proxy_evaluator,
    refuse_for_scores,
)
from archwright.study.executors import Evaluator, Executor, InProcess, Processes
from archwright.study.loop import Loop, Silent, Watcher
from archwright.study.record import StudyRecord, Trial, jsonable, write_json
from archwright.study.stopping import Budget, EarlyStopping
from archwright.study.storage import Store, save_settings
from archwright.study.torchrun import led, wanted_processes

if TYPE_CHECKING:
    from torch import nn

    from archwright.evaluate import NetworkEvaluator, Training
    from archwright.study.final import FinalSettings

LOOSE = ("budget", "workers", "threads", "device", "processes", "time_limit", "final", "command", "versions", "storage")
"""Settings that may change when a study is continued."""


@dataclass
class Result:
    """What a search found.

    Attributes:
        record: everything, read-only.
        reason: why the search ended.
        interrupted: whether the user stopped it.
        files: what was written, by kind (``study``, ``report``, ``model``, ``onnx``, ...).
    """

    record: StudyRecord
    reason: str = ""
    interrupted: bool = False
    files: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        """The best trial of the search (after retraining, the chosen one); ``None`` when none ended well."""
        final = self.record.final
        if final is not None:
            number = final["candidates"][final["winner"]]["number"]
            return next(t for t in self.record.trials if t.number == number)
        return self.record.best

    @property
    def pareto_front(self) -> list[Trial]:
        """The trials that no other one dominates."""
        return self.record.pareto

    @property
    def test(self) -> Mapping[str, float] | None:
        """Test metrics of the chosen network, with the ends of their intervals; ``None`` before retraining."""
        return None if self.record.final is None else self.record.final["test"]

    def model(self) -> nn.Module:
        """The trained network, ready to predict.

        Raises:
            ArchwrightError: nothing was retrained and exported.
        """
        from archwright.export import load

        family = self.record.family
        return load(self.record.path, build=lambda *of_what: family.deploy(family.build(*of_what)))

    def report(self, path: str | Path | None = None) -> list[Path]:
        """Write the report as one HTML file (by default ``report.html`` in the study's folder) and PNG figures."""
        from archwright.report import write_report

        return write_report(self.record, None if path is None else Path(path))

    def to_json(self) -> dict[str, Any]:
        """The summary that ``--json`` prints."""
        record = self.record
        best = self.best
        final = record.final or {}
        summary = {
            "study": str(record.path),
            "searcher": record.settings["searcher"]["name"],
            "family": record.family.name,
            "goal": record.goal.to_json(),
            "seed": record.settings["seed"],
            "evaluations": len(record.trials) - record.count("infeasible"),
            "failed": record.count("failed"),
            "infeasible": record.count("infeasible"),
            "stopped_early": sum(t.stopped_early for t in record.trials),
            "repeats": record.repeats,
            "equivalents": round(record.equivalents, 6),
            "best": None if best is None else best.to_json(),
            "pareto_front": [t.to_json() for t in record.pareto],
            "test": final.get("test"),
            "baselines": final.get("baselines", []),
            "reason": self.reason,
            "remarks": list(record.remarks),
            "interrupted": self.interrupted,
            "seconds": round(record.seconds + final.get("seconds", 0.0), 3),
            "files": self.files,
        }
        plain: dict[str, Any] = jsonable(summary)
        return plain


def make_goal(
    objectives: str | Sequence[str] | Mapping[str, str] | Goal = "accuracy",
    *,
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    free_names: bool = False,
) -> Goal:
    """A goal from plain words.

    Args:
        objectives: metric names, each in its natural direction (``["accuracy", "latency_ms"]``), or a mapping
            of name to ``"maximize"`` or ``"minimize"``.
        at_most, at_least: bounds by metric.
        free_names: metrics of a user's own function are allowed; they need a stated direction.

    Raises:
        SettingsError: unknown metric or direction.
    """
    if isinstance(objectives, Goal):
        return objectives
    from archwright.evaluate.metrics import METRICS, natural_direction

    named = [objectives] if isinstance(objectives, str) else objectives
    pairs = named.items() if isinstance(named, Mapping) else [(name, None) for name in named]
    wanted = []
    for name, direction in pairs:
        if direction is None and free_names and name not in METRICS:
            raise SettingsError(
                f"{name!r} is a metric of your own: say whether more is better, {{{name!r}: 'maximize'}}"
            )
        if direction is None:
            direction = natural_direction(name)
        if direction not in ("maximize", "minimize"):
            raise SettingsError(f"objective {name!r}: the direction must be maximize or minimize, not {direction!r}")
        wanted.append(Objective(name, "maximize" if direction == "maximize" else "minimize"))
    bounds = [Bound(name, "at_most", float(limit)) for name, limit in (at_most or {}).items()]
    bounds += [Bound(name, "at_least", float(limit)) for name, limit in (at_least or {}).items()]
    goal = Goal(tuple(wanted), tuple(bounds))
    if not free_names:
        for metric in goal.metrics:
            if metric not in METRICS:
                natural_direction(metric)
    return goal


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

    if workers < 0:
        raise SettingsError(f"workers must be 0 or more, not {workers}")
    if threads is not None and threads < 1:
        raise SettingsError(f"threads must be at least 1, not {threads}")
    scores = evaluate if isinstance(evaluate, str) and evaluate != "train" else None
    function = None if isinstance(evaluate, str) else evaluate
    goal = make_goal(objectives, at_most=at_most, at_least=at_least, free_names=function is not None)
    family = _family(space, build, function)
    trains = function is None and scores is None and not inherit
    searcher = searcher or choose_searcher(goal, trains=trains, fidelities=fidelities, study=study)
    budget = budget if isinstance(budget, Budget) else make_budget(searcher, budget, fidelities=fidelities)
    if scores is not None:
        refuse_for_scores(searcher, budget, stop_early)
    elif proxy_batch is not None:
        raise SettingsError("a batch for proxies goes with evaluate proxy:NAME; leave it out")
    amounts = checked_amounts(searcher, fidelities, epochs, function, stop_early)
    if amounts and function is None:
        epochs = int(amounts[-1])
    processes = 1 if function is not None and processes is None else wanted_processes(processes)
    how = Trainings(data, training, epochs, device, repeats, time_limit, amounts, latency_from, processes)
    evaluator: Evaluator
    if function is not None:
        evaluator, described = function_evaluator(function, goal, how)
    elif scores is None:
        evaluator, described = network_evaluator(family, goal, how)
    else:
        evaluator, described = proxy_evaluator(
            scores, family, goal, how, 64 if proxy_batch is None else proxy_batch, seed
        )
        goal = evaluator.goal
    job = _Job(
        family=family,
        goal=goal,
        evaluator=evaluator,
        path=None if study is None else Path(study),
        storage=storage,
        budget=budget,
        seed=seed,
        workers=workers,
        threads=threads,
        time_limit=time_limit,
        stop_early=stop_early,
        searcher=searcher,
        searcher_options=dict(searcher_options or {}),
        fidelities=_shares(described.get("fidelities", [1])),
        replicate=replicate,
        final=final or FinalSettings(),
        watcher=watcher or Silent(),
        final_watcher=final_watcher or Silent(),
    )
    if processes > 1:
        from archwright.evaluate.devices import resolve_device
        from archwright.evaluate.ranks import warn_of_crowding

        warn_of_crowding(max(1, workers), processes, resolve_device(device))
    if inherit or inherit_epochs is not None:
        described |= let_inherit(evaluator, study, inherit, inherit_epochs, stop_early or amounts is not None)
    if clues is not None:
        watched = job.watcher.scored
        job.clues, said = make_clues(clues, evaluator, searcher, clue_batch, seed, job.path, watched, family, how)
        described |= {"clues": said}
    given = _given(warm_start, family.space)
    return job.run(
        {
            **described,
            "warm_start": [a.to_json() for a in given],
            "device": device,
            "processes": processes,
            "command": list(command or []),
        },
        given,
    )


@dataclass
class _Job:
    """A search with all its parts made."""

    family: Family
    goal: Goal
    evaluator: Evaluator
    path: Path | None
    storage: str | None
    budget: Budget
    seed: int
    workers: int
    threads: int | None
    time_limit: float | None
    stop_early: bool
    searcher: str
    searcher_options: dict[str, Any]
    fidelities: tuple[float, ...]
    replicate: bool
    final: FinalSettings
    watcher: Watcher
    final_watcher: Watcher
    clues: Clues | None = None

    def run(self, described: Mapping[str, Any], given: list[Architecture]) -> Result:
        asked = self._settings(described)
        searcher = make_searcher(
            self.searcher,
            self.family.space,
            self.goal,
            seed=self.seed,
            fidelities=self.fidelities,
            clues=self.clues,
            **self.searcher_options,
        )
        conversation = Conversation(searcher, self.family.key, given, replicate=self.replicate)
        store = Store(self.path, self.storage)
        try:
            stored = store.open(asked, self.goal)
            if stored is not None:
                refuse_other_settings(stored, asked, self.path)
            self._prepare(store, asked)
            if self.path is not None:
                save_settings(self.path, asked)
                self._save_profile(self.path)
            executor = self._executor(self.evaluator)
            loop = Loop(
                space=self.family.space,
                goal=self.goal,
                conversation=conversation,
                store=store,
                executor=executor,
                budget=self.budget,
                seed=self.seed,
                fidelities=self.fidelities,
                repeats=int(described.get("repeats", 1)),
                early_stopping=self._early_stopping(),
                inherits="inherit" in described,
                watcher=self.watcher,
            )
            interrupted = False
            try:
                reason = loop.run()
            except KeyboardInterrupt:
                reason, interrupted = "stopped by the user", True
            remarks = tuple(searcher.remarks())
            store.set("remarks", remarks)
            record = StudyRecord(
                path=self.path or Path("."),
                settings=asked,
                goal=self.goal,
                family=self.family,
                trials=tuple(loop.trials),
                repeats=conversation.repeats,
                seconds=loop.seconds,
                remarks=remarks,
            )
            return self._conclude(record, reason, interrupted)
        finally:
            store.close()

    def _prepare(self, store: Store, asked: dict[str, Any]) -> None:
        """What scores are relative to is made once and kept in the study."""
        prepare = getattr(self.evaluator, "prepare", None)
        if prepare is not None and (reference := prepare(store.get("reference"))):
            store.set("reference", dict(reference))
            asked["evaluate"]["reference"] = dict(reference)

    def _save_profile(self, folder: Path) -> None:
        profile = getattr(self.evaluator, "latency", None)
        if profile is not None:
            from archwright.hardware.profile import STORED

            profile.save(folder / STORED)

    def _conclude(self, record: StudyRecord, reason: str, interrupted: bool) -> Result:
        """Retrain, export and report, as far as there is something to and a place to keep it."""
        result = Result(record, reason, interrupted)
        if self.path is None:
            return result
        from archwright.evaluate import NetworkEvaluator

        result.files["study"] = str(self.path)
        networks = getattr(self.evaluator, "networks", self.evaluator)
        if not interrupted and self.final.top and isinstance(networks, NetworkEvaluator):
            try:
                self._finish(result, networks)
            except KeyboardInterrupt:
                result.interrupted, result.reason = True, "stopped by the user while retraining"
        for file in result.report():
            if file.suffix == ".html":
                result.files["report"] = str(file)
        result.files["result"] = str(self.path / "result.json")
        write_json(self.path / "result.json", result.to_json())
        return result

    def _finish(self, result: Result, evaluator: NetworkEvaluator) -> None:
        from archwright.export import export_model
        from archwright.study.final import FinalStage, Retrainer

        assert self.path is not None
        retrainer = Retrainer(
            evaluator, self.final.training(evaluator.training), (self.path / "checkpoints").absolute()
        )
        stage = FinalStage(
            result.record, retrainer, self.final, self._executor, seed=self.seed, watcher=self.final_watcher
        )
        final = stage.run()
        if final is None:
            return
        result.record = replace(result.record, final=final)
        chosen = final["candidates"][final["winner"]]
        files = export_model(
            stage.winner_network(final),
            self.path / "model",
            family=self.family,
            architecture=Architecture(chosen["architecture"]),
            data=evaluator.data,
            metrics={"validation": chosen["validation"], "test": final["test"], "baselines": final["baselines"]},
            settings=dict(result.record.settings),
            onnx=self.final.onnx,
        )
        result.files |= {name: str(file) for name, file in files.items()}

    def _executor(self, evaluator: Evaluator) -> Executor:
        if self.workers == 0:
            return InProcess(evaluator)
        logs = None if self.path is None else self.path / "logs"
        if logs is not None:
            logs.mkdir(exist_ok=True)
        return Processes(evaluator, self.workers, time_limit=self.time_limit, threads=self.threads, logs=logs)

    def _early_stopping(self) -> EarlyStopping | None:
        if not self.stop_early:
            return None
        training = getattr(self.evaluator, "training", None)
        if training is None:
            raise SettingsError(
                "stopping early needs trainings with epochs; it does not go with a function of your own"
            )
        return EarlyStopping(self.goal, training.epochs)

    def _settings(self, described: Mapping[str, Any]) -> dict[str, Any]:
        options = searcher_options(self.searcher) | self.searcher_options
        settings = {
            "format": 1,
            "family": family_spec(self.family),
            "space": self.family.space.to_json(),
            "goal": self.goal.to_json(),
            "searcher": {"name": self.searcher, "options": options},
            "seed": self.seed,
            "stop_early": self.stop_early,
            "replicate": self.replicate,
            "budget": asdict(self.budget),
            "workers": self.workers,
            "threads": self.threads,
            "time_limit": self.time_limit,
            "storage": self.storage,
            "final": asdict(self.final),
            "versions": versions(),
            **described,
        }
        plain: dict[str, Any] = jsonable(settings)
        return plain


def refuse_other_settings(stored: Mapping[str, Any], asked: Mapping[str, Any], path: Path | None) -> None:
    """Compare the settings of a study with those asked for now.

    Raises:
        StudyError: they differ in something that makes evaluations incomparable.
    """
    stored = _with_new_options(stored)
    differing = []
    for name in sorted(set(stored) | set(asked)):
        if name not in LOOSE and stored.get(name) != asked.get(name):
            differing += _differences(name, stored.get(name), asked.get(name))
    if differing:
        shown = "; ".join(differing[:4]) + (f"; and {len(differing) - 4} more" if len(differing) > 4 else "")
        raise StudyError(
            f"the study {path} was made with other settings ({shown}); repeat them to continue it, or name another --study"
        )


def _with_new_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings, options that searcher and family have got since then at their defaults."""
    family, searcher = stored.get("family", {}), stored.get("searcher", {})
    filled = dict(stored)
    if searcher.get("name") in SEARCHERS:
        defaults = jsonable(searcher_options(searcher["name"]))
        filled["searcher"] = {**searcher, "options": {**defaults, **searcher.get("options", {})}}
    if family.get("kind") == "catalogue" and family.get("name") in CATALOGUE:
        defaults = jsonable(dict(CATALOGUE[family["name"]]().options))
        filled["family"] = {**family, "options": {**defaults, **family.get("options", {})}}
    return filled


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted(set(before) | set(now))
        pairs = [_differences(f"{name}.{k}", before.get(k), now.get(k)) for k in keys if before.get(k) != now.get(k)]
        return [line for lines in pairs for line in lines]
    return [f"{name} was {_short(before)}, now {_short(now)}"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def versions() -> dict[str, str]:
    """Versions of what an evaluation depends on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("archwright", "torch", "numpy", "optuna", "scikit-learn"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


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
