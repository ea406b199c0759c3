"""Theorem 2: how much of the variance of an intermediate output is due to the random initialisation."""

from collections.abc import Callable

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.measure import Joint, Mean, Tally
from conetheory.init_variance import proof_bound, relu_share, theorem4_bound
from conetheory.meanfield import relu_unit_norm_recursion
from sims.init_variance import LayerFeatures, between_and_total, sample_features

__all__ = ["CLAIMS"]

_WIDTH, _MODELS, _INPUTS = 128, 16, 16  # of one crossed experiment, which is one trial
_DEPTH = 8
_LAYERS = tuple({"layer": float(layer)} for layer in range(1, _DEPTH + 1))
_TOTAL = 1 - 1 / np.pi  # d times the variance of a unit, for inputs of norm 1
_SHARE = relu_share(_DEPTH)
_RHO = relu_unit_norm_recursion(_DEPTH)
# Of 1 − share: the shift of order 1/width at the simulated width is .0009 to .0067 (conetheory.mlp_shares; a test compares).
_FINITE_WIDTH = 0.0075


def _experiment(rng: np.random.Generator, depth: int = _DEPTH) -> LayerFeatures:
    return sample_features(_MODELS, _INPUTS, width=_WIDTH, depth=depth, dim_in=_WIDTH, n_units=_WIDTH, rng=rng)


def _trials(statistic: Callable[[LayerFeatures], np.ndarray], *, quick: int = 128, full: int = 1024) -> Joint:
    """Return the measurement of `statistic`, one number a layer, over independent crossed experiments."""
    return Joint(
        rule=Mean(),
        first=64,
        quick=quick,
        full=full,
        draw=lambda rng, n: Tally.of([statistic(_experiment(stream)) for stream in rng.spawn(n)]),
    )


def _share(features: LayerFeatures) -> np.ndarray:
    """Return an estimate of each layer's share that averages without bias: the ratio, linearised at what theory predicts."""
    between, total = between_and_total(features.post)
    return between / _TOTAL + _SHARE * (1 - total / _TOTAL)


def _total(features: LayerFeatures) -> np.ndarray:
    return between_and_total(features.post)[1]


def _squares(features: LayerFeatures) -> np.ndarray:
    return features.mean_square[1:].mean(axis=1)


def _products(features: LayerFeatures) -> np.ndarray:
    return features.mean_dot[1:].mean(axis=1)


def _preactivation_residual(features: LayerFeatures, bias: float = 1.0) -> np.ndarray:
    """Return the variance between models of each pre-activation, less the mean product of the layer before and the bias."""
    between, _ = between_and_total(features.pre)
    return between - (features.mean_dot[:-1].mean(axis=1) + bias)


