"""The second route to the gap flow: the rows of both modalities, their loss, and explicit integrators.

Nothing here knows what `conetheory` says of the flow: `descend` differentiates the loss of the rows numerically, and
`march` takes the two printed equations with an explicit method in ln(1 + t).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

__all__ = ["descend", "embed", "etf_rows", "march", "noisy_pairs", "rows_loss", "settle"]

_STEP = 1e-5  # of the central differences


def noisy_pairs(n: int, dim: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n unit rows and noisy copies."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((n, dim))
    k = h + noise * rng.standard_normal((n, dim))
    return h / np.linalg.norm(h, axis=1, keepdims=True), k / np.linalg.norm(k, axis=1, keepdims=True)


def etf_rows(n: int) -> np.ndarray:
    """Return the corners of a regular simplex: n unit rows in n dimensions."""
    rows = np.eye(n) - 1 / n
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def embed(h: np.ndarray, k: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the parallel modalities: both sets of rows shrunk, and one coordinate of either sign added."""
    root, column = np.sqrt(1 - gamma**2), np.full((len(h), 1), gamma)
    return np.hstack([root * h, column]), np.hstack([root * k, -column])


def rows_loss(h: np.ndarray, k: np.ndarray, gamma: float, beta: float) -> float:
    """Return the symmetric cross-entropy of the parallel modalities, from all their logits."""
    x, y = embed(h, k, gamma)
    logits = beta * (x @ y.T)
    excess = logits - np.diag(logits)[:, None]
    other = logits.T - np.diag(logits)[:, None]
    for each in (excess, other):
        np.fill_diagonal(each, -np.inf)
    return float(np.mean(np.log1p(np.exp(excess).sum(axis=1)) + np.log1p(np.exp(other).sum(axis=1)))) / 2


def _downhill(
    h: np.ndarray, k: np.ndarray, beta_of: Callable[[float], float], trained: float, point: np.ndarray
) -> np.ndarray:
    """Return minus the gradient of the loss in (ν, γ), by central differences."""
    nu, gamma = point
    up, down = (rows_loss(h, k, gamma, beta_of(nu + sign * _STEP)) for sign in (1, -1)) if trained else (0.0, 0.0)
    wide, narrow = (rows_loss(h, k, gamma + sign * _STEP, beta_of(nu)) for sign in (1, -1))
    return -np.array([trained * (up - down), wide - narrow]) / (2 * _STEP)


def descend(
    h: np.ndarray,
    k: np.ndarray,
    beta_of: Callable[[float], float],
    start: tuple[float, float],
    times: np.ndarray,
    steps: int,
    trained: float = 1.0,
) -> np.ndarray:
    """Follow minus the numerical gradient of the loss from (ν, γ); return the states at `times`, (times, 2).

    Runge-Kutta with `steps` from one time to the next; `trained` is the learning rate of ν relative to that of γ: 0
    fixes the temperature.
    """
    point, now, states = np.array(start), 0.0, []
    for time in times:
        dt = (time - now) / steps
        for _ in range(steps):
            one = _downhill(h, k, beta_of, trained, point)
            two = _downhill(h, k, beta_of, trained, point + dt / 2 * one)
            three = _downhill(h, k, beta_of, trained, point + dt / 2 * two)
            four = _downhill(h, k, beta_of, trained, point + dt * three)
            point = point + dt / 6 * (one + 2 * two + 2 * three + four)
        now = time
        states.append(point)
    return np.array(states)


def settle(
    h: np.ndarray, k: np.ndarray, beta_of: Callable[[float], float], start: tuple[float, float], t_end: float
) -> tuple[float, float]:
    """Return (ν, γ) where the same descent has arrived at `t_end`, by an implicit method: it may be stiff."""
    found: Any = solve_ivp(
        lambda _, point: _downhill(h, k, beta_of, 1.0, point),
        (0.0, t_end),
        np.array(start),
        method="LSODA",
        rtol=1e-8,
        atol=1e-9,
    )
    return float(found.y[0, -1]), float(found.y[1, -1])


def march(
    force: Callable[[float], float],
    slope: Callable[[float], float],
    start: tuple[float, float],
    times: np.ndarray,
    steps: int = 600,
    schedule: Callable[[float], float] | None = None,
) -> np.ndarray:
    """Return (ln γ, β) at `times` of dβ/dt = β'² (1 − γ²) g, dγ/dt = −2 β γ g: Runge-Kutta in ln(1 + t).

    `steps` is that of a unit of ln(1 + t) times 20; `start` is (γ, β); a `schedule` prescribes β as a function of t.
    """

    def speed(s: float, log_gamma: float, beta: float) -> np.ndarray:
        beta = schedule(float(np.expm1(s))) if schedule else beta
        rest = 1 - np.exp(2 * log_gamma)
        push = force(beta * rest) * np.exp(s)
        return np.array([-2 * beta * push, slope(beta) ** 2 * rest * push])

    point, now, states = np.array([np.log(start[0]), start[1]]), 0.0, []
    for goal in np.log1p(times):
        count = max(1, int(np.ceil((goal - now) * steps / 20)))
        ds = (goal - now) / count
        for i in range(count):
            s = now + i * ds
            one = speed(s, *point)
            two = speed(s + ds / 2, *(point + ds / 2 * one))
            three = speed(s + ds / 2, *(point + ds / 2 * two))
            point = point + ds / 6 * (one + 2 * two + 2 * three + speed(s + ds, *(point + ds * three)))
        now = float(goal)
        states.append(point)
    return np.array(states)
