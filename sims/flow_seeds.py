"""Gradient flows of free features from many starts: their numbers one by one, and means with standard errors."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_count
from conetheory.contrastive_gradient import PairVectors
from conetheory.temperature_laws import TemperatureLaw
from sims.estimate import Estimate, sample_mean
from sims.gradient_flow import FeatureFlow, gradient_flow

__all__ = ["FlowSample", "estimates", "sample_flows"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlowSample:
    """The numbers of several flows at the same times; as in `sims.gradient_flow.FeatureFlow`, one row a flow.

    Attributes
    ----------
    t : ndarray, shape (times,)
        Times.
    loss, gap_norm, beta, margin, matched, alignment, uniformity : ndarray, shape (flows, times)
        One row a flow.
    steps, rejected : ndarray of int, shape (flows,)
        Steps that each flow took, and those it tried besides.
    """

    t: Float[np.ndarray, " times"]
    loss: Float[np.ndarray, "flows times"]
    gap_norm: Float[np.ndarray, "flows times"]
    beta: Float[np.ndarray, "flows times"]
    margin: Float[np.ndarray, "flows times"]
    matched: Float[np.ndarray, "flows times"]
    alignment: Float[np.ndarray, "flows times"]
    uniformity: Float[np.ndarray, "flows times"]
    steps: np.ndarray
    rejected: np.ndarray

    def matched_at(self) -> Float[np.ndarray, " flows"]:
        """Return the first time from which on all pairs of a flow are matched; NaN where there is none."""
        all_matched = self.matched == 1
        lasting = np.logical_and.accumulate(all_matched[:, ::-1], axis=1)[:, ::-1]
        return np.where(lasting.any(axis=1), self.t[np.argmax(lasting, axis=1)], np.nan)


def sample_flows(
    starts: Sequence[PairVectors],
    law: TemperatureLaw,
    times: ArrayLike,
    *,
    beta0: float,
    workers: int = 1,
    **options: Any,
) -> FlowSample:
    """Let each of several starts flow down the CLIP loss.

    Parameters
    ----------
    starts : sequence of PairVectors
        Rows at time 0, of `sims.flow_starts` with one generator for all, or your own.
    law, times, beta0
        As in `sims.gradient_flow.gradient_flow`.
    workers : int
        Threads, a flow each; the result does not depend on it. They pay off from some hundred pairs on: below, the
        interpreter, which they share, takes most of the time.
    **options
        The other arguments of `gradient_flow`; its own `workers` is 1.

    Returns
    -------
    FlowSample
        One row a start, in order.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `gradient_flow` does, and if there are no starts.

    Examples
    --------
    >>> from conetheory.temperature_laws import exponential_law
    >>> from sims.flow_starts import uniform_start
    >>> rng = np.random.default_rng(0)
    >>> starts = [uniform_start(8, 8, rng=rng) for _ in range(5)]
    >>> sample = sample_flows(starts, exponential_law(), [0.0, 10.0], beta0=10.0, rtol=1e-2)
    >>> sample.gap_norm.shape, bool(np.all(sample.gap_norm[:, 1] < sample.gap_norm[:, 0]))
    ((5, 2), True)
    """
    if not len(starts):
        raise ValueError(f"`starts` must hold at least one start, got {starts!r}.")
    flow = partial(_flow, law, times, beta0, options)
    with ThreadPoolExecutor(as_count("workers", workers)) as pool:
        flows = list(pool.map(flow, starts))
    names = ("loss", "gap_norm", "beta", "margin", "matched", "alignment", "uniformity")
    return FlowSample(
        t=flows[0].t,
        **{name: np.stack([getattr(flow, name) for flow in flows]) for name in names},
        steps=np.array([len(flow.step_t) - 1 for flow in flows]),
        rejected=np.array([flow.rejected for flow in flows]),
    )


def estimates(column: Float[np.ndarray, "flows times"]) -> list[Estimate]:
    """Return the mean over the flows at each time, with its standard error.

    Parameters
    ----------
    column : ndarray, shape (flows, times)
        A field of `FlowSample`; at least two flows.

    Raises
    ------
    ValueError
        If there is one flow only.

    Examples
    --------
    >>> estimates(np.array([[1.0, 2.0], [3.0, 2.0]]))[0]
    Estimate(value=2.0, stderr=1.0, n=2)
    """
    return [sample_mean(values) for values in column.T]


def _flow(
    law: TemperatureLaw, times: ArrayLike, beta0: float, options: dict[str, Any], start: PairVectors
) -> FeatureFlow:
    return gradient_flow(start.x, start.y, law, times, beta0=beta0, **options)
