"""Figure 2b: the mean cosine of different inputs after each layer of random networks, against the mean-field curve."""

from collections.abc import Callable, Iterable

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.measure import Computed, Joint, Mean, Tally
from conetheory.meanfield import cone_curve, mean_with_diagonal
from sims.deep_mlp import cone_curves

__all__ = ["CLAIMS", "PRINTED", "RELU_SD", "TANH_SD", "cone_claim", "mean_field"]

_WIDTH, _DEPTH, _INPUTS = 512, 25, 1024  # the paper's
_SAMPLED = 16  # inputs of a simulated network; the mean over different inputs does not depend on how many there are
_FINITE_WIDTH = 2 / _WIDTH  # the shift of order 1/width is at most 1.2/width (conetheory.cone_band; a test compares)
_LAYERS = tuple({"layer": float(layer)} for layer in range(1, _DEPTH + 1))
_BIAS_VARIANCE = {"normal": 1.0, "none": 0.0, "torch_default": 1 / 3}  # times 1/width
_BIASES = {
    "normal": "biases N(0, 1/512)",
    "none": "no bias",
    "torch_default": "the framework's default biases, uniform of variance 1/1536",
}
_ACTIVATIONS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "linear": "no activation",
}
PRINTED = (
    0.000969, 0.319475, 0.494273, 0.606870, 0.700767, 0.754082, 0.802866, 0.844356, 0.891668, 0.918514, 0.947666, 0.969139, 0.980192,
    0.990713, 0.995568, 0.998011, 0.998956, 0.999503, 0.999771, 0.999884, 0.999937, 0.999972, 0.999986, 0.999991, 0.999995, 0.999997,
)  # fmt: skip
"""Printed by the notebook of Fig. 2(b): one draw, ReLU with biases, diagonal included, layers 0 to 25."""


def mean_field(activation: str | Callable, bias: str, *, width: int = _WIDTH, depth: int = _DEPTH) -> np.ndarray:
    """Return the mean-field cosine of two different N(0, 1) inputs after layers 0 to `depth`, weights N(0, 1/width).

    `bias` is ``normal``, ``none`` or ``torch_default``.
    """
    if bias not in _BIAS_VARIANCE:
        raise ValueError(f"`bias` must be one of {', '.join(_BIAS_VARIANCE)}, got {bias!r}.")
    return cone_curve(activation, depth, sigma_b2=_BIAS_VARIANCE[bias] / width).rho


def _curves(activation: str | Callable, bias: str, *, last_only: bool = False, quick: int = 512) -> Joint:
    """Return the measurement of all layers, or of the last one, over independent networks."""

    def draw(rng: np.random.Generator, n: int) -> Tally:
        curves = cone_curves(activation, n, width=_WIDTH, n_inputs=_SAMPLED, depth=_DEPTH, bias=bias, rng=rng)
        return Tally.of(curves[:, -1:] if last_only else curves[:, 1:])

    return Joint(rule=Mean(), first=256, quick=quick, full=4096, draw=draw)


def cone_claim(
    name: str,
    activation: str | Callable,
    *,
    bias: str,
    false_bias: str,
    false_activation: str | Callable | None = None,
    resolution: float = 0.02,
    paper: str = PAPER,
    prefix: str = "liang.fig2b",
) -> Claim:
    """Return the claim that random networks of width 512 follow the mean-field curve of `activation` through 25 layers.

    Parameters
    ----------
    name : str
        Word for the id.
    activation : str or callable
        A name that `conetheory.dual` knows, or any vectorised function.
    bias : str
        ``normal``, ``none`` or ``torch_default``.
    false_bias, false_activation : str or callable
        Those of the planted falsehood, whose curve must be another one; the activation is the same if it is not given.
    resolution : float
        Smallest deviation of a mean cosine that must be seen.
    paper, prefix : str
        Source, and beginning of the id.

    Returns
    -------
    Claim
        With 25 cells, a layer each.
    """
    false = activation if false_activation is None else false_activation
    return Claim(
        id=f"{prefix}.{name}.{bias}",
        paper=paper,
        section="Fig. 2(b)",
        statement=f"With {_ACTIVATIONS.get(name, name)} and {_BIASES[bias]}, the mean cosine after each of 25 random layers follows the mean-field curve.",
        formula=r"\rho_{l+1} = \frac{\mathbb{E}\,\phi(z)\phi(z')}{\mathbb{E}\,\phi(z)^2}",
        kind="value",
        predict=lambda: mean_field(activation, bias)[1:],
        tolerance=_FINITE_WIDTH,
        measure=_curves(activation, bias),
        grid=_LAYERS,
        resolution=resolution,
        plants=(
            Plant(
                name="another_curve",
                statement=f"It follows the curve of {false_activation or 'the same activation'} with {_BIASES[false_bias]}.",
                predict=lambda: mean_field(false, false_bias)[1:],
            ),
        ),
        note=f"Different inputs only; the figure's own numbers, with the diagonal, are ((n − 1)ρ + 1)/n at n = {_INPUTS}.",
    )


def _figure_claim(name: str, bias: str) -> Claim:
    if name == "sigmoid":  # its curve hardly depends on the bias
        return cone_claim(name, name, bias=bias, false_bias=bias, false_activation="relu")
    resolution = 0.01 if name == "linear" else 0.02  # its curves are low
    return cone_claim(name, name, bias=bias, false_bias="normal" if bias == "none" else "none", resolution=resolution)


def _band(sd: dict[int, float], digits: float) -> list[float]:
    """Return five standard deviations of one network at the layers of `sd`, and what rounding and finite width add."""
    return [5 * value + digits + _FINITE_WIDTH for value in sd.values()]


