"""Hierarchical ICDARTS: after the cells, the template (Herron 2023, chapter 6; algorithm 4).

Version 1 searches each cell's second input among all earlier outputs; version 2 which of four cell types stands at each depth.
Cells stay as they are; the template's parameters gamma are searched like alpha, with equations 6.1 to 6.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archwright.data import Data
from archwright.errors import SettingsError, unknown
from archwright.evaluate.devices import derived_seed, seeded
from archwright.families.hierarchical import VERSIONS, initial_template
from archwright.layers.bands import merge_in_stem
from archwright.layers.cells import Nodes
from archwright.layers.hierarchy import NETWORKS, MacroNetwork
from archwright.layers.templates import TEMPLATES
from archwright.shapes import merged
from archwright.space.cells import reductions
from archwright.supernet.duo import Duo
from archwright.supernet.joint import Found, OnEpoch, joint_search
from archwright.supernet.micro import MicroFound, MicroSettings, check_images, search_cells, shared_heads
from archwright.supernet.settings import JointSettings

TYPES = 4
"""Normal cells of version 2."""


def skip_parameters(depth: int, generator: torch.Generator) -> dict[str, nn.Parameter]:
    """Gamma of version 1, ``m`` entries for cell ``m``: nearer outputs weigh more, by a factor of e each, plus noise of 1e-3."""
    return {
        f"cell{m}": nn.Parameter(torch.arange(m).float() - (m - 1) + 1e-3 * torch.randn(m, generator=generator))
        for m in range(1, depth)
    }


def type_parameters(depth: int, types: int, generator: torch.Generator) -> dict[str, nn.Parameter]:
    """Gamma of version 2, an entry per type and depth: normal, of standard deviation 1e-3."""
    return {f"depth{m}": nn.Parameter(1e-3 * torch.randn(types, generator=generator)) for m in range(depth)}


@dataclass(frozen=True)
class Hierarchical:
    """What hierarchical search ended with: the cells, the template, and how both were found.

    Attributes:
        version: ``skips`` or ``types``.
        cells: per type.
        choice: the template, as :class:`SkipNetwork` and :class:`TypeNetwork` take it.
        micro: the search of the cells; none where they were given.
        macro: the search of the template.
    """

    version: str
    cells: Mapping[str, Nodes]
    choice: tuple[int, ...]
    micro: MicroFound | None
    macro: Found

    def network(
        self, c_in: int, num_classes: int, channels: int = 36, tower: bool = True, initial: bool = False
    ) -> MacroNetwork:
        """The network to retrain; with ``initial`` that of the cell search, before the template was searched."""
        depth = len(self.choice) + (self.version == "skips")
        choice = initial_template(self.version, depth, len(self.cells)) if initial else self.choice
        return NETWORKS[self.version](self.cells, c_in, num_classes, channels, depth, choice, tower=tower)

    @property
    def sequence(self) -> tuple[str, ...]:
        """The type of the cell at every depth."""
        if self.version == "types":
            return tuple(f"type{chosen}" for chosen in self.choice)
        depth = len(self.choice) + 1
        return tuple("reduce" if m in reductions(depth) else "normal" for m in range(depth))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "version": self.version,
            "cells": {kind: [[list(pair) for pair in node] for node in nodes] for kind, nodes in self.cells.items()},
            "choice": list(self.choice),
            "curve": list(self.macro.curve),
            "seconds": self.macro.seconds + (self.micro.search.seconds if self.micro is not None else 0.0),
        }


def macro_settings(
    version: str, settings: JointSettings, lr: float = 3e-3, lr_of: Literal["gamma", "weights"] = "gamma"
) -> JointSettings:
    """Settings of the macro search: another learning rate, two warm-up epochs in version 2, and no penalties on operations
    (Herron 2023, chapter 6, which does not say whether the learning rate is gamma's or the weights')."""
    warmup = 1 if version == "skips" else 2
    rates = {"arch_lr": lr} if lr_of == "gamma" else {"lr": lr, "lr_min": min(lr, settings.lr_min)}
    return replace(settings, warmup_epochs=warmup, penalty=0.0, alpha_l1=0.0, **rates)  # type: ignore[arg-type]


def micro_settings(version: str, micro: MicroSettings) -> MicroSettings:
    """What the search of the cells finds: a normal and a reduction cell, or four types that take turns."""
    if version == "skips":
        return micro
    return replace(
        micro, types=TYPES, template=TEMPLATES["abl_reduce_max"] if version == "types-pooled" else micro.template
    )


def search_template(
    data: Data, version: str, cells: Mapping[str, Nodes], settings: JointSettings, *,
    channels: int = 16, depth: int = 20, seed: int = 0, device: str | torch.device = "cpu",
    checkpoint: Path | None = None, on_epoch: OnEpoch | None = None,
) -> Found:  # fmt: skip
    """The macro search (algorithm 4): fresh weights, cells as they are.

    Args:
        data: images.
        version: ``skips``, ``types`` or ``types-pooled``.
        cells: ``normal`` and ``reduce``; or ``type0`` and so on.
        settings: of the search; see :func:`macro_settings`.
        channels, depth: of both networks.
        seed, device, checkpoint, on_epoch: of the joint search.

    Raises:
        SettingsError: an unknown version, cells that do not go with it, or what the joint search raises.
    """
    check_images(data)
    duo = macro_duo(version, cells, merged(data.input_shape)[0], data.num_classes, channels, depth, seed)
    for network in (duo.student, duo.teacher):
        merge_in_stem(network, data.input_shape)
    return joint_search(duo, data, settings, seed=seed, device=device, checkpoint=checkpoint, on_epoch=on_epoch)


def macro_duo(
    version: str, cells: Mapping[str, Nodes], c_in: int, num_classes: int, channels: int, depth: int, seed: int
) -> Duo:
    """The two networks of a macro search and gamma.

    Raises:
        SettingsError: an unknown version, fewer than three cells, or cells that do not go with the version.
    """
    if version not in VERSIONS:
        raise SettingsError(unknown("version of hierarchical search", version, VERSIONS))
    if depth < 3:
        raise SettingsError(f"a template is searched over at least three cells, not {depth}")
    wanted = {"normal", "reduce"} if version == "skips" else {f"type{t}" for t in range(len(cells))}
    if set(cells) != wanted or not cells:
        raise SettingsError(
            f"version {version!r} takes cells named {', '.join(sorted(wanted))}, not {', '.join(cells)}"
        )
    generator = torch.Generator().manual_seed(derived_seed(seed, 30))
    gamma = skip_parameters(depth, generator) if version == "skips" else type_parameters(depth, len(cells), generator)
    with seeded(derived_seed(seed, 31)):
        made = [NETWORKS[version](cells, c_in, num_classes, channels, depth, affine=False) for _ in range(2)]
        heads = shared_heads(made[0].reduced_channels, num_classes)

    def weights() -> list[Tensor]:
        device = next(made[0].parameters()).device
        return [p.softmax(0).to(device) for p in gamma.values()]

    def discretise() -> tuple[int, ...]:
        return tuple(int(p.detach().argmax()) for p in gamma.values())

    return Duo(made[0], made[1], gamma, weights, discretise, heads)


def search_hierarchically(
    data: Data, version: str, micro: MicroSettings, settings: JointSettings, *,
    macro: JointSettings | None = None, seed: int = 0, device: str | torch.device = "cpu",
    folder: Path | None = None, on_epoch: OnEpoch | None = None,
) -> Hierarchical | None:  # fmt: skip
    """Cells, then template.

    Args:
        data: images.
        version: ``skips`` (version 1), ``types`` (version 2), or ``types-pooled``, which halves the image by pooling.
        micro: what is searched; version 2 makes its cells four types that take turns.
        settings: of the micro search.
        macro: of the macro search, at the depth of the evaluation network; by default :func:`macro_settings` of ``settings``.
        seed: of everything random.
        device: where.
        folder: keeps both searches; the same call goes on from it.
        on_epoch: called after every epoch of either; ``False`` stops.

    Returns:
        ``None`` where ``on_epoch`` stopped it before its end.

    Raises:
        SettingsError: what the searches raise.
    """
    if version not in VERSIONS:
        raise SettingsError(unknown("version of hierarchical search", version, VERSIONS))
    micro = micro_settings(version, micro)
    files = [None if folder is None else folder / f"{phase}.safetensors" for phase in ("micro", "macro")]
    found = search_cells(data, micro, settings, seed=seed, device=device, checkpoint=files[0], on_epoch=on_epoch)
    if not found.search.complete:
        return None
    template = search_template(
        data, version, found.cells, macro or macro_settings(version, settings), channels=micro.channels,
        depth=micro.evaluation_cells, seed=seed, device=device, checkpoint=files[1], on_epoch=on_epoch,
    )  # fmt: skip
    return Hierarchical(version, found.cells, template.choice, found, template) if template.complete else None
