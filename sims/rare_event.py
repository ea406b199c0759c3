r"""Failures of Theorem 1 far too rare to be seen, sampled: one random ReLU layer under an exponential tilt.

A failure (not :math:`c' > c_0`) needs :math:`\sum X \le 0` over the units, :math:`X = \phi\phi' - \tfrac{c_0}{2}(\phi^2
+ \phi'^2)`, whose mean is positive below the sharp threshold. Under the law tilted by :math:`e^{-tX}` a failure is
common, and

.. math:: P(\text{failure}) = M(t)^d\, E_t\bigl[e^{t\sum X};\ \text{failure}\bigr], \qquad M(t) = E e^{-tX},

at every t. The cosine does not change where all units of a group grow by a common factor, so a trial draws directions
only, and the scales of two groups, :math:`X > 0` and :math:`X \le 0`, are integrated out: the relative error of a trial
is then the same, about 0.6, at every width. The exponent is at most 0 on failure: each weight lies in
:math:`[0, M(t)^d]`, so an interval for bounded variables holds at any tilt, however badly chosen (`docs/theory.md`,
section 13).

References
----------
.. [1] S. Asmussen and P. W. Glynn, "Stochastic Simulation", 2007, chapters V.4 and VI.
.. [2] A. Maurer and M. Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from conetheory._arrays import as_array, as_cosine, as_count
from conetheory._preactivation import angle, layer_of, margin
from conetheory._relu_tilt import tilt as dominating_tilt
from conetheory._relu_tilt import tilted_unit
from sims._layer_trials import as_width
from sims._streams import map_blocks
from sims._tilted_kernels import TiltedLaw
from sims._tilted_trials import log_weights
from sims.estimate import Estimate
from sims.intervals import Interval, empirical_bernstein

__all__ = ["TiltedSample", "sample_failure_probability", "sample_tilted_failures"]

_LEAST = 1e-300  # below, a double has no room left for the digits of a standard error
_LEAST_COSINE = 1e-100  # below, the edge 1/(c sin^2) of the tilts nears the largest double
_TINY = 1e-200  # stands for x = 0 in sin(sqrt(x) w)/sqrt(x): the limit, to rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class TiltedSample:
    """Weights of independent tilted trials, whose mean estimates a probability that may be too small for a double.

    Attributes
    ----------
    log_value : float
        Natural logarithm of the estimate; -inf where no trial failed.
    relative_stderr : float
        Standard error of the estimate over the estimate; infinite where no trial failed.
    log_bound : float
        Natural logarithm of the largest value that a weight can take.
    tilt : float
        Tilt t of the trials; infinite where the event itself was drawn.
    n : int
        Trials.
    """

    log_value: float
    relative_stderr: float
    log_bound: float
    tilt: float
    n: int

    def estimate(self) -> Estimate:
        """Return the estimate and its standard error; ValueError below 1e-300, and where no trial failed.

        No failing trial says that the probability is small, with no standard error that could say how small: `interval`
        does.
        """
        if self.log_value == -math.inf:
            raise ValueError("`log_value` must be finite to have a standard error, got -inf: no trial failed.")
        if self.log_value < math.log(_LEAST):
            raise ValueError(
                f"`log_value` must be at least {math.log(_LEAST):.1f} to be held as a number with a standard error, "
                f"got {self.log_value!r}: keep the logarithm."
            )
        value = math.exp(self.log_value)
        return Estimate(value=value, stderr=value * self.relative_stderr, n=self.n)

    def interval(self, level: float) -> Interval:
        """Return an interval; `level` is the chance that it misses the probability, as in `sims.intervals`.

        It is valid at any tilt and any n [2]_. It is that of `log_interval`; an end that underflows is 0 at the lower
        side and the least double at the upper.
        """
        logs = self.log_interval(level)
        return Interval(low=math.exp(logs.low), high=max(math.exp(min(logs.high, 0.0)), math.ulp(0.0)))

    def log_interval(self, level: float) -> Interval:
        """Return the logarithms of the ends of the interval, cut to [0, 1]; `level` is the chance that it misses."""
        mean = math.exp(self.log_value - self.log_bound)  # of the weights over their bound, in [0, 1]
        variance = self.n * (self.relative_stderr * mean) ** 2 if mean > 0 else 0.0
        found = empirical_bernstein(min(mean, 1.0), variance, self.n, 0.0, 1.0, level)
        low = self.log_bound + math.log(found.low) if found.low > 0 else -math.inf
        return Interval(low=low, high=min(self.log_bound + math.log(found.high), 0.0))


def sample_failure_probability(
    cosine: float,
    norm_u: float,
    norm_v: float,
    width: int,
    *,
    n_trials: int,
    rng: np.random.Generator | int | None = None,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
    tilt: float | None = None,
    workers: int = 1,
) -> Estimate:
    r"""Estimate the probability that a random ReLU layer fails to raise the cosine, down to 1e-300.

    The event and its parameters are those of `sims.relu_layer.count_failures`; only the law that is drawn from
    differs. With the default tilt the relative standard error is about :math:`0.6/\sqrt n`, however small the
    probability: some thousand trials give one per cent.

    Parameters
    ----------
    cosine, norm_u, norm_v, width, n_trials, rng, sigma_w2, sigma_b2, tilt, workers
        As in `sample_tilted_failures`.

    Returns
    -------
    Estimate
        The probability, its standard error and `n_trials`. With the default tilt the weights have few extremes and the
        standard error can be trusted from some thousand trials on. With a `tilt` of your own it cannot: too large a
        tilt misses the failures that carry the probability. `TiltedSample.interval` holds at any tilt.

    Raises
    ------
    ValueError
        Also when the probability is below 1e-300, where `sample_tilted_failures` keeps its logarithm, and when no trial
        failed, where `TiltedSample.interval` says how small it is.

    Examples
    --------
    >>> estimate = sample_failure_probability(0.9, 1.0, 1.0, 2048, n_trials=2_000, rng=0)
    >>> 3e-38 < estimate.value < 5e-38
    True
    """
    return sample_tilted_failures(
        cosine,
        norm_u,
        norm_v,
        width,
        n_trials=n_trials,
        rng=rng,
        sigma_w2=sigma_w2,
        sigma_b2=sigma_b2,
        tilt=tilt,
        workers=workers,
    ).estimate()


def sample_tilted_failures(
    cosine: float,
    norm_u: float,
    norm_v: float,
    width: int,
    *,
    n_trials: int,
    rng: np.random.Generator | int | None = None,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
    tilt: float | None = None,
    workers: int = 1,
) -> TiltedSample:
    r"""Sample the failures of a random ReLU layer under a tilt, and keep the logarithm of their probability.

    Parameters
    ----------
    cosine : float
        cos(u, v), in [-1, 1].
    norm_u, norm_v : float
        Norms of the inputs, at least 0.
    width : int
        Units of the layer.
    n_trials : int
        Number of independent layers, at least 2.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    sigma_w2, sigma_b2 : float
        `width` times the variance of a weight and of a bias; the paper has both 1.
    tilt : float, optional
        Tilt t, in :math:`[0, 1/(c_0 \sin^2\theta_1))`, for a cosine in (0, 1); 0 draws from the law of the layer. By
        default the minimiser of :math:`M`, and 0 where failure is no rare event: from the sharp threshold on.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    TiltedSample
        The estimate as a logarithm, its relative standard error, and an interval at any level.

    Raises
    ------
    ValueError
        If an argument is outside its domain; also when an input gives pre-activations that are zero for certain, and
        for a positive `cosine` below 1e-100, where no tilt can be computed.

    Notes
    -----
    For `cosine` at most 0 the best tilt is infinite, and the failure itself is drawn: at 0 no unit is active for both
    inputs (every weight is the same, the standard error is 0), below 0 one of the outputs is zero;
    `conetheory.contraction.failure_probability_nonpositive` has the exact law. At 1 failure is certain. Success beyond
    the sharp threshold may be as rare as failure below it; this estimates failure there too, which is then near 1.

    Ours: the law of a unit under the tilt in closed form, and the two scales integrated out.

    Examples
    --------
    >>> sample = sample_tilted_failures(0.9, 1.0, 1.0, 40_000, n_trials=500, rng=0)
    >>> round(sample.log_value / math.log(10), 1)  # the probability is about 10^-702
    -701.6
    """
    cosine = float(as_cosine("cosine", cosine))
    width, n_trials = as_width(width), as_count("n_trials", n_trials, minimum=2)
    layer = layer_of(norm_u, norm_v, sigma_w2, sigma_b2)
    theta = float(angle(layer, np.float64(cosine), np.float64(1.0 - cosine)))
    excess = float(margin(layer, np.float64(cosine), np.float64(1.0 - cosine), np.float64(theta)))
    if 0 < cosine < _LEAST_COSINE:
        raise ValueError(f"`cosine` must be at most 0 or at least {_LEAST_COSINE}, got {cosine!r}.")
    if tilt is not None:
        tilt = _checked_tilt(tilt, cosine, theta)
    elif cosine <= 0 or cosine == 1 or theta == 0:
        tilt = math.inf
    else:
        tilt = dominating_tilt(cosine, theta).t if excess > 0 else 0.0
    if tilt == math.inf:
        log_bound, draw = _drawn_failures(cosine, theta, width)
    else:
        law, mgf = _tilted_law(cosine, theta, tilt)
        log_bound, draw = width * math.log(mgf), partial(log_weights, width=width, law=law, cosine=cosine)
    blocks = map_blocks(
        lambda stream, trials: _moments(draw(stream, trials.stop - trials.start)),
        n_trials,
        rng=rng,
        workers=as_count("workers", workers),
    )
    return _summary(np.array(blocks), log_bound, tilt)


def _checked_tilt(tilt: float, cosine: float, theta: float) -> float:
    tilt = float(as_array("tilt", tilt))
    if not 0 < cosine < 1:
        raise ValueError(f"`tilt` is for a `cosine` in (0, 1): the failure itself is drawn at {cosine}, got {tilt}.")
    limit = 1 / (cosine * math.sin(theta) ** 2) if theta > 0 else math.inf
    if not 0 <= tilt < limit:
        raise ValueError(f"`tilt` must lie in [0, 1/(c sin^2)) = [0, {limit:.6g}) here, got {tilt!r}.")
    return tilt


def _tilted_law(cosine: float, theta: float, tilt: float) -> tuple[TiltedLaw, float]:
    """Return the law of one unit under the tilt, and M(t); `docs/theory.md`, 13.2, has the notation."""
    with np.errstate(invalid="ignore"):  # of second moments at θ = 0, which are not asked for
        unit = tilted_unit(tilt, cosine, theta)
    cos_half, sin_half = math.cos(theta / 2), math.sin(theta / 2)
    x, y = 1.0 - 2.0 * tilt * (1.0 + cosine) * sin_half**2, 1.0 + 2.0 * tilt * (1.0 - cosine) * cos_half**2
    x_one = 1.0 - tilt * cosine
    root, root_y, root_one = math.sqrt(max(abs(x), _TINY)), math.sqrt(y), math.sqrt(max(abs(x_one), _TINY))
    active = float(unit.both + 2.0 * unit.one)
    law = TiltedLaw(
        active=active,
        both=float(unit.both) / active,
        turn_both=root * root_y * math.pi * float(unit.mgf * unit.both),
        turn_zero=_turn_zero(x, root * math.sqrt(1.0 - cosine) * cos_half, root_y * math.sqrt(1.0 + cosine) * sin_half),
        turn_one=root_one * 2.0 * math.pi * float(unit.mgf * unit.one),
        even=cos_half / root_y,
        odd=sin_half / root,
        one=1.0 / root_one,
        even_ray=1.0 / root_y,
        odd_ray=1.0 / root,
        hyperbolic_both=x < 0,
        hyperbolic_one=x_one < 0,
    )
    return law, float(unit.mgf)


def _turn_zero(x: float, opposite: float, adjacent: float) -> float:
    """Return the w at which X = 0, where (1 - c) e² = (1 + c) o²; in the hyperbolic case it may not be reached."""
    if x > 0:
        return math.atan2(opposite, adjacent)
    return math.atanh(opposite / adjacent) if opposite < adjacent else math.inf


def _drawn_failures(cosine: float, theta: float, width: int) -> tuple[float, Callable]:
    """Return the logarithm of the largest weight, and the function that draws others relative to it.

    Below cosine 0, and at angle 0, failure means that an output is zero. The first or the second is drawn to be, at
    even chances: the weight is P(first) + P(second), or half of that where both are.
    """
    if cosine == 1:
        return 0.0, lambda stream, n: np.zeros(n)
    if cosine == 0 and theta > 0:
        return width * math.log1p((theta - math.pi) / (2.0 * math.pi)), lambda stream, n: np.zeros(n)

    def draw(stream: np.random.Generator, n: int) -> np.ndarray:
        other_inactive = stream.binomial(width, min(theta / math.pi, 1.0), size=n) == 0
        return np.where(other_inactive, -math.log(2.0), 0.0)

    return (1 - width) * math.log(2.0), draw


def _moments(logs: np.ndarray) -> tuple[float, float, float, float]:
    """Return how many weights there are, ln of the largest, and over it the mean and the sum of squared deviations."""
    peak = float(logs.max())
    weights = np.exp(logs - peak) if peak > -math.inf else np.zeros(logs.size)
    mean = float(weights.mean())
    return logs.size, peak, mean, float(np.sum((weights - mean) ** 2))


def _summary(blocks: np.ndarray, log_bound: float, tilt: float) -> TiltedSample:
    """Return the mean of the weights and its relative standard error from the `_moments` of all blocks."""
    sizes, peaks, means, squares = blocks.T
    peak, n = float(peaks.max()), int(sizes.sum())
    if peak == -math.inf:
        return TiltedSample(log_value=-math.inf, relative_stderr=math.inf, log_bound=log_bound, tilt=tilt, n=n)
    scales = np.exp(peaks - peak)
    means, squares = means * scales, squares * scales**2
    mean = float(sizes @ means) / n
    spread = float(squares.sum() + sizes @ (means - mean) ** 2)
    relative = math.sqrt(spread / (n - 1)) / mean / math.sqrt(n)
    log_value = log_bound + peak + math.log(mean)
    return TiltedSample(log_value=log_value, relative_stderr=relative, log_bound=log_bound, tilt=tilt, n=n)
