r"""Stochastic Riemannian gradient descent of free features: the model of training with batches and treatments.

Of n pairs of unit rows, shuffled before each epoch, a batch of b moves down its own symmetric loss

.. math:: x_i \leftarrow \frac{x_i - \eta P_{x_i}g_i}{|x_i - \eta P_{x_i}g_i|}, \quad g_i = 2b\,\nabla_{x_i}L_b, \qquad
          \nu \leftarrow \nu - \frac bn\kappa\eta\,\frac{\partial L_b}{\partial\nu},

and likewise y. So an epoch is the time η of `sims.gradient_flow`, whatever the batch, and with b = n the descent is
Euler's method for that flow. The loss of a batch is the CLIP loss of its rows, of its swapped rows in a part of the
steps, plus weighted uniformity, alignment and cross-uniformity of `conetheory.contrastive_uniformity` (t = 2).

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Sec. 4.
.. [2] A. Fahim, A. Murphy and A. Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
   2024, arXiv:2405.18570.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_choice, as_count
from conetheory._pairs import unit_pairs
from conetheory._scalars import nonnegative_number, number, positive_number
from conetheory.contrastive import contrastive_loss
from conetheory.contrastive_gradient import PairVectors
from conetheory.errors import ConvergenceError
from conetheory.temperature_laws import ExponentialLaw, FixedLaw, LinearLaw, ScheduledLaw, TemperatureLaw
from sims import _descent_kernels as kernels
from sims._flow_states import FlowState, observe
from sims._streams import block_streams

__all__ = [
    "MOST_SCALE",
    "SWAPS",
    "DescentPlan",
    "DescentSample",
    "FeatureDescent",
    "feature_descent",
    "sample_descents",
]

SWAPS = ("none", "hard", "soft", "row")
MOST_SCALE = kernels.MOST_SCALE
"""Largest logit scale of a descent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentPlan:
    r"""How features descend: checked when it is made, so that a bad value is named there.

    Attributes
    ----------
    law : TemperatureLaw
        How the temperature is trained, or given; a schedule's time is η times the epochs done, with parts of them.
    beta0 : float
        Logit scale at the start, in (0, 300]; the schedule's own where there is one.
    batch : int
        b, pairs in a step, at least 2.
    learning_rate : float
        η, positive; stable below about :math:`4/\beta^2` for any rows, and far above it where the loss is small.
    temperature_rate : float
        κ, at least 0: learning rate of ν relative to the features'.
    swap : {"none", "hard", "soft", "row"}
        What the modalities exchange in a batch: each entry with chance 1/2; a uniform part of each entry; each row
        with chance 1/2 [1]_. The gradient goes through the swap; swapped rows are not normalised again.
    swap_fraction : float
        Part of the steps with a swap, in [0, 1].
    uniformity, alignment, cross : float
        Weights of the terms of [2]_, at least 0: CUA is 1, 1, 0 and CUAXU is 1, 1, 1. They never see swapped rows.

    Raises
    ------
    ValueError, TypeError
        If a value is out of range.
    """

    law: TemperatureLaw
    beta0: float
    batch: int
    learning_rate: float
    temperature_rate: float = 1.0
    swap: str = "none"
    swap_fraction: float = 1.0
    uniformity: float = 0.0
    alignment: float = 0.0
    cross: float = 0.0

    def __post_init__(self) -> None:
        if not positive_number("beta0", self.beta0) <= MOST_SCALE:
            raise ValueError(f"`beta0` must be at most {MOST_SCALE:g}, got {self.beta0!r}.")
        if isinstance(self.law, ScheduledLaw) and not abs(self.law.schedule(0.0) - self.beta0) <= 1e-12 * self.beta0:
            raise ValueError(
                f"`beta0` must be the schedule's value at time 0, {self.law.schedule(0.0)!r}, got {self.beta0!r}."
            )
        as_count("batch", self.batch, minimum=2)
        positive_number("learning_rate", self.learning_rate)
        as_choice("swap", self.swap, SWAPS)
        if not 0 <= number("swap_fraction", self.swap_fraction) <= 1:
            raise ValueError(f"`swap_fraction` must lie in [0, 1], got {self.swap_fraction!r}.")
        for name in ("temperature_rate", "uniformity", "alignment", "cross"):
            nonnegative_number(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureDescent:
    """Descending features at the epochs asked for; all pairs enter each number.

    Attributes
    ----------
    epochs : ndarray of int, shape (records,)
        Epochs done.
    loss : ndarray, shape (records,)
        CLIP loss of all pairs in one batch, in nats, without swap and added terms.
    gap_norm, beta, margin, matched, alignment, uniformity : ndarray, shape (records,)
        As in `sims.gradient_flow.FeatureFlow`.
    x, y : ndarray, shape (n, d)
        Rows at the last record.
    """

    epochs: np.ndarray
    loss: Float[np.ndarray, " records"]
    gap_norm: Float[np.ndarray, " records"]
    beta: Float[np.ndarray, " records"]
    margin: Float[np.ndarray, " records"]
    matched: Float[np.ndarray, " records"]
    alignment: Float[np.ndarray, " records"]
    uniformity: Float[np.ndarray, " records"]
    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "n d"]


