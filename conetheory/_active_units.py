"""How many of the units of a layer are active on one input: Binomial(d, 1/2). Private: widths are validated."""

import math

import numpy as np
from scipy.special import betaln

__all__ = ["active_units", "log_active_weights"]


def log_active_weights(width: int, counts: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities of `counts` active units of `width`."""
    return -betaln(counts + 1.0, width - counts + 1.0) - math.log(width + 1.0) - width * math.log(2.0)


def active_units(width: int, *, minimum: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of active units from `minimum` on, and their probabilities given that there are so many."""
    counts = np.arange(minimum, width + 1)
    weights = np.exp(log_active_weights(width, counts))
    return counts, weights / weights.sum()
