"""Watching the blocks of a torch module: which they are, what enters and leaves them, and leaving no trace. Private."""

import copy
import difflib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

__all__ = ["batches_of", "evaluating", "has_points", "named_blocks", "placed", "points_of", "watching"]


def named_blocks(model: Any, blocks: Any) -> dict[str, Any]:
    """Return the modules to watch, by name: those asked for, else the layers of `model`.

    `blocks` is None, names or patterns of ``model.named_modules()``, or types.
    """
    named = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    if blocks is None:
        return _each_once(_layers("", model)) or {"model": model}
    wanted = list(blocks) if isinstance(blocks, (list, tuple)) else [blocks]
    if not wanted or not all(isinstance(item, (str, type)) for item in wanted):
        raise TypeError(f"`blocks` must be names, patterns or types of modules, got {blocks!r}.")
    types = tuple(item for item in wanted if isinstance(item, type))
    patterns = [item for item in wanted if isinstance(item, str)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            nearest = difflib.get_close_matches(pattern, named, 1, cutoff=0.0)
            hint = f", the nearest is {nearest[0]!r}" if nearest else ""
            raise ValueError(f"`blocks` must name modules of the model, got {pattern!r}{hint}.")
    found = _each_once(
        (name, module)
        for name, module in named.items()
        if isinstance(module, types) or any(fnmatchcase(name, pattern) for pattern in patterns)
    )
    if not found:
        raise ValueError(f"`blocks` must be types of modules of the model, got {', '.join(t.__name__ for t in types)}.")
    return found


def _each_once(named: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the modules by the first name of each: one that is shared runs under one name, call after call."""
    names: dict[int, str] = {}
    return {name: module for name, module in named if names.setdefault(id(module), name) == name}


def _layers(prefix: str, module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of the outermost lists of modules (nn.Sequential, nn.ModuleList)."""
    from torch import nn

    is_list = isinstance(module, (nn.Sequential, nn.ModuleList))
    for name, child in module.named_children():
        if is_list:
            yield prefix + name, child
        else:
            yield from _layers(f"{prefix}{name}.", child)


def placed(model: Any, device: Any, dtype: Any) -> tuple[Any, Any, Any]:
    """Return the model on `device` in `dtype`, a copy where it was elsewhere, with device and dtype for its inputs; the
    dtype is None for a model without parameters and without a wish.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"`model` must be a torch.nn.Module, got {type(model).__name__}.")
    if isinstance(dtype, str):
        name, dtype = dtype, getattr(torch, dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"`dtype` must be a type of torch such as float32 or bfloat16, got {name!r}.")
    if dtype is not None and not dtype.is_floating_point:
        raise ValueError(f"`dtype` must be a floating-point type, got {dtype}.")
    tensors = itertools.chain(model.parameters(), model.buffers())
    first = next((tensor for tensor in tensors if tensor.is_floating_point()), None)
    home = torch.device("cpu") if first is None else first.device
    try:
        device = home if device is None else torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"`device` must be a device of torch, got {device!r}: {str(error)[:80]}") from None
    if "meta" in (device.type, home.type):
        raise ValueError("`device` must hold numbers, got meta: such a model has shapes and no weights.")
    if first is None:  # nothing to move: the inputs keep their type
        return model, device, dtype
    dtype = dtype or first.dtype
    if (device, dtype) != (home, first.dtype):
        try:
            model = copy.deepcopy(model).to(device=device, dtype=dtype)
        except (AssertionError, RuntimeError) as error:  # the first: torch was compiled without this kind of device
            raise ValueError(f"`device`: no copy of the model on {device} in {dtype}: {str(error)[:120]}") from error
    return model, device, dtype


def batches_of(inputs: Any, batch_size: int, device: Any, dtype: Any) -> Iterator[tuple[int, Any]]:
    """Yield batches of at most `batch_size` inputs, copies that a model may change, on the device, with their sizes."""
    import torch

    kinds = (torch.Tensor, np.ndarray, Mapping)
    if not isinstance(inputs, (*kinds, Iterable)):
        raise TypeError(f"`inputs` must be a tensor, a dict of tensors, or batches of them, got {type(inputs)}.")
    for batch in [inputs] if isinstance(inputs, kinds) else inputs:
        if not isinstance(batch, kinds):
            raise TypeError(
                f"`inputs` must give batches that are tensors or dicts of tensors, got a {type(batch).__name__}; of a "
                "loader of pairs, give the first of each."
            )
        parts = batch if isinstance(batch, Mapping) else {"": batch}
        arrays = {name: part if isinstance(part, torch.Tensor) else np.asarray(part) for name, part in parts.items()}
        sizes = {array.shape[0] if array.ndim else 0 for array in arrays.values()}
        if len(sizes) != 1 or 0 in sizes:
            shapes = [tuple(array.shape) for array in arrays.values()]
            raise ValueError(f"`inputs` must share a first axis of inputs, at least one, got shapes {shapes}.")
        n = sizes.pop()
        for start in range(0, n, batch_size):
            part = {name: _copied(array[start : start + batch_size], device, dtype) for name, array in arrays.items()}
            yield min(batch_size, n - start), part if isinstance(batch, Mapping) else part[""]


def _copied(rows: Any, device: Any, dtype: Any) -> Any:
    import torch

    copied = rows.detach().clone() if isinstance(rows, torch.Tensor) else torch.tensor(rows)
    return copied.to(device=device, dtype=dtype if dtype and copied.is_floating_point() else copied.dtype)


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients; every module has its own mode back afterwards."""
    import torch

    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def watching(
    blocks: dict[str, Any], enter: Callable[[str, Any], None], leave: Callable[[str, Any], None]
) -> Iterator[None]:
    """Call `enter` and `leave` with the name of a block and the tensor that enters or leaves it, None where there is
    none; hooks go at the end, whatever happens.
    """
    handles = []
    try:
        for name, module in blocks.items():

            def before(_: Any, args: Any, options: Any, name: str = name) -> None:
                enter(name, _tensor((args, options)))

            def after(_: Any, args: Any, out: Any, name: str = name) -> None:
                leave(name, _tensor(out))

            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensor(value: Any) -> Any:
    """Return the first tensor of floats in what a module takes or gives: itself, or in a tuple or dict; or None."""
    import torch

    waiting = [value]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value
        values = value.values() if isinstance(value, Mapping) else value if isinstance(value, (tuple, list)) else ()
        waiting = [*values, *waiting]
    return None


def has_points(tensor: Any, n: int) -> bool:
    """Return whether a tensor, if there is one, holds `n` vectors, sequences of them, or feature maps."""
    return tensor is not None and tensor.ndim >= 2 and tensor.shape[0] == n and tensor.numel() > 0


def points_of(name: str, tensor: Any, n: int, tokens: str) -> np.ndarray:
    """Return what enters or leaves a block as float64 points of shape (n, tokens, dim); positions of feature maps
    count as tokens.
    """
    import torch

    if not has_points(tensor, n):
        shape = "no tensor of floats" if tensor is None else f"shape {tuple(tensor.shape)}"
        raise ValueError(f"`blocks`: {name} must give {n} vectors, sequences or maps of floats, got {shape}.")
    if tensor.ndim > 3:
        tensor = tensor.flatten(2).transpose(1, 2)
    rows = tensor[:, None] if tensor.ndim == 2 else tensor
    if tokens == "first":
        rows = rows[:, :1]
    elif tokens == "mean":
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32)).mean(dim=1, keepdim=True)
    points = rows.to("cpu", torch.float64).numpy()
    if not np.isfinite(points).all():
        raise ValueError(f"`blocks`: {name} must take and give finite numbers, got NaN or inf.")
    return points
