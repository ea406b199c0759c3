"""The cone curve at finite width: where the mean cosine of one random network lies, and how far it scatters. Ours."""

from collections.abc import Callable
from functools import cache

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang.cone import PRINTED
from claims.measure import Computed, Joint, Mean, Proportion, Rule, Tally
from conetheory.cone_band import ConeBand, cone_band
from sims.deep_mlp import small_cone_curves

__all__ = ["CLAIMS"]

_WIDTH, _INPUTS, _DEPTH = 32, 4, 4  # narrow: what is left out, of the second order in 1/width, would show
_ACTIVATIONS = ("linear", "relu", "leaky_relu", "tanh", "sigmoid")
_LAYERS = (1, _DEPTH)
_GRID = tuple(
    {"activation": float(i), "layer": float(layer), "width": float(_WIDTH)}
    for i, _ in enumerate(_ACTIVATIONS)
    for layer in _LAYERS
)
_SHIFT_LAYERS = (1, 2, 3)
_PRINTED_LAYERS = range(1, 21)  # the printed digits end at 1e-6, a fair part of 1 - c from here on


@cache
def _band(activation: str, *, width: int = _WIDTH, n_inputs: int = _INPUTS, depth: int = _DEPTH) -> ConeBand:
    return cone_band(activation, depth, width, n_inputs, sigma_b2=1 / _WIDTH, input_dim=width)


def _over_networks(
    trial: Callable[[str, np.ndarray], np.ndarray], rule: Rule, *, quick: int = 2048, full: int = 1 << 15
) -> Joint:
    """Return the measurement of ``trial(activation, cosines)``, (networks, layers) for each activation."""

    def draw(rng: np.random.Generator, n: int) -> Tally:
        found = []
        for activation, stream in zip(_ACTIVATIONS, rng.spawn(len(_ACTIVATIONS)), strict=True):
            curves = small_cone_curves(activation, n, width=_WIDTH, n_inputs=_INPUTS, depth=_DEPTH, rng=stream)
            found.append(trial(activation, curves)[:, list(_LAYERS)])
        return Tally.of(np.concatenate(found, axis=1))

    return Joint(rule=rule, first=1024, quick=quick, full=full, draw=draw)


def _inside(activation: str, cosines: np.ndarray, *, width: int = _WIDTH) -> np.ndarray:
    band = _band(activation, width=width)
    return (band.low < cosines) & (cosines < band.high)


def _squares(activation: str, cosines: np.ndarray) -> np.ndarray:
    band = _band(activation)
    return ((cosines - band.mean) / band.stddev) ** 2


def _of_independent_pairs() -> np.ndarray:
    """Return the variance if pairs of inputs scattered independently, over the predicted one."""
    pairs = _INPUTS * (_INPUTS - 1) / 2
    ratios = [(_band(name, n_inputs=2).stddev / _band(name).stddev) ** 2 / pairs for name in _ACTIVATIONS]
    return np.concatenate([ratio[list(_LAYERS)] for ratio in ratios])


def _draw_shift(rng: np.random.Generator, n: int) -> Tally:
    """Tally d (c̄ − ρ) of ReLU networks."""
    depth = max(_SHIFT_LAYERS)
    curves = small_cone_curves("relu", n, width=_WIDTH, n_inputs=8, depth=depth, rng=rng)
    return Tally.of(_WIDTH * (curves - _band("relu", depth=depth).rho)[:, list(_SHIFT_LAYERS)])


def _shift(sign: float = 1.0) -> np.ndarray:
    return sign * _WIDTH * _band("relu", depth=max(_SHIFT_LAYERS)).shift[list(_SHIFT_LAYERS)]


def _printed_deviations(*, sigma_b2: float = 1 / 512) -> np.ndarray:
    """Return the distance of ln(1 − c), c the printed means less their diagonal, from its mean in standard deviations."""
    layers, n = list(_PRINTED_LAYERS), 1024
    band = cone_band("relu", max(layers), 512, n, sigma_b2=sigma_b2, input_dim=512)
    cosine = (n * np.array(PRINTED)[layers] - 1) / (n - 1)
    spread = band.relative_stddev[layers]
    centre = (np.log1p(-band.low) + np.log1p(-band.high))[layers] / 2
    return (np.log1p(-cosine) - centre) / spread