CLAIMS = (
    Claim(
        id="liang.theorem2.bound",
        paper=PAPER,
        section="Theorem 2, Theorem 4 of App. D",
        statement="The share of the variance due to initialisation is at least β, the mean cosine of the layer before.",
        formula=r"\frac{\mathrm{Var}[\mathbb{E}[h^{(l)}_k \mid \Theta]]}{\mathrm{Var}[h^{(l)}_k]} \ge \beta",
        kind="inequality",
        relation="at_least",
        predict=lambda: theorem4_bound(_RHO[:-1]),
        tolerance=_FINITE_WIDTH * (1 - _RHO[:-1]),
        measure=_trials(_share),
        grid=_LAYERS,
        resolution=np.minimum(0.02, (_SHARE - theorem4_bound(_RHO[:-1])) / 4),
        plants=(
            Plant(name="reversed_inequality", statement="It is at most β.", relation="at_most"),
            Plant(
                name="same_layer",
                statement="It is at least the mean cosine of the layer itself.",
                predict=lambda: theorem4_bound(_RHO[1:]),
            ),
        ),
    ),
    Claim(
        id="liang.theorem2.proof_bound",
        paper=PAPER,
        section="App. D, proof of Theorem 4",
        statement="The proof gives more than the theorem says: the share is at least 1 − .7335 (1 − β).",
        formula=r"1 - \frac{\pi}{2(\pi - 1)}(1 - \beta)",
        kind="inequality",
        relation="at_least",
        predict=lambda: proof_bound(_RHO[:-1]),
        tolerance=_FINITE_WIDTH * (1 - _RHO[:-1]),
        measure=_trials(_share),
        grid=_LAYERS,
        resolution=np.minimum(0.02, (1 - proof_bound(_RHO[:-1])) / 4),
        plants=(
            Plant(
                name="half_of_the_constant",
                statement="It is at least 1 − .3668 (1 − β).",
                predict=lambda: 1 - np.pi / (4 * (np.pi - 1)) * (1 - _RHO[:-1]),
            ),
        ),
    ),
    Claim(
        id="liang.theorem2.second_moment.printed",
        paper=PAPER,
        section="App. D, proof of Theorem 4",
        statement="The second moment of a unit after the ReLU is (1 + E‖h‖²)/d.",
        formula=r"\mathbb{E}[(h^{(l)}_k)^2] = (1 + \mathbb{E}\|h^{(l-1)}\|^2)/d",
        kind="identity",
        predict=lambda: [2.0, 2.0],
        measure=_trials(lambda features: _squares(features)[:2]),
        grid=_LAYERS[:2],
        resolution=0.05,
        expected="refuted",
        plants=(Plant(name="a_quarter", statement="It is (1 + E‖h‖²)/(4d).", predict=lambda: [0.5, 0.5]),),
        note="The ReLU halves the second moment: it is (1 + E‖h‖²)/(2d). The line misses a factor ½; the end of the proof is right.",
    ),
    Claim(
        id="liang.theorem2.unit_norm",
        paper=PAPER,
        section="App. D",
        statement="With inputs of norm 1 the mean squared norm is 1 after every layer.",
        formula=r"\mathbb{E}\|h^{(l)}\|^2 = \tfrac12 (1 + \mathbb{E}\|h^{(l-1)}\|^2) = 1",
        kind="identity",
        predict=lambda: np.ones(_DEPTH),
        measure=_trials(_squares),
        grid=_LAYERS,
        resolution=0.08,
        plants=(
            Plant(
                name="without_the_relu",
                statement="It grows by 1 with every layer.",
                predict=lambda: 1.0 + np.arange(1, _DEPTH + 1),
            ),
        ),
    ),
    Claim(
        id="liang.theorem2.variance_bound",
        paper=PAPER,
        section="App. D, proof of Theorem 4",
        statement="The variance of a unit is at least (1 + E‖h‖²)(π − 1)/(2πd).",
        formula=r"\mathrm{Var}[h^{(l)}_k] \ge \frac{1 + \mathbb{E}\|h^{(l-1)}\|^2}{d}\,\frac{\pi - 1}{2\pi}",
        kind="inequality",
        relation="at_least",
        predict=lambda: np.full(_DEPTH, _TOTAL),
        measure=_trials(_total),
        grid=_LAYERS,
        resolution=0.06,
        plants=(
            Plant(name="second_moment", statement="It is at least (1 + E‖h‖²)/(2d).", predict=lambda: np.ones(_DEPTH)),
        ),
    ),
    Claim(
        id="liang.theorem2.cone_recursion",
        paper=OURS,
        section="App. D, link of β to the mean cosine",
        statement="The mean product of two features follows ρ → κ((1 + ρ)/2), so .609, .831, .923 after three layers.",
        formula=r"\rho_{l+1} = \kappa\big(\tfrac{1 + \rho_l}{2}\big),\quad \rho_0 = 0",
        kind="value",
        predict=lambda: _RHO[1:],
        tolerance=_FINITE_WIDTH,
        measure=_trials(_products),
        grid=_LAYERS,
        resolution=0.05,
        plants=(
            Plant(
                name="without_bias",
                statement="It follows ρ → κ(ρ).",
                predict=lambda: [0.318310, 0.494072, 0.604845, 0.680763, 0.735643, 0.776911, 0.808900, 0.834238],
            ),
        ),
    ),
    Claim(
        id="conetheory.theorem2.preactivation_share",
        paper=OURS,
        section="docs/theory.md, section 4",
        statement="Before the ReLU the variance due to initialisation is, at every width, the mean product of the layer before plus the bias variance.",
        formula=r"d\,\mathrm{Var}\,\mathbb{E}[z_k \mid \Theta] = \sigma_w^2\,\mathbb{E}[g \cdot g'] + \sigma_b^2",
        kind="identity",
        predict=lambda: np.zeros(_DEPTH),
        measure=_trials(_preactivation_residual),
        grid=_LAYERS,
        resolution=0.1,
        plants=(
            Plant(
                name="dropped_bias",
                statement="It is the mean product of the layer before.",
                measure=_trials(lambda features: _preactivation_residual(features, bias=0.0)),
            ),
        ),
        note="The difference of the two sides, both measured on the same networks, is compared with 0.",
    ),
    Claim(
        id="conetheory.theorem2.relu_share",
        paper=OURS,
        section="docs/theory.md, section 4",
        statement="After the ReLU the share of initialisation is (ρ − 1/π)/(1 − 1/π), so .426, .752, .887, .947 at layers 1 to 4.",
        formula=r"\frac{\rho_L - 1/\pi}{1 - 1/\pi}",
        kind="value",
        predict=lambda: _SHARE,
        tolerance=_FINITE_WIDTH * (1 - _SHARE),
        measure=_trials(_share),
        grid=_LAYERS,
        resolution=np.minimum(0.015, 0.15 * (1 - _SHARE)),
        plants=(
            Plant(name="uncentred", statement="It is ρ, the mean cosine itself.", predict=lambda: _RHO[1:]),
            Plant(name="the_bound", statement="It is β: the theorem is an equality.", predict=lambda: _RHO[:-1]),
        ),
    ),
)
