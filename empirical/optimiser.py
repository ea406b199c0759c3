"""AdamW, or Adam with coupled decay, with groups that decay and groups that do not, and its learning rate."""

from typing import Any

import torch
from torch import nn

from .config import OptimiserConfig
from .learning_rate import warmup_cosine

__all__ = ["gradient_norms", "learning_rate", "make_optimiser", "set_learning_rate"]


def make_optimiser(
    model: nn.Module, objective: nn.Module, config: OptimiserConfig, *, temperature_rate: float = 1.0
) -> torch.optim.Optimizer:
    """Return the optimiser of all parameters.

    Parameters
    ----------
    model : Module
        Its matrices, embeddings and convolutions decay; its gains and biases, of one axis, do not.
    objective : Module
        Its parameters, the temperature's and SigLIP's bias, do not decay.
    config : OptimiserConfig
        Kind and numbers; with `decay_all` everything decays, as in Liang et al.
    temperature_rate : float
        Learning rate of the objective's parameters, in units of the others'.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    own = config.decay if config.decay_all else 0.0
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.decay, "factor": 1.0},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": own, "factor": 1.0},
        {"params": list(objective.parameters()), "weight_decay": own, "factor": temperature_rate},
    ]
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[config.kind]
    fused = all(p.is_cuda for p in parameters)
    filled = [group for group in groups if group["params"]]
    return kind(filled, lr=config.rate, betas=config.betas, eps=config.epsilon, fused=fused)


def learning_rate(step: int, steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of step `step` of `steps`, from 0."""
    if config.schedule == "cosine":
        return warmup_cosine(step, warmup=config.warmup, total=steps, peak=config.rate, floor=config.floor)
    return config.rate * min(1.0, (step + 1) / max(config.warmup, 1))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group, by its factor."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]


def gradient_norms(model: Any, objective: nn.Module) -> dict[str, torch.Tensor]:
    """Return the norm of all gradients and of those of each part, as tensors on the device."""
    parts = {
        "gradient_norm": [*model.parameters(), *objective.parameters()],
        "gradient_norm_x": list(model.x_tower.parameters()),
        "gradient_norm_y": list(model.y_tower.parameters()),
        "gradient_norm_objective": list(objective.parameters()),
    }
    grads = {name: [p.grad for p in part if p.grad is not None] for name, part in parts.items()}
    return {name: torch.nn.utils.get_total_norm(found) for name, found in grads.items() if found}
