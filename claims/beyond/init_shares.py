"""Theorem 2 beyond ReLU and its bias: exact shares for any activation, a sharp bound, an interval. Ours."""

from collections.abc import Callable
from functools import cache

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Joint, Mean, PerCell, Proportion, Tally
from conetheory.meanfield import cone_curve
from conetheory.mlp_shares import mlp_share, share_bound
from conetheory.variance_components import share_interval
from sims.init_variance import between_and_total, sample_features

__all__ = ["CLAIMS"]

_WIDTH, _MODELS, _INPUTS, _DEPTH = 32, 8, 8, 3  # of one crossed experiment
_BIAS = {"tanh": 0.2, "sigmoid": 0.2, "relu": 0.0}  # variance per unit; inputs have mean square 1
_FINITE_WIDTH = 0.25 / _WIDTH  # `mlp_share_at_width` differs by at most .24 / width from the limit here
_PILOT, _PILOT_SEED = 32, 20220303
_SHARED = ("tanh", "sigmoid")
_GRID = tuple(
    {"activation": float(i), "layer": float(layer), "after": float(after)}
    for i, _ in enumerate(_SHARED)
    for after in (0, 1)
    for layer in range(1, _DEPTH + 1)
)
_LAYERS = tuple({"layer": float(layer)} for layer in range(2, _DEPTH + 1))
_DESIGN = {"models": 20, "inputs": 6, "dims": 4}  # few inputs, so that their choice matters
_SHARES = tuple({"share": share, **{name: float(n) for name, n in _DESIGN.items()}} for share in (0.2, 0.8))


def _components(activation: str, rng: np.random.Generator) -> np.ndarray:
    """Return variance between models, and in all, for pre- and post-activations of each layer, of one experiment."""
    features = sample_features(
        _MODELS,
        _INPUTS,
        width=_WIDTH,
        depth=_DEPTH,
        dim_in=_WIDTH,
        n_units=_WIDTH,
        sigma_b2=_WIDTH * _BIAS[activation],
        activation=activation,
        norm=np.sqrt(_WIDTH),
        rng=rng,
    )
    return between_and_total(np.concatenate([features.pre, features.post]))


