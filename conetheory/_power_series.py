r"""Power series in three variables, cut off after total degree 6. Private.

A series is an array of shape (84, ...): the coefficients of the monomials `EXPONENTS`, lowest degree first, over any
field of parameters. The degree is what cumulants of a smooth function of means need to order :math:`d^{-3}`.
"""

from functools import cache
from itertools import product

import numpy as np

__all__ = ["DEGREE", "EXPONENTS", "compose", "exponential", "logarithm", "multiply", "power"]

DEGREE = 6
EXPONENTS = tuple(sorted((e for e in product(range(DEGREE + 1), repeat=3) if sum(e) <= DEGREE), key=sum))
_INDEX = {exponent: index for index, exponent in enumerate(EXPONENTS)}


@cache
def _products() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of monomials whose product stays below the cut-off, and the product, in its order."""
    pairs = [(i, j) for i, p in enumerate(EXPONENTS) for j, q in enumerate(EXPONENTS) if sum(p) + sum(q) <= DEGREE]
    first, second = np.array(pairs).T
    exponents = np.array(EXPONENTS)
    target = np.array([_INDEX[i, j, k] for i, j, k in (exponents[first] + exponents[second]).tolist()])
    order = np.argsort(target, kind="stable")
    return first[order], second[order], target[order]


def multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the product of two series."""
    first, second, target = _products()
    there = np.any(p.reshape(len(p), -1), axis=1)[first]  # many series are sparse
    first, second, target = first[there], second[there], target[there]
    out = np.zeros(np.broadcast_shapes(p.shape, q.shape))
    starts = np.flatnonzero(np.diff(target, prepend=-1))
    if starts.size:
        out[target[starts]] = np.add.reduceat(p[first] * q[second], starts, axis=0)
    return out


def compose(taylor: list[float], p: np.ndarray) -> np.ndarray:
    r"""Return :math:`\sum_k t_k p^k` for a `p` without constant term, by Horner's rule."""
    out = np.zeros_like(p)
    for coefficient in reversed(taylor):
        out = multiply(p, out)
        out[0] += coefficient
    return out


def power(p: np.ndarray, exponent: float) -> np.ndarray:
    """Return p to the power `exponent`; the constant term of `p` is positive."""
    taylor = [1.0]
    for k in range(1, DEGREE + 1):
        taylor.append(taylor[-1] * (exponent - k + 1) / k)
    return p[0] ** exponent * compose(taylor, _tail(p))


def logarithm(p: np.ndarray) -> np.ndarray:
    """Return ln p; the constant term of `p` is positive."""
    out = compose([0.0, *((-1) ** (k + 1) / k for k in range(1, DEGREE + 1))], _tail(p))
    out[0] = np.log(p[0])
    return out


def exponential(p: np.ndarray) -> list[np.ndarray]:
    r"""Return the terms :math:`p^j/j!`, j = 0, 1, ..., of :math:`e^p` for a `p` that starts at degree 2."""
    terms = [np.zeros_like(p)]
    terms[0][0] = 1.0
    for j in range(1, DEGREE // 2 + 1):
        terms.append(multiply(p, terms[-1]) / j)
    return terms


def _tail(p: np.ndarray) -> np.ndarray:
    """Return p/p_0 - 1."""
    out = p / p[0]
    out[0] = 0.0
    return out
