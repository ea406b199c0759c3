"""Adaptive steps of a flow of free features: Runge-Kutta 3(2) with retraction, and a loss that may not rise."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from conetheory.errors import ConvergenceError
from conetheory.temperature_laws import FixedLaw, ScheduledLaw, TemperatureLaw
from sims._flow_gradient import Gradient
from sims._flow_motion import fill_descent, fill_moved, summed_square

__all__ = ["Field", "Walk"]

_SAFETY, _LEAST, _MOST = 0.9, 0.2, 4.0  # change of the step
_FIRST_MOVE = 0.01  # of a row in the first step, at most
_TRIES = 60  # rejections in turn


class _Speed(NamedTuple):
    """Velocities of the rows and of ln β, and the loss."""

    x: np.ndarray
    y: np.ndarray
    log_beta: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """The vector field: the loss's `gradient`, the temperature's `law` and `rate`, and which coordinates are `free`."""

    gradient: Gradient
    law: TemperatureLaw
    rate: float
    free: np.ndarray
    beta0: float

    @property
    def prescribed(self) -> bool:
        """Whether the temperature follows a schedule."""
        return isinstance(self.law, ScheduledLaw)

    def beta(self, t: float, log_beta: float) -> float:
        """Return the logit scale at a time and state."""
        if isinstance(self.law, ScheduledLaw):
            return float(self.law.schedule(t))
        return self.beta0 if isinstance(self.law, FixedLaw) else float(np.exp(log_beta))

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """Return the lengths of the free parts of rows, shape (n,)."""
        return np.linalg.norm(rows[:, self.free], axis=1)

    def moved(
        self, rows: np.ndarray, weights: tuple[float, ...], velocities: tuple[np.ndarray, ...], lengths: np.ndarray
    ) -> np.ndarray:
        """Return rows + Σ weight · velocity whose free parts have the given lengths."""
        out = np.empty_like(rows)
        fill_moved(rows, weights, velocities, lengths, self.free, out)
        return out

    def _descent(self, rows: np.ndarray, gradients: np.ndarray) -> np.ndarray:
        out = np.empty_like(rows)
        fill_descent(rows, gradients, self.free, out)
        return out

    def speed(self, t: float, x: np.ndarray, y: np.ndarray, log_beta: float) -> _Speed:
        """Return minus the gradient at unit rows; raises ConvergenceError where the logit scale has underflowed."""
        beta = self.beta(t, log_beta)
        if not beta > 0:
            raise ConvergenceError(f"The logit scale fell to 0 at t = {t!r}.", value=log_beta, error=np.inf)
        found = self.gradient(x, y, beta)
        along = 0.0
        if not isinstance(self.law, (FixedLaw, ScheduledLaw)):
            along = -self.rate * float(self.law.slope(beta)) ** 2 * found.slope / beta
        return _Speed(self._descent(x, found.x), self._descent(y, found.y), along, found.loss)


class Walk:
    """A flow on its way: the state, and the losses after each accepted step."""

    def __init__(self, field: Field, x: np.ndarray, y: np.ndarray, *, rtol: float, slack: float) -> None:
        self._field, self._rtol, self._slack = field, rtol, slack
        self.x, self.y, self._log_beta, self._t = x, y, float(np.log(field.beta0)), 0.0
        self._lengths = field.lengths(x), field.lengths(y)
        self._speed = field.speed(0.0, x, y, self._log_beta)
        fastest = max(_fastest(self._speed.x), _fastest(self._speed.y), abs(self._speed.log_beta), 1e-12)
        self._step = _FIRST_MOVE / fastest
        self.step_t, self.step_loss, self.rejected = [0.0], [self._speed.loss], 0

    def advance(self, time: float) -> tuple[float, float, np.ndarray, np.ndarray]:
        """Go on to `time`; return loss, logit scale and rows there."""
        tries = 0
        while self._t < time:
            last = self._t + self._step >= time * (1 - 1e-12)
            step = time - self._t if last else self._step
            x, y, log_beta, speed, error = self._tried(step)
            fell = speed.loss <= self._speed.loss * (1 + self._slack) or self._field.prescribed
            factor = _SAFETY * (self._rtol / max(error, 1e-300)) ** (1 / 3)
            if error <= self._rtol and fell:
                self.x, self.y, self._log_beta, self._speed = x, y, log_beta, speed
                self._t = time if last else self._t + step
                self.step_t.append(self._t)
                self.step_loss.append(speed.loss)
                grown = step * min(max(factor, _LEAST), 1.0 if tries else _MOST)
                self._step, tries = max(self._step, grown) if last else grown, 0
                continue
            tries, self.rejected = tries + 1, self.rejected + 1
            self._step = step * (max(factor, _LEAST) if error > self._rtol else 0.5)
            if tries >= _TRIES:
                raise ConvergenceError(f"The flow was not followed beyond t = {self._t!r}.", value=self._t, error=error)
        return self._speed.loss, self._field.beta(self._t, self._log_beta), self.x, self.y

    def _tried(self, h: float) -> tuple[np.ndarray, np.ndarray, float, _Speed, float]:
        """Return the state a step on, its speed, and the error of the step."""
        one = self._speed
        two = self._at(0.5 * h, self._moved((0.5 * h, one)))
        three = self._at(0.75 * h, self._moved((0.75 * h, two)))
        x, y, log_beta = self._moved((2 / 9 * h, one), (1 / 3 * h, two), (4 / 9 * h, three))
        four = self._at(h, (x, y, log_beta))
        weights, speeds = (-5 / 72 * h, 1 / 12 * h, 1 / 9 * h, -1 / 8 * h), (one, two, three, four)
        square = max(summed_square(weights, tuple(speed[k] for speed in speeds)) for k in range(2))
        change = sum(weight * speed.log_beta for weight, speed in zip(weights, speeds, strict=True))
        return x, y, log_beta, four, max(float(np.sqrt(square / len(x))), abs(change))

    def _moved(self, *moves: tuple[float, _Speed]) -> tuple[np.ndarray, np.ndarray, float]:
        weights, speeds = zip(*moves, strict=True)
        x, y = (
            self._field.moved(rows, weights, tuple(speed[k] for speed in speeds), self._lengths[k])
            for k, rows in enumerate((self.x, self.y))
        )
        return x, y, self._log_beta + sum(h * speed.log_beta for h, speed in moves)

    def _at(self, h: float, state: tuple[np.ndarray, np.ndarray, float]) -> _Speed:
        return self._field.speed(self._t + h, *state)


def _fastest(vectors: np.ndarray) -> float:
    return float(np.sqrt(np.max(np.sum(vectors**2, axis=1))))
