"""What every evaluator must do."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import cloudpickle
import pytest

from archwright.evaluation import Evaluation
from archwright.space import Architecture

MEASURED = ("seconds", "latency_ms", "latency_spread_ms", "throughput", "peak_memory_mb")
"""Metrics of a run, which differ from one to the next."""


class Evaluator(Protocol):
    """What the kit tests."""

    def __call__(
        self,
        architecture: Architecture,
        *,
        fidelity: float = 1.0,
        seed: int = 0,
        on_epoch: Callable[[int, Mapping[str, float]], bool] | None = None,
    ) -> Evaluation:
        """Evaluate."""
        ...


def repeatable(evaluation: Evaluation) -> tuple[Any, ...]:
    """What must be equal when an evaluation is repeated with its seed."""

    def kept(metrics: Mapping[str, float]) -> dict[str, float]:
        return {name: value for name, value in metrics.items() if name.removesuffix("_std") not in MEASURED}

    curve = [kept(point) for point in evaluation.curve]
    return evaluation.status, kept(evaluation.metrics), curve, evaluation.fidelity, evaluation.cost


class EvaluatorContract:
    """Inherit and give the fixtures ``evaluator``, ``architecture`` (a good one) and ``objective`` (a metric's name).

    ``broken``, an architecture that cannot be evaluated, may be given too. An evaluator that trains should train for
    two epochs at least.
    """

    @pytest.fixture
    def evaluator(self) -> Evaluator:
        raise NotImplementedError("give a fixture evaluator")

    @pytest.fixture
    def architecture(self) -> Architecture:
        raise NotImplementedError("give a fixture architecture")

    @pytest.fixture
    def objective(self) -> str:
        raise NotImplementedError("give a fixture objective")

    @pytest.fixture
    def broken(self) -> Architecture | None:
        return None

    def test_a_good_architecture_has_finite_metrics(
        self, evaluator: Evaluator, architecture: Architecture, objective: str
    ) -> None:
        evaluation = evaluator(architecture)
        assert evaluation.status == "ok", evaluation.reason
        assert objective in evaluation.metrics
        assert all(math.isfinite(value) for value in evaluation.metrics.values())
        assert evaluation.fidelity == 1.0
        assert evaluation.cost > 0
        assert evaluation.seconds >= 0

    def test_the_same_seed_gives_the_same_evaluation(self, evaluator: Evaluator, architecture: Architecture) -> None:
        assert repeatable(evaluator(architecture, seed=4)) == repeatable(evaluator(architecture, seed=4))

    def test_it_works_the_same_in_another_process(self, evaluator: Evaluator, architecture: Architecture) -> None:
        sent: Evaluator = cloudpickle.loads(cloudpickle.dumps(evaluator))
        assert repeatable(sent(architecture, seed=4)) == repeatable(evaluator(architecture, seed=4))

    def test_less_fidelity_costs_no_more(self, evaluator: Evaluator, architecture: Architecture) -> None:
        assert evaluator(architecture, fidelity=0.5).cost <= evaluator(architecture).cost

    def test_an_evaluation_survives_json(self, evaluator: Evaluator, architecture: Architecture) -> None:
        evaluation = evaluator(architecture)
        assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json()))) == evaluation

    def test_epochs_are_told_in_order_and_can_be_stopped(
        self, evaluator: Evaluator, architecture: Architecture, objective: str
    ) -> None:
        told: list[int] = []

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> bool:
            assert objective in metrics
            told.append(epoch)
            return False

        whole = evaluator(architecture, seed=1)
        stopped = evaluator(architecture, seed=1, on_epoch=on_epoch)
        assert stopped.status == "ok"
        if len(whole.curve) < 2:
            assert len(told) <= 1
            return
        assert told == [1]
        assert stopped.fidelity < 1.0
        assert stopped.cost < whole.cost
        assert stopped.reason

    def test_what_is_broken_fails_on_one_line_and_never_raises(
        self, evaluator: Evaluator, broken: Architecture | None
    ) -> None:
        if broken is None:
            pytest.skip("nothing broken was given")
        evaluation = evaluator(broken)
        assert evaluation.status == "failed"
        assert evaluation.reason
        assert "\n" not in evaluation.reason