def _with_diagonal(activation: str, bias: str, layers: tuple[int, ...]) -> np.ndarray:
    return np.asarray(mean_with_diagonal(mean_field(activation, bias), _INPUTS))[list(layers)]


RELU_SD = {1: 0.0008, 2: 0.0115, 3: 0.0162, 5: 0.0185, 10: 0.0056, 15: 0.0003}
TANH_SD = {10: 0.0053, 25: 0.0309}
"""Standard deviations of one network by layer, predicted by `conetheory.cone_band` (kept here because that takes time)."""
_NO_BIAS_TANH = (0.052, 0.33)  # digitised from the figure of the authors' folder no_bias, layers 10 and 25


def _cells(layers: Iterable[int]) -> tuple[dict[str, float], ...]:
    return tuple({"layer": float(layer)} for layer in layers)


CLAIMS = (
    *(_figure_claim(name, bias) for name in _ACTIVATIONS for bias in _BIAS_VARIANCE),
    Claim(
        id="liang.fig2b.printed_relu",
        paper=PAPER,
        section="Fig. 2(b), printed values of the notebook",
        statement="The printed curve of ReLU with biases, one draw, lies within five standard deviations of the mean-field curve.",
        formula=r"|c_l - \bar c_l| \le 5\,\mathrm{sd}_l",
        kind="value",
        predict=lambda: _with_diagonal("relu", "normal", tuple(RELU_SD)),
        tolerance=_band(RELU_SD, 5e-7),
        measure=Computed(compute=lambda: [PRINTED[layer] for layer in RELU_SD], error=1e-9),
        grid=_cells(RELU_SD),
        resolution=1e-4,
        note="One draw of one network: the tolerance is five standard deviations over networks, and the digits read.",
        plants=(
            Plant(
                name="no_bias",
                statement="It is a draw without biases.",
                predict=lambda: _with_diagonal("relu", "none", tuple(RELU_SD)),
            ),
        ),
    ),
    Claim(
        id="liang.fig2b.includes_diagonal",
        paper=PAPER,
        section="Fig. 2(b), printed values of the notebook",
        statement="The mean of Fig. 2(b) includes the diagonal: independent inputs start at 1/1024, not at 0.",
        formula=r"\frac{(n-1)\rho + 1}{n}\Big|_{\rho = 0} = \frac{1}{1024}",
        kind="value",
        predict=lambda: float(mean_with_diagonal(0.0, _INPUTS)),
        tolerance=5 * np.sqrt(2 / _WIDTH) / _INPUTS,
        measure=Computed(compute=lambda: PRINTED[0], error=5e-7),
        resolution=1e-4,
        plants=(Plant(name="different_inputs_only", statement="It leaves the diagonal out.", predict=lambda: 0.0),),
        note="The tolerance is five standard deviations of the mean of 1024 · 1023 / 2 cosines of independent inputs.",
    ),
    Claim(
        id="liang.fig2b.no_bias_folder",
        paper=PAPER,
        section="the authors' folder no_bias",
        statement="The Tanh curve in the folder no_bias belongs to networks without biases.",
        formula=r"\rho_{10} = .052,\ \rho_{25} = .33",
        kind="value",
        predict=lambda: _with_diagonal("tanh", "none", tuple(TANH_SD)),
        tolerance=0.005,
        measure=Computed(compute=lambda: list(_NO_BIAS_TANH), error=0.005),
        grid=_cells(TANH_SD),
        resolution=0.01,
        expected="refuted",
        plants=(
            Plant(
                name="relu",
                statement="It is that of ReLU without biases.",
                predict=lambda: _with_diagonal("relu", "none", tuple(TANH_SD)),
            ),
        ),
        note="Without biases Tanh stays at 1/1024. Only the linear network of that folder has none; the others keep the framework's default biases.",
    ),
    Claim(
        id="liang.fig2b.no_bias_folder_corrected",
        paper=OURS,
        section="erratum to the folder no_bias",
        statement="The Tanh curve in the folder no_bias belongs to networks with the framework's default biases.",
        formula=r"\rho_{10} = .052,\ \rho_{25} = .33",
        kind="value",
        predict=lambda: _with_diagonal("tanh", "torch_default", tuple(TANH_SD)),
        tolerance=_band(TANH_SD, 0.005),
        measure=Computed(compute=lambda: list(_NO_BIAS_TANH), error=0.005),
        grid=_cells(TANH_SD),
        resolution=0.01,
        note="One draw of one network: the tolerance is five standard deviations over networks, and the digits read.",
        plants=(
            Plant(
                name="without_bias",
                statement="It belongs to networks without biases.",
                predict=lambda: _with_diagonal("tanh", "none", tuple(TANH_SD)),
            ),
        ),
    ),
    Claim(
        id="liang.fig2b.nonlinearity_alone",
        paper=PAPER,
        section="Sec. 2.2",
        statement="A non-linear activation alone makes the cone: 25 layers of Tanh without biases reach a mean cosine of .1.",
        formula=r"\rho_{25} \ge 0.1",
        kind="qualitative",
        relation="at_least",
        predict=lambda: 0.1,
        measure=_curves("tanh", "none", last_only=True),
        grid=_cells((_DEPTH,)),
        resolution=0.02,
        expected="refuted",
        plants=(Plant(name="a_narrow_cone", statement="They reach .9.", predict=lambda: 0.9),),
        note="Odd activations keep the mean cosine of independent inputs at 0 where there is no bias. The rise of Tanh in Fig. 2(b) is the bias's.",
    ),
)
