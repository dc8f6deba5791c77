"""Pretraining of the deep ensemble on metrics that cost no training, and its storage with the space it is for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archwright.errors import ArchwrightWarning, SettingsError, unknown
from archwright.space import Architecture, Space
from archwright.space.parameters import Parameter
from archwright.surrogate.deep import MEMBERS, DeepEnsemble

if TYPE_CHECKING:
    from archwright.searchers import Clues

PRETRAININGS = ("simultaneous", "sequential")
LR = 1e-2
PROFILED = 2000
EPOCHS = 300
ENUMERATED = 60_000
"""Size of a space up to which all of its architectures are listed."""


def pretrain(
    space: Space,
    clues: Clues,
    *,
    profiled: int = PROFILED,
    pretraining: str = "simultaneous",
    epochs: int = EPOCHS,
    members: int = MEMBERS,
    encoding: str = "ordinal",
    seed: int = 0,
    rng: np.random.Generator | None = None,
) -> DeepEnsemble:
    """An ensemble that predicts clues, a head for each (Ouertatani 2024, section 5.2.3, equations 5.1 and 5.2).

    Clues are standardised over the profiled architectures; what could not be had counts as the least of what was. A clue
    that is the same for all teaches nothing and is left out, with a warning.

    Args:
        space: whose architectures are profiled.
        clues: what each is profiled for: costs, proxies, columns of a table, or any object of
            :class:`~archwright.searchers.Clues`.
        profiled: random architectures, different ones; all of a smaller space.
        pretraining: ``simultaneous`` (the sum of all losses) or ``sequential`` (one clue after the other, as many steps in all).
        epochs: passes over the profiled architectures.
        members: K.
        encoding: of the space, see :meth:`~archwright.space.Space.encode`.
        seed: of initial weights and batches, and of the sample where ``rng`` is not given.
        rng: draws the sample.

    Raises:
        SettingsError: a number below 1, an unknown kind of pretraining, fewer architectures than members, or no clue that varies.
    """
    if pretraining not in PRETRAININGS:
        raise SettingsError(unknown("pretraining", pretraining, PRETRAININGS))
    for name, value in (("profiled", profiled), ("epochs", epochs), ("members", members)):
        if value < 1:
            raise SettingsError(f"{name} must be at least 1, not {value}")
    drawn = draw(space, profiled, np.random.default_rng([seed, 3]) if rng is None else rng)
    if len(drawn) < members:
        raise SettingsError(
            f"there are {len(drawn)} architectures to profile, fewer than the {members} members of the ensemble; take more, "
            f"or at most {len(drawn)} members"
        )
    targets = _targets(clues(drawn), clues.names)
    inputs = encoded(space, drawn, encoding)
    made = DeepEnsemble(inputs.shape[1], targets.shape[1], members=members, lr=LR, seed=seed)
    if pretraining == "simultaneous":
        made.fit(inputs, targets, epochs=epochs)
        return made
    for head in range(targets.shape[1]):
        made.fit(inputs, targets[:, head : head + 1], heads=[head], epochs=max(1, epochs // targets.shape[1]))
    return made


def draw(space: Space, count: int, rng: np.random.Generator) -> list[Architecture]:
    """Different architectures, uniformly; fewer where a space that cannot be listed gives repeats."""
    size = space.size
    if size is not None and size <= ENUMERATED:
        everything = list(space.enumerate())
        return [everything[i] for i in rng.permutation(len(everything))[:count]]
    return list(dict.fromkeys(space.sample(rng, count)))


def encoded(space: Space, architectures: Sequence[Architecture], encoding: str) -> Tensor:
    """``n x inputs``; each column has its least value at -1 and its greatest at 1, whichever architectures are given."""
    rows = space.encode(architectures, encoding)
    if encoding == "ordinal":
        low, high = np.array([_range(p) for p in space.parameters.values()]).T
        rows = (rows - low) / np.maximum(high - low, 1.0)
    return torch.from_numpy(rows).float() * 2 - 1


def _range(parameter: Parameter) -> tuple[float, float]:
    """What its ordinal column can hold: places of values, 0 to 1 of a real one, and -1 while it is not active."""
    return -1.0 if parameter.when else 0.0, 1.0 if parameter.values is None else float(parameter.count - 1)


def store(
    ensemble: DeepEnsemble, path: str | Path, space: Space, encoding: str = "ordinal", **facts: Any
) -> dict[str, Any]:
    """Keep an ensemble with its space (safetensors with JSON in the header); returns that JSON.

    Args:
        ensemble: to keep.
        path: of the file.
        space, encoding: what it was trained on; only a search of the same can use it.
        facts: whatever a reader should know, such as the clues.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return ensemble.save(path, _about(space, encoding), facts)


def stored(path: str | Path, space: Space, encoding: str = "ordinal", *, seed: int = 0) -> DeepEnsemble:
    """What :func:`store` kept.

    Raises:
        SettingsError: no such file, or one for another space or encoding.
    """
    return DeepEnsemble.load(path, _about(space, encoding), seed=seed)


def _about(space: Space, encoding: str) -> dict[str, Any]:
    return {"space": space.to_json(), "encoding": encoding, "scale": [-1, 1]}


def _targets(clues: NDArray[np.float64], names: Sequence[str]) -> Tensor:
    """``n x clues that vary``, standardised."""
    known = np.isfinite(clues)
    least = np.where(known, clues, np.inf).min(axis=0)
    filled = np.where(known, clues, np.where(np.isfinite(least), least, 0.0))
    spread = filled.std(axis=0)
    varies = spread > 1e-12 * np.maximum(1.0, np.abs(filled).max(axis=0))
    constant = ", ".join(name for name, v in zip(names, varies) if not v)
    if not varies.any():
        raise SettingsError(
            f"the clues ({constant}) are the same for all {len(clues)} architectures; nothing can be learnt from them"
        )
    if constant:
        warnings.warn(
            f"left out of the pretraining, the same for all {len(clues)} architectures: {constant}",
            ArchwrightWarning,
            stacklevel=3,
        )
    filled, spread = filled[:, varies], spread[varies]
    return torch.from_numpy((filled - filled.mean(axis=0)) / spread)
