"""What depth does to random networks: the cone curves of Fig. 2(b), the share of variance due to initialisation."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from conetheory.cone_band import ConeBand, cone_band
from conetheory.init_variance import proof_bound, relu_share, theorem4_bound
from conetheory.meanfield import relu_unit_norm_recursion

from .canvas import MUTED, PALETTE
from .cells import cells_at
from .claim import plot_measured

__all__ = ["BIASES", "plot_cone", "plot_initialisation"]

BIASES = {"normal": 1 / 512, "torch_default": 1 / 1536, "none": 0.0}
"""Variance of a bias entry in the three settings; the weights always have variance 1/512."""

_TITLES = {"normal": "bias N(0, 1/512): the paper's", "torch_default": "bias U(±1/√512): PyTorch's", "none": "no bias"}
_ACTIVATIONS = {
    "sigmoid": PALETTE[3],
    "leaky_relu": PALETTE[5],
    "relu": PALETTE[0],
    "tanh": PALETTE[1],
    "linear": PALETTE[2],
}
_DEPTH, _SHARE_DEPTH = 25, 8
_WIDTH, _INPUTS = 512, 1024  # the paper's


@cache
def _band(activation: str, sigma_b2: float) -> ConeBand:
    return cone_band(activation, _DEPTH, _WIDTH, _INPUTS, sigma_b2=sigma_b2, input_dim=_WIDTH)


def plot_cone(verdicts: Iterable[Mapping[str, Any]], *, bias: str, ax: Axes) -> Axes:
    """Draw the mean cosine of two inputs by layer, for five activations: mean field, and the band of single networks.

    The band holds 95 % of networks of width 512 with 1024 inputs each. `bias` is one of `BIASES`. Dots: verdicts
    ``liang.fig2b.<activation>.<bias>*`` with cells at ``layer``.
    """
    verdicts = list(verdicts)
    for activation, colour in _ACTIVATIONS.items():
        band, layer = _band(activation, BIASES[bias]), np.arange(_DEPTH + 1)
        broad = {"linewidth": 4, "alpha": 0.6} if activation == "leaky_relu" else {}  # it all but coincides with relu
        if not broad:
            ax.fill_between(layer, band.low, band.high, color=colour, alpha=0.18, linewidth=0)
        ax.plot(layer, band.rho, color=colour, label=activation.replace("_", " "), **broad)
        for cells, at in cells_at(verdicts, f"liang.fig2b.{activation}.{bias}", "layer"):
            plot_measured(ax, at["layer"], cells, colour=colour)
    ax.set_ylim(-0.03, 1.05)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_xlabel("layer")
    ax.set_title(_TITLES[bias])
    return ax


def plot_initialisation(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the share of variance due to initialisation, by layer of a ReLU network on unit inputs, and both bounds.

    Dots: verdicts ``conetheory.theorem2.relu_share`` with cells at ``layer``.
    """
    layer = np.arange(1, _SHARE_DEPTH + 1)
    beta = relu_unit_norm_recursion(_SHARE_DEPTH)[:-1]
    ax.plot(layer, relu_share(_SHARE_DEPTH), color=PALETTE[0], label="exact")
    ax.plot(layer, proof_bound(beta), color=PALETTE[2], label="bound of the proof")
    ax.plot(layer, theorem4_bound(beta), color=MUTED, label="Theorem 4: share ≥ β")
    for cells, at in cells_at(verdicts, "conetheory.theorem2.relu_share", "layer"):
        plot_measured(ax, at["layer"], cells, colour=PALETTE[0])
    ax.set_ylim(-0.03, 1.05)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set_xlabel("layer")
    ax.set_ylabel("share of the variance")
    ax.set_title("Theorem 2: variance due to initialisation")
    ax.legend(loc="lower right", borderaxespad=0.1)
    return ax
