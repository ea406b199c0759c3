r"""What the gap flow conserves (Lemma 3.1 of Yaras et al., for any trained temperature).

Gap and temperature are driven by the same force, so their ratio of speeds knows nothing of the features:

.. math:: \frac{d\gamma}{d\beta} = -\frac{2\beta\gamma}{\beta'(\nu)^2(1-\gamma^2)}, \qquad
          \ln\gamma - \tfrac12\gamma^2 + 2F(\beta) = \text{const}, \qquad F' = \beta/\beta'(\nu)^2 .

As :math:`\gamma^2 e^{-\gamma^2}` is then known, Lambert's W gives the gap at any temperature.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Lemma 3.1.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import lambertw

from ._arrays import as_array, as_positive
from ._scalars import as_fraction, positive_number
from .temperature_laws import LearnableLaw

__all__ = ["conserved_log_gamma", "conserved_quantity", "speed_ratio"]


def _as_gamma(gamma: ArrayLike) -> np.ndarray:
    array = as_array("gamma", gamma)
    good = (array > 0) & (array < 1)
    if not np.all(good):
        raise ValueError(f"`gamma` must lie in (0, 1), got {float(array[~good].flat[0])!r}.")
    return array


def speed_ratio(law: LearnableLaw, gamma: ArrayLike, beta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return :math:`d\gamma/d\beta`, the ratio R of Lemma 3.1.

    Parameters
    ----------
    law : LearnableLaw
        How the temperature is trained.
    gamma : array_like, shape (...)
        In (0, 1).
    beta : array_like, shape (...)
        Logit scale, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        Negative. For :math:`\beta = e^\nu` it is :math:`-2\gamma/(\beta(1-\gamma^2))`, of order :math:`\beta^{-3}` as
        the gap closes; [1]_ prints :math:`\Theta(1/\beta)` (``docs/theory.md``, 21.2).

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: [1]_, Lemma 3.1.

    Examples
    --------
    >>> from conetheory.temperature_laws import exponential_law
    >>> print(speed_ratio(exponential_law(), 0.5, 10.0).round(6))
    -0.133333
    """
    gamma, beta = _as_gamma(gamma), as_positive("beta", beta)
    return -2.0 * beta * gamma / (law.slope(beta) ** 2 * (1.0 - gamma) * (1.0 + gamma))


def conserved_quantity(law: LearnableLaw, gamma: ArrayLike, beta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return :math:`\ln\gamma - \gamma^2/2 + 2F(\beta)`; for :math:`\beta = e^\nu` the logarithm of
    :math:`\beta^2\gamma e^{-\gamma^2/2}`.

    Parameters and errors are those of `speed_ratio`.

    Notes
    -----
    Source: [1]_, Lemma 3.1, for :math:`\beta = e^\nu`; for the other laws ours, ``docs/theory.md``, 21.2.

    Examples
    --------
    >>> from conetheory.temperature_laws import exponential_law
    >>> print(np.exp(conserved_quantity(exponential_law(), 0.6, 14.3)).round(4))
    102.4826
    """
    gamma, beta = _as_gamma(gamma), as_positive("beta", beta)
    return np.log(gamma) - 0.5 * gamma**2 + 2.0 * law.first_integral(beta)


def conserved_log_gamma(
    law: LearnableLaw, gamma0: float, beta0: float, beta: ArrayLike
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return :math:`\ln\gamma` where the flow from :math:`(\gamma_0, \beta_0)` has the logit scale `beta`.

    .. math:: \gamma^2 = -W_0\bigl(-e^{2K}\bigr), \qquad \ln\gamma = K + \tfrac12\gamma^2, \qquad
              K = \ln\gamma_0 - \tfrac12\gamma_0^2 - 2\bigl[F(\beta) - F(\beta_0)\bigr]

    Parameters
    ----------
    law : LearnableLaw
        How the temperature is trained.
    gamma0, beta0 : float
        A state of the flow: in (0, 1), and positive.
    beta : array_like, shape (...)
        Logit scales, positive, at least that at which :math:`\gamma = 1`.

    Returns
    -------
    ndarray or float64, shape (...)
        To a few eps of 1 + |K|; near :math:`\gamma = 1` to the square root of that.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or no :math:`\gamma \le 1` belongs to a scale.

    Notes
    -----
    Which scales are reached depends on the loss. Source: ours, ``docs/theory.md``, 21.2.

    Examples
    --------
    >>> from conetheory.temperature_laws import exponential_law
    >>> print(np.exp(conserved_log_gamma(exponential_law(), 0.6, 14.3, [14.3, 20.0, 100.0])).round(6))
    [0.6      0.26539  0.010249]
    """
    gamma0, beta0 = as_fraction("gamma0", gamma0), positive_number("beta0", beta0)
    beta = as_positive("beta", beta)
    level = np.log(gamma0) - 0.5 * gamma0**2 - 2.0 * (law.first_integral(beta) - law.first_integral(beta0))
    if not np.all(level <= -0.5):
        low = float(beta[level > -0.5].flat[0])
        raise ValueError(f"`beta` must be a scale at which gamma is at most 1, got {low!r}.")
    gamma2 = -np.real(lambertw(-np.exp(2.0 * level)))
    return (level + 0.5 * gamma2)[()]
