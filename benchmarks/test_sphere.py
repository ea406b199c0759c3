"""Bessel ratios and small caps in many dimensions: ours, mpmath, scipy and the definition, with each row's error."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy.special import betainc, ive

from conetheory.sphere import bessel_ratio, log_cap_fraction

DIM, S = 2000, 1.5e3
ANGLE = 0.5


def _exact_ratio(dim: int = DIM, s: float = S) -> mp.mpf:
    with mp.workdps(40):
        ratio = mp.mpf(0)
        for k in range(int(50 / mp.asinh(mp.mpf(dim) / (2 * s))) + 5, -1, -1):
            ratio = mp.mpf(s) / (dim + 2 * k + s * ratio)
        return ratio


def _exact_log_cap() -> mp.mpf:
    with mp.workdps(40):
        order, square = mp.mpf(DIM - 1) / 2, mp.sin(mp.mpf(ANGLE)) ** 2
        tail = mp.hyp2f1(order, 0.5, order + 1, square)
        return order * mp.log(square) + mp.log(tail / (2 * order * mp.beta(order, 0.5)))


def _series_ratio() -> float:
    """Return the ratio of the power series of the two Bessel functions, summed as they stand."""
    sums = []
    for order in (DIM / 2, DIM / 2 - 1):
        k = np.arange(1, 2000)
        sums.append(1.0 + np.sum(np.cumprod(S * S / 4 / (k * (k + order)))))
    return S / DIM * sums[0] / sums[1]


def _accuracy(value: float, exact: mp.mpf, unit: str) -> dict[str, Any]:
    """Return what a row says of a value; one that is no number has no error."""
    error = float(abs(mp.mpf(value) / exact - 1)) if np.isfinite(value) else None
    return {"unit": unit, "error": error, "error_of": "relative; none where the result is not finite"}


@pytest.mark.benchmark(group="Bessel ratio, dimension 2000, concentration 1500")
@pytest.mark.parametrize("method", ["ours", "naive-mpmath", "peer-scipy", "naive"])
def test_bessel_ratio(benchmark, method):
    def by_scipy() -> float:
        with np.errstate(all="ignore"):
            return float(np.divide(ive(DIM / 2, S), ive(DIM / 2 - 1, S)))

    evaluate = {
        "ours": lambda: bessel_ratio(DIM, S),
        "naive-mpmath": lambda: mp.besseli(DIM / 2, S) / mp.besseli(DIM / 2 - 1, S),
        "peer-scipy": by_scipy,
        "naive": _series_ratio,
    }[method]
    value = float(benchmark(evaluate))
    benchmark.extra_info |= _accuracy(value, _exact_ratio(), "ratio")


@pytest.mark.benchmark(group="log cap fraction, dimension 2000, half-angle 0.5")
@pytest.mark.parametrize("method", ["ours", "naive-mpmath", "peer-scipy", "naive"])
def test_log_cap_fraction(benchmark, method):
    def by_scipy() -> float:
        with np.errstate(divide="ignore"):
            return float(np.log(betainc(0.5 * (DIM - 1), 0.5, np.sin(ANGLE) ** 2) / 2))

    def by_sum() -> float:
        t = np.linspace(0, np.pi, 200_001)
        weight = np.sin(t) ** (DIM - 2)
        with np.errstate(divide="ignore"):
            return float(np.log(weight[t <= ANGLE].sum() / weight.sum()))

    evaluate = {
        "ours": lambda: log_cap_fraction(ANGLE, DIM),
        "naive-mpmath": _exact_log_cap,
        "peer-scipy": by_scipy,
        "naive": by_sum,
    }
    value = float(benchmark(evaluate[method]))
    benchmark.extra_info |= _accuracy(value, _exact_log_cap(), "fraction")