def feature_descent(
    x: ArrayLike,
    y: ArrayLike,
    plan: DescentPlan,
    epochs: Sequence[int],
    *,
    rng: np.random.Generator | int | None = None,
) -> FeatureDescent:
    """Let the rows and the temperature descend.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Rows at the start; row i of both is pair i, normalised here. The plan's batch must divide n.
    plan : DescentPlan
        Temperature, steps and treatments.
    epochs : sequence of int
        When the state is recorded: increasing, from 0 on.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`: it shuffles the pairs and draws the swaps.

    Returns
    -------
    FeatureDescent
        States at `epochs`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    ConvergenceError
        If the logit scale leaves (0, 300].

    Notes
    -----
    O(nbd) an epoch, float64. Source: ours, ``docs/theory.md``, 24.1.

    Examples
    --------
    >>> from conetheory.temperature_laws import fixed_law
    >>> plan = DescentPlan(law=fixed_law(), beta0=5.0, batch=2, learning_rate=0.1)
    >>> found = feature_descent(np.eye(4), np.eye(4)[[1, 0, 2, 3]], plan, [0, 200], rng=0)
    >>> found.matched.tolist()
    [0.5, 1.0]
    """
    x, y = (np.ascontiguousarray(rows) for rows in unit_pairs(x, y, minimum=2))
    asked = _as_epochs(epochs)
    if len(x) % plan.batch:
        raise ValueError(f"`batch` must divide the number of pairs, {len(x)}, got {plan.batch}.")
    rng = np.random.default_rng(rng)
    order, nu, done, states = np.arange(len(x)), _first_nu(plan), 0, []
    for epoch in asked:
        nu, in_range = _advance(rng, x, y, order, plan, nu, done, int(epoch))
        if not in_range:
            raise ConvergenceError(f"The logit scale left (0, {MOST_SCALE:g}].", value=nu, error=np.inf)
        done = int(epoch)
        beta = _scale(plan, nu, done)
        states.append(observe(float(contrastive_loss(beta * (x @ y.T))), beta, x, y))
    columns = {name: np.array([getattr(state, name) for state in states]) for name in FlowState._fields}
    return FeatureDescent(epochs=asked, **columns, x=x, y=y)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DescentSample:
    """The numbers of several descents at the same epochs, as in `FeatureDescent`; one row a seed.

    `sims.flow_seeds.estimates` turns a column into means with standard errors.

    Attributes
    ----------
    epochs : ndarray of int, shape (records,)
        Epochs done.
    loss, gap_norm, beta, margin, matched, alignment, uniformity : ndarray, shape (seeds, records)
        One row a seed.
    """

    epochs: np.ndarray
    loss: Float[np.ndarray, "seeds records"]
    gap_norm: Float[np.ndarray, "seeds records"]
    beta: Float[np.ndarray, "seeds records"]
    margin: Float[np.ndarray, "seeds records"]
    matched: Float[np.ndarray, "seeds records"]
    alignment: Float[np.ndarray, "seeds records"]
    uniformity: Float[np.ndarray, "seeds records"]


