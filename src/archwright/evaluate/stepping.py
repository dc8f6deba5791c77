"""One step of a training: the loss, its gradients in the wanted precision, the optimiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.data import Data
from archwright.evaluate.optimizers import Average, make_optimizer
from archwright.evaluate.precision import Precision
from archwright.evaluate.settings import Training
from archwright.evaluate.team import Team


class Stepper:
    """Updates a network by batches.

    Attributes:
        optimizer: whose learning rate the caller sets.
        precision: of the forward pass.
        average: of the weights, where the training asks for one.
    """

    def __init__(
        self, network: nn.Module, data: Data, training: Training, device: torch.device, team: Team | None
    ) -> None:
        self.training = training
        self.team = team
        self.forward = network if team is None else team.wrap(network)
        self.precision = Precision(training.precision, device)
        self.optimizer = make_optimizer(network, training)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.average = Average(network, training.ema) if training.ema else None
        weights = torch.from_numpy(data.class_weights()).float().to(device)
        self.weights = weights if training.class_weights else None

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """One step of the optimiser; returns the batch's loss, on the device; in a team, what becomes it in the mean."""
        rows = None if self.team is None else self.team.rows(len(targets))
        if self.team is None or rows is None:
            loss = self._loss(self.precision.run(self.forward, inputs), targets)
        else:
            own = self._loss(self.precision.run(self.forward, inputs[rows]), targets[rows])
            loss = own * (self.team.size * self._weight(targets[rows]) / self._weight(targets))
        scaler, clip = self.precision.scaler, self.training.gradient_clip
        if scaler is None:
            torch.autograd.backward(loss)
        else:
            torch.autograd.backward(scaler.scale(loss))
        if clip:
            if scaler is not None:
                scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, clip)
        if scaler is None:
            self.optimizer.step()
        else:
            scaler.step(self.optimizer)
            scaler.update()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update()
        return loss.detach()

    def _weight(self, targets: Tensor) -> Tensor | float:
        """What the mean over these examples is divided by in cross-entropy: with class weights, the sum of theirs."""
        if self.weights is None or targets.is_floating_point():
            return float(len(targets))
        return self.weights[targets].sum()

    def _loss(self, output: Any, targets: Tensor) -> Tensor:
        """Cross-entropy, and that of the auxiliary head where there is one."""
        heads = output if isinstance(output, (tuple, list)) else (output,)
        weights = (1.0, self.training.auxiliary_weight)
        losses = [
            weight
            * functional.cross_entropy(
                logits.float(), targets, self.weights, label_smoothing=self.training.label_smoothing
            )
            for logits, weight in zip(heads, weights)
            if weight and logits is not None
        ]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]
