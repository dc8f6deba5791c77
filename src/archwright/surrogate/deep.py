"""The deep ensemble of Ouertatani (2024, appendix A): networks with a shared trunk and a branch per objective."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from archwright.errors import SettingsError

TRUNK = (64, 128, 256, 256, 256)
BRANCH = 512
MEMBERS = 6
PART = 1024
FORMAT = "archwright-deep-ensemble"


class DeepEnsemble:
    """``members`` equal regressors that differ in their initial weights and in the order of their batches.

    Each is a trunk of blocks (linear, layer norm, SiLU) and, per head, a block of ``branch`` units and a linear output. All
    are trained as one network with stacked weights (``members x in x out``), by Adam on the sum over heads of the mean Huber
    loss; every member draws its own order of batches. A head that takes no part in a fit gets no step, not even one of Adam's
    momentum.

    Args:
        inputs: length of an encoding.
        heads: objectives.
        members: K.
        trunk, branch: widths.
        lr: of Adam.
        seed: of initial weights and batches.
        device: where.
    """

    def __init__(
        self,
        inputs: int,
        heads: int,
        *,
        members: int = MEMBERS,
        trunk: Sequence[int] = TRUNK,
        branch: int = BRANCH,
        lr: float = 5e-3,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        for name, value in (("inputs", inputs), ("heads", heads), ("members", members), ("branch", branch)):
            if value < 1:
                raise SettingsError(f"a deep ensemble needs {name} of at least 1, not {value}")
        self.inputs, self.members, self.trunk_widths, self.branch = inputs, members, tuple(trunk), branch
        self.device = torch.device(device)
        self.generator = torch.Generator().manual_seed(seed)
        widths = (inputs, *trunk)
        self.trunk = [self._block(a, b) for a, b in zip(widths, widths[1:])]
        self.heads: list[list[list[Tensor]]] = []
        self.restart(heads, lr)

    def restart(self, heads: int, lr: float) -> None:
        """Fresh branches on the same trunk, and a fresh optimiser: the hand-over from pretraining to search."""
        self.heads = [
            [self._block(self.trunk_widths[-1], self.branch), self._linear(self.branch, 1)] for _ in range(heads)
        ]
        fused = self.device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(self._parameters(range(heads)), lr=lr, fused=fused)

    @property
    def trunk_parameters(self) -> int:
        """Of one member."""
        return sum(t[0].numel() for block in self.trunk for t in block)

    @property
    def parameters_per_member(self) -> int:
        """Trunk, branches and heads of one member."""
        return sum(t[0].numel() for t in self._parameters(range(len(self.heads))))

    def fit(
        self, inputs: Tensor, targets: Tensor, *, heads: Sequence[int] | None = None, epochs: int, batch: int = 16
    ) -> float:
        """Train on; returns the mean loss of the last epoch.

        Args:
            inputs: ``n x inputs``.
            targets: ``n x len(heads)``.
            heads: which take part; all by default.
            epochs: passes over the data.
            batch: examples per step, of each member.

        Raises:
            SettingsError: no examples, or numbers that do not go together.
        """
        chosen = list(range(len(self.heads))) if heads is None else list(heads)
        if not len(inputs) or targets.shape != (len(inputs), len(chosen)) or inputs.shape[1] != self.inputs:
            raise SettingsError(
                f"{len(chosen)} heads of a deep ensemble need inputs n x {self.inputs} and targets n x {len(chosen)}, not "
                f"{tuple(inputs.shape)} and {tuple(targets.shape)}"
            )
        x = inputs.to(self.device, torch.float32)
        y = targets.to(self.device, torch.float32)
        last = 0.0
        for _ in range(epochs):
            order = torch.stack([torch.randperm(len(x), generator=self.generator) for _ in range(self.members)])
            total = torch.zeros((), device=self.device)
            for part in torch.split(order.to(self.device), batch, dim=1):
                loss = self._step(x[part], y[part], chosen)
                total += loss.detach() * part.shape[1]
            last = float(total) / (len(x) * self.members)
        return last

    def _step(self, x: Tensor, y: Tensor, heads: Sequence[int]) -> Tensor:
        """One step of all members on batches ``members x batch x ...``; the sum of their losses."""
        self.optimizer.zero_grad(set_to_none=True)
        losses = functional.huber_loss(self._forward(x, heads), y, reduction="none").mean(dim=1).sum()
        losses.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return losses

    @torch.no_grad()
    def predict(self, inputs: Tensor, head: int = 0) -> Tensor:
        """``members x n`` predictions of a head; a member and a part at a time, so that what is at work stays in the cache."""
        parts = torch.split(inputs.to(self.device, torch.float32), PART)
        found = [torch.stack([self._member(k, x, head) for k in range(self.members)]) for x in parts]
        return torch.cat(found, dim=1).cpu()

    def _member(self, k: int, x: Tensor, head: int) -> Tensor:
        """``n`` predictions of one member."""
        block, (out, shift) = self.heads[head]
        for weight, bias, gain, offset in (*self.trunk, block):
            x = functional.layer_norm(torch.addmm(bias[k], x, weight[k]), weight.shape[2:], gain[k], offset[k])
            x = functional.silu(x, inplace=True)
        return torch.addmv(shift[k], x, out[k, :, 0])

    def _forward(self, x: Tensor, heads: Sequence[int]) -> Tensor:
        """``members x batch x inputs`` to ``members x batch x heads``."""
        for block in self.trunk:
            x = _apply(x, block)
        outputs = []
        for head in heads:
            block, (weight, bias) = self.heads[head]
            outputs.append(torch.baddbmm(bias[:, None], _apply(x, block), weight))
        return torch.cat(outputs, dim=2)

    def _block(self, a: int, b: int) -> list[Tensor]:
        norm = [torch.ones(self.members, b), torch.zeros(self.members, b)]
        return [*self._linear(a, b), *(t.to(self.device).requires_grad_() for t in norm)]

    def _linear(self, a: int, b: int) -> list[Tensor]:
        """As :class:`torch.nn.Linear` starts: uniform within ``1 / sqrt(in)``."""
        bound = 1 / math.sqrt(a)
        shapes = ((self.members, a, b), (self.members, b))
        made = [torch.empty(s).uniform_(-bound, bound, generator=self.generator) for s in shapes]
        return [t.to(self.device).requires_grad_() for t in made]

    def _parameters(self, heads: Sequence[int]) -> list[Tensor]:
        mine = [t for block in self.trunk for t in block]
        return mine + [t for head in heads for block in self.heads[head] for t in block]

    def save(self, path: str | Path, about: dict[str, Any], facts: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the weights (safetensors) with a description as JSON in the file's header, which is returned.

        The optimiser is not kept.

        Args:
            path: of the file.
            about: what must be equal where it is loaded.
            facts: what else a reader should know.
        """
        from safetensors.torch import save

        shape = {"inputs": self.inputs, "heads": len(self.heads), "members": self.members, "trunk": self.trunk_widths}
        said = {"format": FORMAT, "version": 1, **shape, "branch": self.branch, "about": about, "facts": facts or {}}
        tensors = {f"t{i}": t.detach().cpu() for i, t in enumerate(self._parameters(range(len(self.heads))))}
        Path(path).write_bytes(save(tensors, metadata={"archwright": json.dumps(said)}))
        return said

    @classmethod
    def load(cls, path: str | Path, about: dict[str, Any], *, lr: float = 5e-3, seed: int = 0) -> DeepEnsemble:
        """What :meth:`save` wrote.

        Raises:
            SettingsError: no such file, or one of something else: what it is about must be equal.
        """
        from safetensors import safe_open

        said = read_header(path)
        asked = json.loads(json.dumps(about))
        if said["about"] != asked:
            differing = [name for name in asked if said["about"].get(name) != asked[name]]
            raise SettingsError(
                f"the surrogate in {path} was made for another {' and '.join(differing) or 'use'}; pretrain one for this "
                "search (archwright surrogate pretrain)"
            )
        made = cls(
            said["inputs"],
            said["heads"],
            members=said["members"],
            trunk=said["trunk"],
            branch=said["branch"],
            lr=lr,
            seed=seed,
        )
        with safe_open(str(path), framework="pt") as file, torch.no_grad():
            for i, tensor in enumerate(made._parameters(range(said["heads"]))):
                tensor.copy_(file.get_tensor(f"t{i}"))
        return made


def read_header(path: str | Path) -> dict[str, Any]:
    """The description in a file of :meth:`DeepEnsemble.save`.

    Raises:
        SettingsError: no such file, or one of something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            said = json.loads((file.metadata() or {}).get("archwright", "{}"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no stored surrogate {path}; make one with archwright surrogate pretrain"
        ) from error
    except (OSError, SafetensorError, ValueError) as error:
        raise SettingsError(f"{path} is not a stored surrogate: {error}") from error
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise SettingsError(f"{path} is not a stored surrogate of Archwright")
    return said


def _apply(x: Tensor, block: Sequence[Tensor]) -> Tensor:
    weight, bias, gain, shift = block
    h = functional.layer_norm(torch.baddbmm(bias[:, None], x, weight), (weight.shape[2],))
    return functional.silu(h * gain[:, None] + shift[:, None])