def sample_descents(
    start: Callable[[np.random.Generator], PairVectors],
    plan: DescentPlan,
    epochs: Sequence[int],
    n_seeds: int,
    *,
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
) -> DescentSample:
    """Let rows descend from several random starts.

    Parameters
    ----------
    start : callable
        Draws the rows at the start from a generator, such as a function of `sims.flow_starts`.
    plan, epochs
        As in `feature_descent`.
    n_seeds : int
        Starts, at least 1. Each has a stream of its own, which draws the start and then the descent, so that plans
        are compared on the same starts.
    rng : Generator or int, optional
        Root of the streams.
    workers : int
        Threads, a seed each; the result does not depend on it.

    Returns
    -------
    DescentSample
        One row a seed, in order.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `feature_descent` does.

    Examples
    --------
    >>> from conetheory.temperature_laws import fixed_law
    >>> from sims.flow_starts import cone_start
    >>> plan = DescentPlan(law=fixed_law(), beta0=10.0, batch=8, learning_rate=0.05, uniformity=1.0, alignment=1.0)
    >>> found = sample_descents(lambda rng: cone_start(8, 8, 0.3, 1.5, rng=rng), plan, [0, 40], 3, rng=0)
    >>> bool(np.all(found.gap_norm[:, 1] < 0.1 * found.gap_norm[:, 0]))
    True
    """

    def descended(stream: np.random.Generator) -> FeatureDescent:
        rows = start(stream)
        return feature_descent(rows.x, rows.y, plan, epochs, rng=stream)

    with ThreadPoolExecutor(as_count("workers", workers)) as pool:
        found = list(pool.map(descended, block_streams(rng, as_count("n_seeds", n_seeds))))
    columns = {name: np.stack([getattr(one, name) for one in found]) for name in FlowState._fields}
    return DescentSample(epochs=found[0].epochs, **columns)


def _as_epochs(epochs: Sequence[int]) -> np.ndarray:
    checked = [as_count("epochs", epoch, minimum=0) for epoch in epochs]
    if not checked or min(np.diff(checked), default=1) <= 0:
        raise ValueError(f"`epochs` must hold increasing whole numbers from 0 on, got {epochs!r}.")
    return np.array(checked)


def _law_code(law: TemperatureLaw) -> tuple[int, float]:
    if isinstance(law, (FixedLaw, ScheduledLaw)):
        return kernels.PRESCRIBED, 1.0
    if isinstance(law, ExponentialLaw):
        return kernels.EXPONENTIAL, law.scale
    return (kernels.LINEAR if isinstance(law, LinearLaw) else kernels.SOFTPLUS), 1.0


def _first_nu(plan: DescentPlan) -> float:
    return plan.beta0 if isinstance(plan.law, (FixedLaw, ScheduledLaw)) else float(plan.law.nu(plan.beta0))


def _scale(plan: DescentPlan, nu: float, epoch: float) -> float:
    """Return the logit scale after `epoch` epochs, with the parameter `nu` where it is trained."""
    if isinstance(plan.law, ScheduledLaw):
        return float(plan.law.schedule(epoch * plan.learning_rate))
    return plan.beta0 if isinstance(plan.law, FixedLaw) else float(plan.law.beta(nu))


def _advance(
    rng: np.random.Generator,
    x: np.ndarray,
    y: np.ndarray,
    order: np.ndarray,
    plan: DescentPlan,
    nu: float,
    first: int,
    last: int,
) -> tuple[float, bool]:
    """Move the rows in place from one epoch to another; return ν, and whether the logit scale stayed in range."""
    n, batch = len(x), plan.batch
    law, scale = _law_code(plan.law)
    betas = np.zeros((last - first) * (n // batch))
    if law == kernels.PRESCRIBED:
        betas[:] = [_scale(plan, nu, first + step * batch / n) for step in range(len(betas))]
    return kernels.descend(
        rng,
        x,
        y,
        order,
        batch,
        float(plan.learning_rate),
        law,
        float(scale),
        nu,
        batch / n * plan.temperature_rate * plan.learning_rate,
        betas,
        SWAPS.index(plan.swap),
        float(plan.swap_fraction),
        (float(plan.uniformity), float(plan.alignment), float(plan.cross)),
    )
