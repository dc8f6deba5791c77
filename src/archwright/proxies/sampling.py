"""Scores of several networks of a family."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from archwright.data import Data
from archwright.errors import SettingsError
from archwright.families import Family
from archwright.proxies.many import score_many


def score_sample(
    family: Family,
    data: Data,
    names: Sequence[str],
    *,
    sample: int,
    seed: int = 0,
    **how: Any,
) -> list[dict[str, Any]]:
    """Scores of the default architecture, if the family names one, and of ``sample`` other random ones, all on the same examples, as plain data.

    Args:
        family: builds the networks.
        data: whose training examples are used.
        names: of proxies.
        sample: random architectures.
        seed: of architectures, initial weights, examples and noise.
        how: further arguments of :func:`~archwright.proxies.many.score_many`.

    Raises:
        SettingsError: an unknown proxy, a number below 0, or nothing to score.
    """
    if sample < 0 or (sample == 0 and family.default is None):
        raise SettingsError(f"the sample must be at least {0 if family.default else 1}, not {sample}")
    rng = np.random.default_rng([seed, 6])
    first = [family.default] if family.default else []
    drawn = [*first, *islice(family.space.different(rng, first), sample)]
    return score_many(family, data, drawn, names, seed=seed, **how)
