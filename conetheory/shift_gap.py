r"""The gap that is left after a shift, from three numbers: the gap before and the two mean resultant lengths (ours).

If all rows of a modality have the same product with the gap vector, the shift divides them by one length and

.. math::
   \frac{\bar x - \lambda_x\Delta}{a} - \frac{\bar y + \lambda_y\Delta}{b} = u\,\bar x + v\,\bar y, \qquad
   u = \frac{1-\lambda_x}{a} - \frac{\lambda_y}{b}, \quad v = \frac{\lambda_x}{a} - \frac{1-\lambda_y}{b},

with :math:`a^2 = 1 - 2\lambda_xp + \lambda_x^2D`, :math:`b^2 = 1 + 2\lambda_yq + \lambda_y^2D`,
:math:`D = \|\Delta\|^2`, :math:`p = \bar x\cdot\Delta = (D + R_x^2 - R_y^2)/2` and :math:`q = p - D`.
``docs/theory.md`` §7.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_array, as_positive

__all__ = ["equal_projection_gap"]


def equal_projection_gap(
    gap: float, resultant_x: float, resultant_y: float, lam_x: ArrayLike, lam_y: ArrayLike
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Gap after shifting each modality by its own λ, where all rows of one have equal projections on the gap vector.

    Parameters
    ----------
    gap : float
        ‖Δ‖ before the shift, positive.
    resultant_x, resultant_y : float
        Norms R of the two means, in (0, 1], with |R_x − R_y| ≤ gap ≤ R_x + R_y. R² is the mean cosine of all pairs of
        rows, a row with itself included.
    lam_x, lam_y : array_like, shapes that broadcast
        Shifts as in `shift.shift_separately`: equal for the shift of both, one of them 0 for that of one modality.

    Returns
    -------
    ndarray or float64
        Distance of the means of the shifted unit rows. Exact for equal projections (parallel clouds); for others an
        approximation of first order in their spread: within .003 of what Liang et al. print for CLIP.

    Raises
    ------
    ValueError
        If the three lengths are no triangle, or rows are shifted onto the origin.

    Examples
    --------
    >>> print(equal_projection_gap(0.8221026, 0.68411, 0.71278, 0.304103, 0.304103).round(3))  # printed: .350383
    0.348
    """
    gap, r, s = (
        float(as_positive(n, v))
        for n, v in zip(("gap", "resultant_x", "resultant_y"), (gap, resultant_x, resultant_y), strict=True)
    )
    if not (abs(r - s) <= gap <= r + s and max(r, s) <= 1):
        raise ValueError(
            f"`gap`, `resultant_x` and `resultant_y` must be the sides of a triangle, the last two at most 1, got "
            f"{gap}, {r} and {s}."
        )
    lam_x, lam_y = as_array("lam_x", lam_x), as_array("lam_y", lam_y)
    square = gap * gap
    p = (square + (r - s) * (r + s)) / 2
    a2, b2 = 1 - 2 * lam_x * p + lam_x**2 * square, 1 + 2 * lam_y * (p - square) + lam_y**2 * square
    if not (np.all(a2 > 0) and np.all(b2 > 0)):
        raise ValueError("`lam_x` and `lam_y` must not shift a row onto the origin.")
    u = (1 - lam_x) / np.sqrt(a2) - lam_y / np.sqrt(b2)
    v = lam_x / np.sqrt(a2) - (1 - lam_y) / np.sqrt(b2)
    # ‖u x̄ + v ȳ‖² = (u + v)(u R_x² + v R_y²) − u v D: no cancellation where the gap is closed
    return np.sqrt(np.maximum((u + v) * (u * r * r + v * s * s) - u * v * square, 0.0))[()]
