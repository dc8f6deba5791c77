"""Scores of several networks of a family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor

from archwright.data import Data
from archwright.errors import SettingsError
from archwright.evaluate import NetworkEvaluator
from archwright.evaluate.devices import derived_seed
from archwright.evaluate.untrained import examples
from archwright.families import Family
from archwright.proxies.scoring import score
from archwright.space import Architecture


def score_sample(
    family: Family,
    data: Data,
    names: Sequence[str],
    *,
    sample: int,
    batch: int = 64,
    seed: int = 0,
    device: str = "auto",
    on_done: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Scores of the default architecture, if the family names one, and of ``sample`` other random ones, all on the same examples, as plain data.

    Args:
        family: builds the networks.
        data: whose training examples are used.
        names: of proxies.
        sample: random architectures.
        batch: examples.
        seed: of architectures, initial weights, examples and noise.
        device: where.
        on_done: called with the numbers of networks done and of all.

    Raises:
        SettingsError: an unknown proxy, a number below 0, or nothing to score.
    """
    if sample < 0 or (sample == 0 and family.default is None):
        raise SettingsError(f"the sample must be at least {0 if family.default else 1}, not {sample}")
    networks = NetworkEvaluator(family, data, device=device)
    if not names:
        raise SettingsError("name at least one proxy, such as nwot (archwright list proxies)")
    if batch < 1:
        raise SettingsError(f"the batch must be at least 1, not {batch}")
    given = examples(networks, batch, seed)
    rng = np.random.default_rng([seed, 6])
    first = [family.default] if family.default else []
    drawn = [*first, *islice(family.space.different(rng, first), sample)]
    rows = []
    for done, architecture in enumerate(drawn, start=1):
        rows.append(_row(networks, architecture, given, names, seed))
        if on_done is not None:
            on_done(done, len(drawn))
    return rows


def _row(
    networks: NetworkEvaluator,
    architecture: Architecture,
    batch: tuple[Tensor, Tensor],
    names: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    network = networks.build(architecture, seed=derived_seed(seed, 0))
    found = score(network, batch, names, seed=derived_seed(seed, 0, 1))
    return {
        "architecture": architecture.to_json(), "scores": dict(found.values), "reasons": dict(found.reasons),
        "seconds": dict(found.seconds),
    }  # fmt: skip
