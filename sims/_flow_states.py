"""What is recorded of a flow of free features."""

from typing import NamedTuple

import numpy as np

from conetheory.gap import alignment, gap_norm, uniformity

__all__ = ["FlowState", "observe", "pair_leads"]

_PANEL = 1 << 21  # cosines at once


class FlowState(NamedTuple):
    """The numbers of a state; see `sims.gradient_flow.FeatureFlow`."""

    loss: float
    gap_norm: float
    beta: float
    margin: float
    matched: float
    alignment: float
    uniformity: float


def observe(loss: float, beta: float, x: np.ndarray, y: np.ndarray) -> FlowState:
    """Return the numbers of unit rows at a logit scale."""
    leads = pair_leads(x, y)
    return FlowState(
        loss=loss,
        gap_norm=gap_norm(x, y),
        beta=beta,
        margin=float(leads.min()),
        matched=float(np.mean(leads > 0)),
        alignment=alignment(x, y),
        uniformity=(uniformity(x) + uniformity(y)) / 2,
    )


def pair_leads(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return each pair's cosine less the largest other one of its row and of its column, shape (n,)."""
    n = len(x)
    own, rows, columns = np.einsum("ij,ij->i", x, y), np.empty(n), np.full(n, -np.inf)
    step = max(1, _PANEL // n)
    for start in range(0, n, step):
        cosines = x[start : start + step] @ y.T
        places = np.arange(len(cosines))
        cosines[places, start + places] = -np.inf
        rows[start : start + step] = cosines.max(axis=1)
        np.maximum(columns, cosines.max(axis=0), out=columns)
    return own - np.maximum(rows, columns)
