"""An evaluator that scores networks instead of training them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from archwright.errors import ArchwrightError, SettingsError, unknown
from archwright.evaluate.attempt import explain
from archwright.evaluate.devices import derived_seed, resolve_device, seeded
from archwright.evaluate.metrics import METRICS
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.families import check_output
from archwright.space import Architecture, mean_skip

if TYPE_CHECKING:
    from torch import Tensor

    from archwright.evaluate.network import NetworkEvaluator
    from archwright.evaluate.training import OnEpoch

PREFIX = "proxy:"
SKIP, HYBRID = "skip", "hybrid"
PARTS = {"logsynflow": 0.5, "nwot": 1.5}
"""What ``hybrid`` is made of, and its weights (Poeta 2023)."""
POOL = 32
"""Random architectures whose largest scores are the scale of ``hybrid``."""


@dataclass
class ProxyEvaluator:
    """Scores of untrained networks as metrics.

    All networks are scored on the same training examples, from initial weights of the same seed, so that a network has one
    score whenever it is asked for. ``skip`` is FreeREA's metric of the cell. ``hybrid`` is
    ``0.5 logsynflow / L + 1.5 nwot / N`` (Poeta 2023, without its condition, which demotes the architecture with the highest
    logsynflow of whatever set is looked at). There L and N are maxima over the set; here they are those of
    32 random architectures scored before the search (:meth:`prepare`), so that a value does not change while the search goes
    on.

    Attributes:
        networks: builds networks, and trains the best of the search at its end. Costs and bounds of its goal that need no
            training are measured here too.
        proxies: names, as of :func:`archwright.proxies.score`, ``skip`` or ``hybrid``.
        goal: of the search, see :func:`search_goal`.
        batch: training examples.
        seed: of the examples and the initial weights.
        repeats: initialisations, of which the mean is taken.
        reference: L and N.

    Raises:
        SettingsError: an unknown proxy, ``skip`` where there is no cell, or a number below 1.
    """

    networks: NetworkEvaluator
    proxies: tuple[str, ...]
    goal: Goal
    batch: int = 64
    seed: int = 0
    repeats: int = 1
    reference: Mapping[str, float] = field(default_factory=dict)
    _batch: tuple[Tensor, Tensor] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        proxy_objectives(self.proxies)
        if self.batch < 1 or self.repeats < 1:
            raise SettingsError(f"the batch and repeats must be at least 1, not {self.batch} and {self.repeats}")
        if SKIP in self.proxies and not self.networks.family.space.cells:
            raise SettingsError(
                f"skip is a metric of cell graphs, and the family {self.networks.family.name!r} has none; leave it out"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_batch": None}

    def __call__(
        self, architecture: Architecture, *, fidelity: float = 1.0, seed: int = 0, on_epoch: OnEpoch | None = None
    ) -> Evaluation:
        """Score; what goes wrong with the candidate makes a ``failed`` evaluation and is never raised.

        Args:
            architecture: what to build.
            fidelity, seed, on_epoch: of trainings; they change nothing.
        """
        started = time.monotonic()
        costs: dict[str, float] = {}
        try:
            network = self._network(architecture, 0)
            costs = self.networks.costs(network)
            broken = "; ".join(self.goal.broken(costs))
            if broken:
                return Evaluation(costs, "infeasible", broken, seconds=time.monotonic() - started)
            scores = self._scores(architecture, network)
        except (Exception, SystemExit) as error:
            reason = explain("scoring", error, self.networks.family.source)
            return Evaluation(costs, "failed", reason, seconds=time.monotonic() - started)
        return Evaluation(costs | scores, seconds=time.monotonic() - started)

    def prepare(self, stored: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Set the scale of ``hybrid``: the one that the study has stored, or that of random architectures.

        Raises:
            SettingsError: none of them could be scored.
        """
        if HYBRID in self.proxies:
            self.reference = dict(stored) if stored else self._reference()
        return self.reference

    def warm_up(self) -> None:
        """Nothing that takes long is done once."""

    def _network(self, architecture: Architecture, repeat: int) -> nn.Module:
        seed = derived_seed(self.seed, repeat)
        network = self.networks.build(architecture, seed=seed)
        check_output(network, self.networks.data.input_shape, self.networks.data.num_classes)
        return network

    def _scores(self, architecture: Architecture, network: nn.Module) -> dict[str, float]:
        """Of every proxy, and of what ``hybrid`` is made of."""
        names = [n for n in dict.fromkeys(self._parts()) if n != SKIP]
        rows = [self._measured(network, names, 0)] if names else []
        rows += [self._measured(self._network(architecture, r), names, r) for r in range(1, self.repeats) if names]
        found = {name: float(np.mean([row[name] for row in rows])) for name in names}
        if SKIP in self.proxies:
            space = self.networks.family.space
            found[SKIP] = float(mean_skip(space, space.codes([architecture]))[0])
        if HYBRID in self.proxies:
            found[HYBRID] = sum(weight * found[name] / self.reference[name] for name, weight in PARTS.items())
        return found

    def _parts(self) -> Iterable[str]:
        for name in self.proxies:
            yield from PARTS if name == HYBRID else (name,)

    def _measured(self, network: nn.Module, names: list[str], repeat: int) -> dict[str, float]:
        from archwright.proxies import score

        with seeded(derived_seed(self.seed, repeat, 1), resolve_device(self.networks.device)):
            found = score(network, self._examples(), names)
        for name in names:
            if not math.isfinite(found.values[name]):
                raise _NoScoreError(f"{name}: {found.reasons.get(name) or found.values[name]}")
        return {name: float(found.values[name]) for name in names}

    def _examples(self) -> tuple[Tensor, Tensor]:
        if self._batch is None:
            self._batch = examples(self.networks, self.batch, self.seed)
        return self._batch

    def _reference(self) -> dict[str, float]:
        rng = np.random.default_rng([self.seed, 5])
        scored: list[dict[str, float]] = []
        last = ""
        for architecture in dict.fromkeys(self.networks.family.space.sample(rng, POOL)):
            try:
                scored.append(self._measured(self._network(architecture, 0), list(PARTS), 0))
            except (Exception, SystemExit) as error:
                last = explain("scoring", error, self.networks.family.source)
        if not scored:
            raise SettingsError(f"hybrid needs a scale, and none of {POOL} random networks could be scored: {last}")
        found = {name: max(scores[name] for scores in scored) for name in PARTS}
        for name, largest in found.items():
            if largest <= 0:
                raise SettingsError(
                    f"hybrid cannot be scaled: the largest {name} of {POOL} random networks is {largest:g}"
                )
        return found


