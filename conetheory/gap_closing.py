r"""How slowly the gap of matched pairs closes: Theorem 3.2 of Yaras et al., as printed, corrected and sharp.

Pairs stay matched with margin :math:`\alpha` at least, the temperature is CLIP's, :math:`\beta = e^\nu`. Then
:math:`g(a) \le \alpha(n-1)e^{-a\alpha}`, and with what the flow conserves (`conetheory.gap_conservation`)
:math:`\omega = 1/\sqrt\gamma` obeys :math:`\dot\omega \le \tfrac12 c_1\,\omega^2 e^{-c\,\omega}`: it grows like
:math:`\ln t`, and :math:`\gamma` falls like :math:`1/\ln^2 t`, not faster.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Theorem 3.2 and its proof.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar
from scipy.special import expi, lambertw

from ._arrays import as_count, as_nonnegative
from ._scalars import as_fraction, positive_number

__all__ = ["closing_bound", "least_scale", "printed_closing_bound", "sharp_closing_bound"]

_FAR = 60.0  # from here on the series of Ei in 1/x has the accuracy of a double


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    r"""Constants of the proof: ``rate`` is c1, ``decay`` c2."""

    n: int
    margin: float
    gamma0: float
    beta0: float

    @property
    def rate(self) -> float:
        return 2.0 * self.margin * (self.n - 1) * self.beta0 * np.sqrt(self.gamma0)

    @property
    def free_decay(self) -> float:
        return self.margin * self.beta0 * np.sqrt(self.gamma0) * np.exp(-0.25 * self.gamma0**2)

    @property
    def decay(self) -> float:
        return self.free_decay * (1.0 - self.gamma0) * (1.0 + self.gamma0)


def _setting(n: Any, margin: Any, gamma0: Any, beta0: Any, least: Any) -> _Setting:
    setting = _Setting(
        n=as_count("n", n, minimum=2),
        margin=positive_number("margin", margin),
        gamma0=as_fraction("gamma0", gamma0),
        beta0=positive_number("beta0", beta0),
    )
    needed = least(setting.n, setting.margin) / (1.0 - setting.gamma0**2)
    if not setting.beta0 >= needed * (1.0 - 1e-12):
        raise ValueError(f"`beta0` must be at least {needed!r}, got {setting.beta0!r}.")
    return setting


def _printed_scale(n: int, margin: float) -> float:
    return float(np.log(4.0 * (n - 1)) / margin)


def least_scale(n: int, margin: float) -> float:
    r"""Return the scale from which the margin bounds the force: :math:`[1 + W_0((n-1)/e)]/\alpha`.

    From there on, for every Z of n pairs with margin :math:`\alpha` at least,
    :math:`g(a) \le \alpha(n-1)e^{-a\alpha}/(1+(n-1)e^{-a\alpha})`, with equality where all margins are :math:`\alpha`;
    below, larger margins pull harder. [1]_ asks for :math:`\ln(4(n-1))/\alpha`, which is more.

    Parameters
    ----------
    n : int
        Pairs, at least 2.
    margin : float
        :math:`\alpha > 0`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.3.

    Examples
    --------
    >>> print(round(least_scale(16, 1.0), 6), round(np.log(60), 6))
    2.383462 4.094345
    """
    n, margin = as_count("n", n, minimum=2), positive_number("margin", margin)
    return float(1.0 + np.real(lambertw((n - 1) / np.e))) / margin


def printed_closing_bound(
    t: ArrayLike, n: int, margin: float, gamma0: float, *, beta0: float
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the lower bound of :math:`\gamma(t)` printed in Theorem 3.2, which is false.

    .. math:: \frac{c_2}{\ln\bigl(c_3 t + e^{c_4/\sqrt{\gamma_0}}\bigr)^2}, \qquad
              c_1 = 2\alpha(n-1)\beta_0\sqrt{\gamma_0},
              \quad c_2 = \alpha\beta_0\sqrt{\gamma_0}(1-\gamma_0^2)e^{-\gamma_0^2/4},
              \quad c_3 = \tfrac{55}2 c_1, \quad
              c_4 = c_2 - \tfrac1{10}

    Parameters
    ----------
    t : array_like, shape (...)
        Times, at least 0.
    n : int
        Pairs, at least 2.
    margin : float
        :math:`\alpha > 0`.
    gamma0 : float
        Initial :math:`\gamma`, in (0, 1).
    beta0 : float
        Initial logit scale, at least :math:`\ln(4(n-1))/(\alpha(1-\gamma_0^2))`.

    Returns
    -------
    ndarray or float64, shape (...)
        At t = 0 it is :math:`\gamma_0 c_2/c_4^2`, above :math:`\gamma_0` for every :math:`c_2` between .0084 and
        1.1916. The right one is `closing_bound` (``docs/theory.md``, 21.4).

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> print(printed_closing_bound(0.0, 16, 1.0, 0.05, beta0=np.log(60) / (1 - 0.05**2)).round(4))  # above .05
    0.0689
    """
    t, setting = as_nonnegative("t", t), _setting(n, margin, gamma0, beta0, _printed_scale)
    c4 = setting.decay - 0.1
    return np.asarray(setting.decay / _log_sum(27.5 * setting.rate, t, c4 / np.sqrt(setting.gamma0)) ** 2)[()]


