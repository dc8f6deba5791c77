"""The branches that a network's ReLUs and max-pools take, written down in one run and taken again in another.

Gradients of a network jump where an input of a ReLU crosses zero or two values of a pooling window change places. Rounding alone moves a few
inputs in a million across, so that runs in two precisions, memory layouts or orders of summation differ by such jumps, however exact each is.
With the same branches a network is smooth, and what is left of the difference is rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

RELU = (functional.relu, torch.relu, torch.relu_)
MAX_POOL = (functional.max_pool2d, torch.max_pool2d)


class Written(TorchFunctionMode):
    """Within this context, branches are appended to ``branches``: masks, and places within maps."""

    def __init__(self) -> None:
        super().__init__()
        self.branches: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:  # fmt: skip
        """Write down and go on."""
        kwargs = kwargs or {}
        if func in RELU:
            self.branches.append(args[0].detach() > 0)
        elif func in MAX_POOL:
            self.branches.append(func(args[0].detach(), *args[1:], **{**kwargs, "return_indices": True})[1])
        return func(*args, **kwargs)


class Taken(TorchFunctionMode):
    """Within this context, the branches given are taken, in their order.

    Attributes:
        others: how many would have been others.
    """

    def __init__(self, branches: Iterable[Tensor]) -> None:
        super().__init__()
        self.branches = iter(branches)
        self.others = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:  # fmt: skip
        """A product with the mask, or values at the places."""
        if func in RELU:
            mask, x = next(self.branches), args[0]
            self.others += int(((x.detach() > 0) != mask).sum())
            return x * mask
        if func in MAX_POOL:
            places, x = next(self.branches), args[0]
            return x.flatten(2).gather(2, places.flatten(2)).view(places.shape)
        return func(*args, **(kwargs or {}))
