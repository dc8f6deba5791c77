"""Number formats while training: autocast where the device has it, and a gradient scaler for fp16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import SettingsError

TYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """``fp32``, ``bf16``, ``fp16``, or ``auto`` on a device.

    Attributes:
        dtype: of convolutions and products under autocast; ``None`` for plain fp32.
        scaler: keeps fp16 gradients from vanishing; ``None`` where none is needed.

    Raises:
        SettingsError: the device does not have the format.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.device = device
        if name == "auto":
            name = "fp32"
            if device.type == "cuda":
                name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        if name == "fp16" and device.type == "cpu":
            raise SettingsError("precision fp16 needs a CUDA or MPS device; use bf16, fp32 or auto on a CPU")
        self.name = name
        self.dtype = TYPES[name]
        self.scaler = torch.amp.GradScaler(device.type) if name == "fp16" and device.type == "cuda" else None

    def run(self, network: nn.Module, inputs: Tensor) -> Any:
        """The network's output."""
        if self.dtype is None:
            return network(inputs)
        with torch.autocast(self.device.type, self.dtype):
            return network(inputs)