def examples(networks: NetworkEvaluator, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs and labels of ``count`` examples, drawn from the training split by the seed."""
    training, _ = networks.splits()
    order = np.random.default_rng([seed, 4]).permutation(len(training))[:count]
    index = training.targets.new_tensor(np.sort(order))
    return training.prepared(index), training.targets[index]


class _NoScoreError(ArchwrightError):
    """Ends an evaluation; the message is the reason."""


def read_proxies(text: str) -> tuple[str, ...]:
    """``proxy:logsynflow,nwot`` as ``("logsynflow", "nwot")``.

    Raises:
        SettingsError: another form, an unknown name, or one that is there twice.
    """
    if not text.startswith(PREFIX):
        raise SettingsError(
            f"evaluate is train, or {PREFIX}NAME,NAME,... for scores of untrained networks, not {text!r}"
        )
    names = tuple(name.strip() for name in text[len(PREFIX) :].split(",") if name.strip())
    if not names:
        raise SettingsError(f"name at least one score, such as {PREFIX}logsynflow")
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{PREFIX} names {name!r} twice")
    proxy_objectives(names)
    return names


def proxy_objectives(names: Iterable[str]) -> tuple[Objective, ...]:
    """Scores as objectives: maximised, but for those of which less is better.

    Raises:
        SettingsError: an unknown name, or a cost (``params``, ``flops``).
    """
    from archwright.proxies import PROXIES

    found = []
    for name in names:
        if name in (SKIP, HYBRID):
            found.append(Objective(name, "maximize"))
        elif name in METRICS:
            raise SettingsError(
                f"{name} is measured without a score; name it as an objective (--maximize {name}) beside one"
            )
        elif name in PROXIES:
            found.append(Objective(name, "minimize" if PROXIES[name].sign < 0 else "maximize"))
        else:
            raise SettingsError(unknown("proxy", name, [*PROXIES, SKIP, HYBRID]))
    return tuple(found)


def search_goal(proxies: Iterable[str], goal: Goal) -> Goal:
    """The goal of a search without training: the scores, and what of ``goal`` needs no training."""
    costs = [o for o in goal.objectives if METRICS[o.metric].needs != "training"]
    bounds = tuple(b for b in goal.bounds if METRICS[b.metric].needs != "training")
    return Goal((*proxy_objectives(proxies), *costs), bounds)


def final_goal(goal: Goal) -> Goal:
    """The goal by which one of the fully trained candidates is chosen: ``goal``, with accuracy where it names no such metric."""
    if any(METRICS[o.metric].needs == "training" for o in goal.objectives):
        return goal
    return Goal((Objective("accuracy", "maximize"), *goal.objectives), goal.bounds)