@cache
def _pilot(activation: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean components of a pilot sample, which is the same for all samples."""
    between, total = np.mean(
        [_components(activation, stream) for stream in np.random.default_rng(_PILOT_SEED).spawn(_PILOT)], axis=0
    )
    return between, total


def _shares(activation: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n trials whose mean is each share, (n, 2 depth): the ratio, linearised where a pilot sample puts it."""
    between, total = _pilot(activation)
    share = between / total
    trials = np.array([_components(activation, stream) for stream in rng.spawn(n)])
    return share + (trials[:, 0] - share * trials[:, 1]) / total


def _rows(columns: Callable[[str], tuple[np.ndarray, ...]]) -> np.ndarray:
    return np.concatenate([column for activation in _SHARED for column in columns(activation)])


def _predicted() -> np.ndarray:
    shares = {name: mlp_share(name, _DEPTH, sigma_b2=_BIAS[name]) for name in _SHARED}
    return _rows(lambda name: (shares[name].pre, shares[name].post))


def _draw_shares(rng: np.random.Generator, n: int) -> Tally:
    streams = rng.spawn(len(_SHARED))
    return Tally.of(np.concatenate([_shares(name, s, n) for name, s in zip(_SHARED, streams, strict=True)], axis=1))


def _deep_post(activation: str) -> Joint:
    """Return the measurement of the shares after the activation from layer 2 on."""
    return Joint(
        rule=Mean(),
        first=64,
        quick=128,
        full=2048,
        draw=lambda rng, n: Tally.of(_shares(activation, rng, n)[:, _DEPTH + 1 :]),
    )


def _beta(activation: str) -> np.ndarray:
    """Return the mean-field cosine of the layer below, from layer 2 on."""
    return cone_curve(activation, _DEPTH, sigma_b2=_BIAS[activation]).rho[1:-1]


def _bound(activation: str, *, factor: float = 1.0) -> np.ndarray:
    curve, bias = cone_curve(activation, _DEPTH, sigma_b2=_BIAS[activation]), _BIAS[activation]
    bounds = [
        share_bound(float(rho), activation, q=float(q), sigma_b2=bias)
        for q, rho in zip(curve.q[1:-1], curve.rho[1:-1], strict=True)
    ]
    return 1 - factor * (1 - np.array(bounds))


def _draw_interval(rng: np.random.Generator, n: int, at: At, *, inputs_given: bool = False) -> Tally:
    """Tally whether the interval for normal effects of models and inputs holds their share."""
    shape = (n, _DESIGN["models"], _DESIGN["inputs"], _DESIGN["dims"])
    models = rng.standard_normal((shape[0], shape[1], 1, shape[3]))
    inputs = rng.standard_normal((shape[0], 1, *shape[2:]))
    found = [share_interval(x) for x in np.sqrt(at["share"]) * models + np.sqrt(1 - at["share"]) * inputs]
    if inputs_given:
        return Tally.of([abs(one.share - at["share"]) <= 2.093 * one.stderr_models for one in found])
    return Tally.of([one.low <= at["share"] <= one.high for one in found])


def _interval(*, inputs_given: bool = False) -> PerCell:
    return PerCell(
        rule=Proportion(),
        first=512,
        quick=1024,
        full=1 << 14,
        draw=lambda rng, n, at: _draw_interval(rng, n, at, inputs_given=inputs_given),
    )


CLAIMS = (
    Claim(
        id="conetheory.initialisation.shares",
        paper=OURS,
        section="docs/theory.md, section 18",
        statement="For tanh and sigmoid too, the share of initialisation is given by the mean-field recursion, before and after each activation.",
        formula=r"\frac{\sigma_w^2 q \rho + \sigma_b^2}{k},\quad 1 - \frac{q'(1 - \rho')}{\mathrm{Var}\,\phi(\sqrt{k} z)}",
        kind="value",
        predict=_predicted,
        tolerance=_FINITE_WIDTH,
        measure=Joint(rule=Mean(), first=64, quick=256, full=4096, draw=_draw_shares),
        grid=_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="the_cosine",
                statement="It is the mean cosine after the layer, before and after the activation.",
                predict=lambda: _rows(
                    lambda name: (cone_curve(name, _DEPTH, sigma_b2=_BIAS[name]).rho[1:],) * 2,
                ),
            ),
        ),
        note="Activations by number: 0 tanh, 1 sigmoid. The tolerance is the remainder of order 1/width, computed for normal inputs; these are uniform on a sphere.",
    ),
    Claim(
        id="conetheory.initialisation.needs_bias",
        paper=OURS,
        section="docs/theory.md, section 18; Theorem 4",
        statement="Without biases the share of a ReLU unit is less than β, the mean cosine of the layer before.",
        formula=r"\sigma_b = 0,\ 0 < \beta < 1:\quad \mathrm{share} < \beta",
        kind="inequality",
        relation="at_most",
        predict=lambda: _beta("relu"),
        measure=_deep_post("relu"),
        grid=_LAYERS,
        resolution=0.05,
        plants=(Plant(name="theorem_4", statement="It is at least β, as with biases.", relation="at_least"),),
        note="Theorem 4 has biases of the variance of the weights; its bound β needs a bias, for every activation that is not affine.",
    ),
    Claim(
        id="conetheory.initialisation.bound",
        paper=OURS,
        section="docs/theory.md, section 18",
        statement="The share of a tanh unit is at least 1 − C(1 − β), C the mean square slope over the variance.",
        formula=r"1 - \frac{\sigma_w^2 q\,\mathbb{E}\,\phi'(\sqrt{k} z)^2}{\mathrm{Var}\,\phi(\sqrt{k} z)}(1 - \beta)",
        kind="inequality",
        relation="at_least",
        predict=lambda: _bound("tanh"),
        tolerance=1 / _WIDTH,
        measure=_deep_post("tanh"),
        grid=_LAYERS,
        resolution=0.05,
        plants=(
            Plant(
                name="half_of_the_constant",
                statement="It is at least 1 − C(1 − β)/2.",
                predict=lambda: _bound("tanh", factor=0.5),
            ),
        ),
    ),
    Claim(
        id="conetheory.initialisation.interval",
        paper=OURS,
        section="docs/theory.md, section 18",
        statement="The 95 % interval for the share holds it in 95 % of the crossed experiments, or a little more.",
        formula=r"P(\mathrm{low} \le \mathrm{share} \le \mathrm{high}) \ge 0.95",
        kind="inequality",
        relation="at_least",
        predict=lambda: np.full(len(_SHARES), 0.95),
        tolerance=0.02,
        measure=_interval(),
        grid=_SHARES,
        resolution=0.06,
        plants=(
            Plant(
                name="inputs_taken_as_given",
                statement="It does so if it allows for the choice of the models alone.",
                measure=_interval(inputs_given=True),
            ),
        ),
        note="Normal effects of 20 models and 6 inputs, in 4 dimensions. The tolerance is what simulations of other designs miss.",
    ),
)
