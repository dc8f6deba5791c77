"""What is read out of the two networks of a search: logits for the cross-entropy, and those that are distilled."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from archwright.evaluate.devices import derived_seed, seeded
from archwright.supernet.steps import Group, Outputs

if TYPE_CHECKING:
    from archwright.supernet.settings import JointSettings


class Readout(nn.Module):
    """Heads on the maps of both networks, mixed with each network's main logits.

    Frozen and shared (the default), the heads ask the search network for the evaluation network's features under one random
    projection, and nothing that the search network learns reaches the evaluation network through them.

    Args:
        heads: one per map.
        settings: of the search; says whether heads are shared and learn, and how they are mixed.
        seed: of the evaluation network's heads where it has its own.
    """

    def __init__(self, heads: nn.ModuleList, settings: JointSettings, seed: int) -> None:
        super().__init__()
        merged = settings.ce_on == "merged"
        self.merged, self.summed = merged, merged or settings.distill_on == "sum"
        self.concatenated = settings.distill_on == "concat"
        self.heads = heads
        self.own = nn.ModuleList() if settings.share_heads and not merged else _renewed(heads, seed)
        self.share = nn.Parameter(torch.zeros(len(heads) + 1), requires_grad=settings.learn_mix)
        self.shared_by: Group = "w_E" if settings.e_distill and not settings.s_distill else "w_S"
        for parameter in (*self.heads.parameters(), *self.own.parameters()):
            parameter.requires_grad_(merged or not settings.fix_head)

    def learning(self, group: Group) -> list[nn.Parameter]:
        """The parameters that are updated with the weights of a group.

        Shared heads learn with the network that the distillation reaches, the mixing vector with the search network.
        """
        owner: Group = "w_S" if len(self.own) else self.shared_by
        heads = self.heads if group == owner else self.own if group == "w_E" else ()
        mixing = [self.share] if group == "w_S" else []
        return [p for p in (*(p for head in heads for p in head.parameters()), *mixing) if p.requires_grad]

    def forward(self, logits: Tensor, maps: list[Tensor], teacher: bool) -> Outputs:
        """Logits of a network and all its heads' logits.

        Args:
            logits: the network's main ones, ``batch x classes``.
            maps: what the heads read.
            teacher: whether it is the evaluation network.
        """
        heads = self.own if teacher and len(self.own) else self.heads
        every = [*(head(own) for head, own in zip(heads, maps)), logits]
        parts = [share * part for share, part in zip(self.share.softmax(0), every)]
        together = torch.stack(parts).sum(0) if self.summed else logits
        return Outputs(together if self.merged else logits, torch.cat(parts) if self.concatenated else together)


def _renewed(heads: nn.ModuleList, seed: int) -> nn.ModuleList:
    made = copy.deepcopy(heads)
    with seeded(derived_seed(seed, 41)):
        renew(made)
    return made


def renew(network: nn.Module) -> None:
    """Draw all weights anew and forget statistics."""
    for module in network.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
