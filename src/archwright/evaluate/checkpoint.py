"""Checkpoints of a training: tensors and JSON in one safetensors file, replaced at once or not at all.

Nothing in it can run code, as a pickle could. Randomness needs no place here: each epoch draws from a seed of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from archwright.errors import SettingsError


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write ``tensors`` and the JSON-able ``state``; what stood at ``path`` is there until the new file is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        save_file(plain, temporary, metadata={"state": json.dumps(state)})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors (on the CPU) and state; ``None`` where there is no file.

    Args:
        path: of the file.
        identity: what ``state["identity"]`` must be.

    Raises:
        SettingsError: the file cannot be read, or belongs to another training.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"the checkpoint {path} cannot be read ({error}); remove it to start again") from error
    wanted = json.loads(json.dumps(identity))
    differing = [name for name in wanted if state["identity"].get(name) != wanted[name]]
    if differing:
        raise SettingsError(
            f"the checkpoint {path} is of another training ({', '.join(differing)} differ); remove it to start again"
        )
    return tensors, state


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and all buffers by name, also those that a state dict leaves out."""
    return {name: p.detach() for name, p in network.named_parameters()} | dict(network.named_buffers())


def copy_into(target: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    """Copy values by name."""
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser by ``number of the parameter.name``; settings are not in it."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value
        for number, entries in state.items()
        for name, value in entries.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`optimizer_tensors`."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        if tensor.shape == parameter.shape:
            tensor = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