def closing_bound(
    t: ArrayLike, n: int, margin: float, gamma0: float, *, beta0: float, slack: float = 0.1
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return a lower bound of :math:`\gamma(t)` in the form of Theorem 3.2, with the constants that its proof gives.

    .. math:: \gamma(t) \ge \frac{c^2}{\ln\bigl(\tfrac{2}{e^2\kappa^2}c_1 c\,t + e^{c/\sqrt{\gamma_0}}\bigr)^2},
              \qquad c = c_2 - \kappa

    Parameters
    ----------
    t, n, margin, gamma0, beta0
        As for `printed_closing_bound`, but `beta0` need only be at least `least_scale` over :math:`1-\gamma_0^2`.
    slack : float
        :math:`\kappa`, between 0 and :math:`c_2`; [1]_ takes 1/10, where :math:`4/(e^2\kappa^2)` is 54.13, printed as
        55.

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`\gamma_0` at t = 0.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, after the proof of Theorem 3.2 [1]_; ``docs/theory.md``, 21.4.

    Examples
    --------
    >>> beta0 = np.log(60) / (1 - 0.05**2)
    >>> print(closing_bound([0.0, 1e14], 16, 1.0, 0.05, beta0=beta0).round(6))
    [0.05     0.000445]
    """
    t, setting = as_nonnegative("t", t), _setting(n, margin, gamma0, beta0, least_scale)
    slack = positive_number("slack", slack)
    if not slack < setting.decay:
        raise ValueError(f"`slack` must be below c2 = {setting.decay!r}, got {slack!r}.")
    c = setting.decay - slack
    logs = _log_sum(2.0 / (np.e * slack) ** 2 * setting.rate * c, t, c / np.sqrt(setting.gamma0))
    return np.asarray(c**2 / logs**2)[()]


def _log_sum(rate: float, t: np.ndarray, start: float) -> np.ndarray | np.float64:
    """Return ln(rate t + exp(start))."""
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log(rate * t), start)


def sharp_closing_bound(
    t: ArrayLike, n: int, margin: float, gamma0: float, *, beta0: float
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the lower bound :math:`\omega(t)^{-2}` of :math:`\gamma(t)` whose limit is reached.

    .. math:: \int_{1/\sqrt{\gamma_0}}^{\omega} \frac{e^{cw}}{w^2}\,dw = \tfrac12 c_1 e^{\alpha\beta_0\gamma_0^2}\,t,
              \qquad c = \alpha\beta_0\sqrt{\gamma_0}\,e^{-\gamma_0^2/4}

    Parameters
    ----------
    t, n, margin, gamma0, beta0
        As for `closing_bound`.

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`\gamma_0` at t = 0; times :math:`\ln^2t` it tends to :math:`c^2`, as :math:`\gamma` itself does where
        all margins are :math:`\alpha`. Relative error 1e-11.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    The integral is :math:`c\,\mathrm{Ei}(cw) - e^{cw}/w`. Source: ours, ``docs/theory.md``, 21.5.

    Examples
    --------
    >>> beta0 = np.log(60) / (1 - 0.05**2)
    >>> print(sharp_closing_bound([0.0, 1e14], 16, 1.0, 0.05, beta0=beta0).round(6))
    [0.05     0.000468]
    """
    t, setting = as_nonnegative("t", t), _setting(n, margin, gamma0, beta0, least_scale)
    decay = setting.free_decay
    start = decay / np.sqrt(setting.gamma0)
    logs = np.log(0.5 * setting.rate / decay) + setting.margin * setting.beta0 * setting.gamma0**2 - start
    growth = np.vectorize(lambda time: _growth(start, logs, time), otypes=[np.float64])(t)
    return ((decay / (start + growth)) ** 2)[()]


def _scaled_integral(x: float) -> float:
    """Return exp(-x) (Ei(x) - exp(x)/x)."""
    if x < _FAR:
        return float(expi(x) * np.exp(-x) - 1.0 / x)
    terms = np.cumprod(np.arange(1, 40) / x)  # k!/x^k, which falls up to k = x
    return float(np.sum(terms) / x)


def _growth(start: float, logs: float, time: float) -> float:
    """Return d with the integral of exp(y - start)/y² from `start` to start + d equal to exp(logs) `time`."""
    if time == 0:
        return 0.0
    goal, below = logs + np.log(time), _scaled_integral(start)

    def excess(d: float) -> float:
        area = _scaled_integral(start + d) - below * np.exp(-d)
        return d + float(np.log(max(area, np.finfo(np.float64).tiny))) - goal

    high = 1.0
    while excess(high) < 0:
        high *= 2.0
    return float(root_scalar(excess, bracket=(0.0, high), xtol=1e-14, rtol=1e-14).root)
