r"""Gradient flow of free features: every row of both modalities moves on the sphere down the CLIP loss.

With n pairs of unit rows, logit scale :math:`\beta(\nu)` and the symmetric loss L of all pairs in one batch,

.. math:: \dot x_i = -2n\,P_{x_i}\nabla_{x_i}L, \qquad \dot y_i = -2n\,P_{y_i}\nabla_{y_i}L, \qquad
          \dot\nu = -\kappa\,\partial L/\partial\nu .

The factor 2n makes a row's speed independent of the number of pairs, and time that of the reduced model
(`conetheory.gap_flow`): simplex corners with a small common coordinate ±γ move as it says (``docs/theory.md``, 23.2).
κ is the learning rate of the temperature relative to the features. How the temperature is trained is a law of
`conetheory.temperature_laws`; where the rows start is a function of its own.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Fig. 1.
.. [2] Y. Zhang et al., "Diagnosing and Rectifying Vision Models using Language", ICLR 2023.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_choice, as_count
from conetheory._pairs import unit_pairs
from conetheory._scalars import nonnegative_number, positive_number
from conetheory.temperature_laws import ScheduledLaw, TemperatureLaw
from sims._flow_gradient import clip_gradient, in_order
from sims._flow_states import FlowState, observe
from sims._flow_steps import Field, Walk

__all__ = ["FeatureFlow", "gradient_flow"]

_SLACK = {"double": 1e-13, "single": 1e-5}  # relative rounding of a loss


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureFlow:
    """A gradient flow of free features at the times asked for.

    Attributes
    ----------
    t : ndarray, shape (times,)
        Times.
    loss : ndarray, shape (times,)
        CLIP loss in nats.
    gap_norm : ndarray, shape (times,)
        Distance of the means of both modalities, in [0, 2].
    beta : ndarray, shape (times,)
        Logit scale.
    margin : ndarray, shape (times,)
        Least lead of a pair's cosine over those of its row and column; positive where all pairs are matched.
    matched : ndarray, shape (times,)
        Fraction of pairs that lead in their row and in their column.
    alignment, uniformity : ndarray, shape (times,)
        Mean squared distance of the pairs; mean of both modalities' uniformity (`conetheory.gap`, t = 2).
    x, y : ndarray, shape (n, d)
        Rows at the last time.
    step_t, step_loss : ndarray, shape (steps + 1,)
        Time and loss at the start and after each accepted step; the loss never rises unless β is prescribed.
    rejected : int
        Steps that were tried and not accepted.
    """

    t: Float[np.ndarray, " times"]
    loss: Float[np.ndarray, " times"]
    gap_norm: Float[np.ndarray, " times"]
    beta: Float[np.ndarray, " times"]
    margin: Float[np.ndarray, " times"]
    matched: Float[np.ndarray, " times"]
    alignment: Float[np.ndarray, " times"]
    uniformity: Float[np.ndarray, " times"]
    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "n d"]
    step_t: Float[np.ndarray, " steps"]
    step_loss: Float[np.ndarray, " steps"]
    rejected: int


def gradient_flow(
    x: ArrayLike,
    y: ArrayLike,
    law: TemperatureLaw,
    times: ArrayLike,
    *,
    beta0: float,
    temperature_rate: float = 1.0,
    frozen: Sequence[int] = (),
    rtol: float = 1e-5,
    precision: Literal["double", "single"] = "double",
    workers: int = 1,
) -> FeatureFlow:
    r"""Let the rows and the temperature flow down the CLIP loss.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Rows at time 0; row i of both is pair i. Rows are normalised here.
    law : TemperatureLaw
        How the temperature is trained, or given.
    times : array_like, shape (times,)
        When the state is recorded: increasing, from 0 on.
    beta0 : float
        Logit scale at time 0, positive; the schedule's own where there is one.
    temperature_rate : float
        κ, at least 0.
    frozen : sequence of int
        Coordinates that no gradient reaches, the ineffective subspace of [2]_: each row keeps them, and the length of
        the rest.
    rtol : float
        Error of a step that is allowed, at least 1e-12: root mean square over the rows, and of ln β.
    precision : {"double", "single"}
        Arithmetic of cosines and exponentials; the state is float64. In single precision the loss and its gradient are
        right to about :math:`10^{-7}\beta`, relative.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    FeatureFlow
        States at `times`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or a row has no length outside the frozen coordinates.
    ConvergenceError
        If the step shrinks to nothing, β falls to 0 or grows beyond what exponentials can hold (about 700).

    Notes
    -----
    Runge–Kutta pair of order 3(2) of Bogacki and Shampine, retracted to the spheres after each step. A step is accepted
    if its error is allowed and, unless β is prescribed, the loss has not risen by more than its rounding (relative
    1e-13, in single precision 1e-5). The estimate is of second order, so the errors of all steps together are a few
    `rtol`, wherever the flow is stable. Three gradients a step, O(n²d) each; memory O(n d), and at most 128 MB of
    exponentials besides. No random numbers are used. Source: ours, ``docs/theory.md``, 23.1.

    Examples
    --------
    >>> from conetheory.temperature_laws import exponential_law
    >>> flow = gradient_flow(np.eye(4), np.eye(4)[[1, 0, 2, 3]], exponential_law(), [0.0, 10.0], beta0=5.0)
    >>> flow.matched.tolist(), bool(flow.loss[1] < flow.loss[0])
    ([0.5, 1.0], True)
    """
    as_choice("precision", precision, tuple(_SLACK))
    x, y = unit_pairs(x, y, minimum=2)
    times, beta0 = _as_times(times), positive_number("beta0", beta0)
    rtol, rate = positive_number("rtol", rtol), nonnegative_number("temperature_rate", temperature_rate)
    if not rtol >= 1e-12:
        raise ValueError(f"`rtol` must be at least 1e-12, got {rtol!r}.")
    if isinstance(law, ScheduledLaw) and not abs(law.schedule(0.0) - beta0) <= 1e-12 * beta0:
        raise ValueError(f"`beta0` must be the schedule's value at time 0, {law.schedule(0.0)!r}, got {beta0!r}.")
    free = _as_free(frozen, x.shape[1])
    for name, rows in (("x", x), ("y", y)):
        short = np.flatnonzero(np.linalg.norm(rows[:, free], axis=1) < 1e-8)
        if short.size:
            raise ValueError(f"`{name}` has a row without length outside the frozen coordinates: row {short[0]}.")
    with in_order(as_count("workers", workers)) as gather:
        gradient = partial(clip_gradient, single=precision == "single", gather=gather)
        field = Field(gradient=gradient, law=law, rate=rate, free=free, beta0=beta0)
        walk = Walk(field, x, y, rtol=rtol, slack=_SLACK[precision])
        states = [observe(*walk.advance(time)) for time in times]
    return _result(times, states, walk)


def _result(times: np.ndarray, states: list[FlowState], walk: Walk) -> FeatureFlow:
    columns = {name: np.array([getattr(state, name) for state in states]) for name in FlowState._fields}
    return FeatureFlow(
        t=times,
        **columns,
        x=walk.x,
        y=walk.y,
        step_t=np.array(walk.step_t),
        step_loss=np.array(walk.step_loss),
        rejected=walk.rejected,
    )


def _as_times(times: ArrayLike) -> np.ndarray:
    array = np.atleast_1d(as_array("times", times))
    if array.ndim != 1 or array.size == 0 or array[0] < 0 or np.any(np.diff(array) <= 0):
        raise ValueError(f"`times` must increase from 0 or later, shape (times,), got {times!r}.")
    return array


def _as_free(frozen: Sequence[int], dim: int) -> np.ndarray:
    """Return which coordinates move, shape (d,)."""
    free = np.ones(dim, dtype=bool)
    for place in frozen:
        if as_count("frozen", place, minimum=0) >= dim:
            raise ValueError(f"`frozen` must hold coordinates below {dim}, got {place!r}.")
        free[place] = False
    return free
