"""Checkpoints in safetensors: model, objective and optimiser, one file of plain tensors, no pickle."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

__all__ = ["checkpoint_step", "load_checkpoint", "pack", "read_tensors", "restore"]

Tensors = dict[str, torch.Tensor]


def _own_names(module: nn.Module) -> list[str]:
    """Return the names of the state, each tensor once: towers may share some."""
    seen: set[int] = set()
    found = []
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found.append(name)
    return found


def pack(modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer) -> Tensors:
    """Return all that a run needs to go on, as named tensors on the processor.

    Parameters
    ----------
    modules : dict of str to Module
        Their tensors are called ``name/…``.
    optimiser : Optimizer
        Its tensors are called ``optimiser/index/…``.
    """
    tensors = {}
    for part, module in modules.items():
        state = module.state_dict()
        tensors |= {f"{part}/{name}": state[name] for name in _own_names(module)}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{name}": value for name, value in state.items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def restore(tensors: Tensors, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer) -> None:
    """Put what `pack` returned back in place.

    Raises
    ------
    ValueError
        If a tensor is missing, left over, or of another shape.
    """
    for part, module in modules.items():
        found = {name.removeprefix(f"{part}/"): t for name, t in tensors.items() if name.startswith(f"{part}/")}
        _load_module(part, module, found)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _load_module(part: str, module: nn.Module, found: Tensors) -> None:
    state = module.state_dict()
    for name in {*_own_names(module), *found}:
        shapes = [tuple(each[name].shape) if name in each else None for each in (state, found)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"the checkpoint's {part}/{name} has shape {shapes[1]}, and the model's {shapes[0]}.")
    module.load_state_dict(found, strict=False)  # a shared tensor is there under its first name alone


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a file.

    Raises
    ------
    ValueError
        If it is not in safetensors, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no checkpoint of ours, or damaged: {error}") from None


def checkpoint_step(path: Path) -> int:
    """Return the step of ``step-00000100.safetensors``."""
    return int(path.stem.removeprefix("step-"))


def load_checkpoint(path: Path, **modules: Any) -> None:
    """Load the weights of some modules from a checkpoint, by their names in it: ``model=…``.

    Raises
    ------
    ValueError
        If the file is damaged, or made by another model.
    """
    tensors = read_tensors(path)
    for part, module in modules.items():
        start = f"{part}/"
        _load_module(part, module, {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)})