CLAIMS = (
    Claim(
        id="conetheory.cone_band.coverage",
        paper=OURS,
        section="docs/theory.md, section 17",
        statement="The predicted 95 % band holds 95 % of random networks of width 32, for five activations.",
        formula=r"P\left(|\ln(1 - \bar c_l) - m_l| \le 1.96\, s_l\right) = 0.95",
        kind="value",
        predict=lambda: np.full(len(_GRID), 0.95),
        tolerance=0.01,
        measure=_over_networks(_inside, Proportion()),
        grid=_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="half_as_wide",
                statement="Half the standard deviation is enough.",
                measure=_over_networks(
                    lambda activation, cosines: _inside(activation, cosines, width=4 * _WIDTH), Proportion()
                ),
            ),
        ),
        note="Activations by number: " + ", ".join(f"{i} {name}" for i, name in enumerate(_ACTIVATIONS)) + ".",
    ),
    Claim(
        id="conetheory.cone_band.variance",
        paper=OURS,
        section="docs/theory.md, section 17",
        statement="The mean square deviation of a network's mean cosine is the predicted variance, up to twice depth over width.",
        formula=r"\mathbb{E}(\bar c_l - \rho_l - s_l)^2 / \mathrm{Var}_l = 1",
        kind="rate",
        predict=lambda: np.ones(len(_GRID)),
        tolerance=[2 * at["layer"] / _WIDTH for at in _GRID],
        measure=_over_networks(_squares, Mean()),
        grid=_GRID,
        resolution=0.3,
        plants=(
            Plant(
                name="independent_pairs",
                statement="It falls with the number of pairs of inputs, as if they scattered independently.",
                predict=_of_independent_pairs,
            ),
        ),
        note="All pairs see the same weights: more inputs make the scatter over networks hardly smaller.",
    ),
    Claim(
        id="conetheory.cone_band.shift",
        paper=OURS,
        section="docs/theory.md, section 17",
        statement="The mean over ReLU networks of width d differs from mean field by the predicted multiple of 1/d, layer by layer.",
        formula=r"d\,(\mathbb{E}\,\bar c_l - \rho_l)",
        kind="rate",
        predict=_shift,
        tolerance=2 / _WIDTH,
        measure=Joint(rule=Mean(), first=1 << 12, quick=1 << 13, full=1 << 17, draw=_draw_shift),
        grid=tuple({"layer": float(layer), "width": float(_WIDTH)} for layer in _SHIFT_LAYERS),
        resolution=0.25,
        plants=(
            Plant(name="no_shift", statement="It does not differ at this order.", predict=lambda: _shift(0.0)),
            Plant(name="reversed_sign", statement="It differs by the opposite.", predict=lambda: _shift(-1.0)),
        ),
    ),
    Claim(
        id="conetheory.cone_band.printed_curve",
        paper=OURS,
        section="docs/theory.md, section 17; Fig. 2(b)",
        statement="The printed curve of ReLU with biases lies within three predicted standard deviations of mean field at each of 20 layers.",
        formula=r"|\ln(1 - c_l) - m_l| / s_l \le 3",
        kind="value",
        predict=lambda: np.zeros(len(_PRINTED_LAYERS)),
        tolerance=3.0,
        measure=Computed(compute=_printed_deviations, error=0.05),
        grid=tuple({"layer": float(layer)} for layer in _PRINTED_LAYERS),
        resolution=0.1,
        plants=(
            Plant(
                name="no_bias",
                statement="It lies within that of networks without biases.",
                measure=Computed(compute=lambda: _printed_deviations(sigma_b2=0.0), error=0.05),
            ),
        ),
        note="Nothing is fitted: width 512, 1024 inputs and the variances of the notebook give the band.",
    ),
)
