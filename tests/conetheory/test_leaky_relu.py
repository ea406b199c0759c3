import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conetheory._homogeneous_tilt import LeakyPair, _sector, balanced_tilt, dominating_tilt, log_mgf_and_mean
from conetheory.activation_rate import activation_failure_rate
from conetheory.contraction import (
    failure_probability_nonpositive,
    limiting_cosine,
    preactivation_correlation,
    sharp_threshold,
)
from conetheory.large_deviation import failure_rate
from conetheory.leaky_relu import leaky_relu_failure_rate, leaky_relu_limiting_cosine, leaky_relu_threshold
from tests.naive_activation_rate import leaky, leaky_log_mgf


def pair_of(cosine, theta, slope):
    return LeakyPair(cosine, theta, math.cos(theta) - cosine, slope)


KNOWN = [  # theory.md, section 12: (cosine, norms) -> I for ReLU
    ((0.1, 1.0, 1.0), 0.208990878532),
    ((0.5, 1.0, 1.0), 0.0833930106684),
    ((0.9, 1.0, 1.0), 0.0402591419619),
    ((0.99, 1.0, 1.0), 0.0315821276831),
    ((0.5, 2.0, 1.0), 0.0362803175602),
    ((0.9, 10.0, 10.0), 0.00092082774393),
]


@pytest.mark.parametrize(("layer", "rate"), KNOWN)
def test_slope_zero_is_relu(layer, rate):
    assert leaky_relu_failure_rate(*layer, slope=0.0).rate == pytest.approx(rate, abs=1e-12)


@pytest.mark.parametrize("layer", [layer for layer, _ in KNOWN])
@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(1.0, 1.0), (2.0, 0.5)])
def test_limit_and_threshold_of_slope_zero_are_those_of_relu(layer, sigma_w2, sigma_b2):
    variances = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    assert leaky_relu_limiting_cosine(*layer, slope=0.0, **variances) == pytest.approx(
        limiting_cosine(*layer, **variances), abs=4e-16
    )
    assert leaky_relu_threshold(*layer[1:], slope=0.0, **variances) == sharp_threshold(*layer[1:], **variances)


@pytest.mark.parametrize("slope", [-1.0, -0.3, 0.01, 0.2, 0.7])
@pytest.mark.parametrize("rho", [-1.0, -0.8, 0.0, 0.4, 0.999, 1.0])
def test_limiting_cosine_from_the_definition(slope, rho):
    with mp.workdps(40):
        theta, share = mp.acos(rho), mp.mpf(slope)
        j11 = (mp.sin(theta) + (mp.pi - theta) * mp.mpf(rho)) / (2 * mp.pi)
        exact = (share * rho + (1 - share) ** 2 * j11) * 2 / (1 + share**2)
    assert leaky_relu_limiting_cosine(rho, 1.0, 1.0, slope=slope, sigma_b2=0.0) == pytest.approx(
        float(exact), abs=4e-16
    )


@pytest.mark.parametrize("slope", [-1.0, -0.4, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("norms", [(2.0, 1.0), (1.0, 0.1), (10.0, 5.0), (1.0, 1.001)])
def test_threshold_is_the_root(slope, norms):
    threshold = float(leaky_relu_threshold(*norms, slope=slope))
    with mp.workdps(40):

        def excess(c):
            a, b, left = (mp.mpf(x) for x in (*norms, slope))
            rho = (a * b * c + 1) / mp.sqrt((a * a + 1) * (b * b + 1))
            theta = mp.acos(rho)
            kappa = (mp.sin(theta) + (mp.pi - theta) * rho) / mp.pi
            return (2 * left * rho + (1 - left) ** 2 * kappa) / (1 + left**2) - c

        assert abs(mp.findroot(excess, mp.mpf(threshold)) - mp.mpf(threshold)) < 1e-15
    assert sharp_threshold(*norms) >= threshold or slope < 0


def test_threshold_falls_with_the_slope():
    slopes = np.linspace(-1, 0.99, 50)
    thresholds = leaky_relu_threshold(3.0, 0.5, slope=slopes)
    assert np.all(np.diff(thresholds) < 0)
    assert leaky_relu_threshold(2.0, 2.0, slope=0.3) == 1


@pytest.mark.parametrize(("rho", "cosine"), [(0.8, 0.5), (0.3, -0.2), (0.3, -0.7), (0.9, 0.0), (-0.5, -0.9)])
def test_slope_one_is_the_sample_correlation(rho, cosine):
    """The density of a sample correlation falls like [(1 - r c)²/((1 - r²)(1 - c²))]^(-d/2), for every c."""
    exact = math.log((1 - rho * cosine) / math.sqrt((1 - rho**2) * (1 - cosine**2)))
    assert balanced_tilt(1.0, pair_of(cosine, math.acos(rho), 1.0))[1] == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize(
    ("slope", "cosine", "theta", "t", "s"),
    [(0.3, 0.5, 0.7, 0.8, 1.0), (0.3, 0.5, 0.7, 0.8, 1.7), (-0.5, 0.9, 0.3, 2.0, 1.0), (0.1, -0.3, 1.2, 1.5, 3.0)],
)
def test_closed_form_against_quadrature_on_the_circle(slope, cosine, theta, t, s):
    """E e^(-tX) = (1/2π)∮ dα/(1 + 2th), sector by sector; the mean is its logarithmic derivative."""
    with mp.workdps(30):

        def unit(x):
            return x if x > 0 else slope * x

        def h(alpha):
            f, g = unit(mp.cos(alpha)), unit(mp.cos(alpha - theta))
            return f * g - mp.mpf(cosine) / 2 * (s * f * f + g * g / s)

        edges = [-mp.pi / 2, theta - mp.pi / 2, mp.pi / 2, theta + mp.pi / 2, 3 * mp.pi / 2]
        total = mp.quad(lambda a: 1 / (1 + 2 * t * h(a)), edges)
        slope_of_total = mp.quad(lambda a: -2 * h(a) / (1 + 2 * t * h(a)) ** 2, edges)
        value, mean = mp.log(total / (2 * mp.pi)), -slope_of_total / total
    found = log_mgf_and_mean(t, s, pair_of(cosine, theta, slope))
    assert found == pytest.approx((float(value), float(mean)), abs=2e-15)


@pytest.mark.parametrize("x", [-0.9, -0.0101, -0.0099, -1e-9, 0.0, 1e-9, 0.0099, 0.0101, 0.5, 40.0])
@pytest.mark.parametrize("q", [0.3, 2.0, -0.7])
@pytest.mark.parametrize("sin", [1.0, 0.1])
def test_sector_integral(x, q, sin):
    """The integral over the quadrant and its derivative in D, on both sides of the series and of D = 0."""
    if q < 0 and x < 0.5:
        return  # the form is not positive there, or nearly not
    p = 1.3
    r = q * q * (1 + x) / p
    with mp.workdps(40):
        exact_d = mp.mpf(p) * mp.mpf(r) - mp.mpf(q) ** 2
        value = mp.quad(lambda t: 1 / (p + 2 * mp.mpf(q) * t + mp.mpf(r) * t * t), [0, 1, 10, mp.inf])
        ratio = (q / (mp.mpf(p) * r) - value) / (2 * exact_d) if abs(exact_d) > 1e-20 else -1 / (3 * mp.mpf(q) ** 3)
    expected = (sin * float(value), sin**3 * float(ratio))
    assert _sector(p, q, r, sin, float(exact_d) / sin**2) == pytest.approx(expected, rel=2e-13)


@pytest.mark.parametrize(("slope", "layer"), [(0.3, (0.5, 1.0, 1.0)), (0.1, (0.7, 2.0, 1.0)), (-1.0, (0.8, 1.0, 0.5))])
def test_rate_against_quadrature_in_the_plane(slope, layer):
    general = activation_failure_rate(leaky(slope), *layer)
    special = leaky_relu_failure_rate(*layer, slope=slope)
    assert special.rate == pytest.approx(general.rate, abs=1e-11)
    assert special.balance == 1
    assert general.gap < 1e-12


@given(st.floats(0.02, 0.98), st.floats(0.2, 5.0), st.floats(0.0, 0.95), st.floats(-0.99, 0.95))
def test_rate_is_positive_and_falls_towards_the_threshold(share, norm, other, slope):
    threshold = float(leaky_relu_threshold(norm, 1.0, slope=slope))
    near, far = (threshold * x for x in (share + (1 - share) / 2, share))
    rates = [leaky_relu_failure_rate(c, norm, 1.0, slope=slope).rate for c in (near, far)]
    assert 0 <= rates[0] <= rates[1] + 1e-14


NEAR = [  # cosine, norms, slope, sigma_b2: the angle or 1 - cosine tends to 0
    (1 - 2**-52, 1.0, 0.3, 0.0),
    (1 - 2**-52, 1.0, -1.0, 1.0),
    (1 - 1e-12, 1.0, 0.9, 0.0),
    (1 - 1e-12, 1e6, -0.5, 1.0),
    (1 - 1e-9, 1e-3, 0.3, 1.0),
    (0.5, 1e-6, 0.3, 1.0),
    (0.5, 1e-9, -1.0, 1.0),
    (0.5, 1e-9, 1e-3, 1.0),
    (1e-9, 1.0, -0.5, 1.0),
    (1e-9, 1e-9, -0.5, 1.0),
    (1e-9, 1.0, -1.0, 0.0),
]


@pytest.mark.parametrize(("cosine", "norm", "slope", "sigma_b2"), NEAR)
def test_rate_keeps_its_digits_at_the_ends(cosine, norm, slope, sigma_b2):
    """Against arctangents to 70 digits: right at the tilt found, and at no other tilt nearby is it more."""
    found = leaky_relu_failure_rate(cosine, norm, norm, slope=slope, sigma_b2=sigma_b2)
    with mp.workdps(70):
        factors = (mp.mpf(1), 1 - mp.mpf("1e-6"), 1 + mp.mpf("1e-6"))
        exact = [-leaky_log_mgf(mp.mpf(found.tilt) * x, cosine, (norm, norm), slope, (1.0, sigma_b2)) for x in factors]
        assert exact[0] > exact[1]
        assert exact[0] > exact[2]
        assert abs(found.rate - exact[0]) < 1e-9 * exact[0]
        assert abs(found.rate - exact[0]) < 5e-15
    assert found.rate > 0


@pytest.mark.parametrize(
    ("cosine", "norm", "sigma_b2", "rate"),
    [(1 - 2**-53, 1.0, 0.0, 6.2493955e-19), (1 - 1e-12, 1.0, 0.0, 5.6288332e-15), (0.5, 1e-6, 1.0, 0.69314570583)],
)
def test_slope_zero_near_one_and_at_small_angles(cosine, norm, sigma_b2, rate):
    found = leaky_relu_failure_rate(cosine, norm, norm, slope=0.0, sigma_b2=sigma_b2).rate
    assert found == pytest.approx(rate, rel=1e-7)
    assert found == failure_rate(cosine, norm, norm, sigma_b2=sigma_b2)


def test_slope_to_zero_gives_relu_at_a_positive_cosine():
    relu = leaky_relu_failure_rate(1 - 1e-6, 1.0, 1.0, slope=0.0).rate
    errors = [abs(leaky_relu_failure_rate(1 - 1e-6, 1.0, 1.0, slope=x).rate - relu) for x in (1e-3, 1e-6, -1e-6)]
    assert errors[0] > 100 * max(errors[1:])
    assert max(errors[1:]) < 1e-6


@pytest.mark.parametrize("slope", [-1.0, -0.5])
@pytest.mark.parametrize("cosine", [1e-300, 9e-10])
def test_a_positive_cosine_too_small_is_refused_at_negative_slopes(slope, cosine):
    with pytest.raises(ValueError, match=f"`cosine` must be at least 1e-09 or at most 0 at a .*, got {cosine!r}"):
        leaky_relu_failure_rate(cosine, 1.0, 1.0, slope=slope)
    assert leaky_relu_failure_rate(cosine, 1.0, 1.0, slope=1e-6).rate == pytest.approx(0.4042183, abs=1e-6)


# ---- negative cosines, where the failures are not convex


def test_small_slopes_break_the_balance():
    """At λ = .1 and c = -.3 the failures of the balanced tilt are not the likely ones."""
    found = leaky_relu_failure_rate(-0.3, 1.0, 1.0, slope=0.1)
    theta = math.acos(preactivation_correlation(-0.3, 1.0, 1.0))
    balanced = balanced_tilt(1.0, pair_of(-0.3, theta, 0.1))[1]
    assert found.balance > 2
    assert found.rate < 0.9 * balanced
    assert leaky_relu_failure_rate(-0.05, 1.0, 1.0, slope=0.3).balance == pytest.approx(1, abs=1e-6)


def test_rate_of_a_negative_cosine_by_sampling():
    """-ln(P_2d/P_d)/d, prefactors falling like 1/sqrt(d): nearer the found rate than the balanced one."""
    rho, cosine, slope = 0.0, -0.3, 0.1
    rng, counts = np.random.default_rng(0), []
    for width, n in ((6, 200_000), (12, 400_000)):
        z = rng.standard_normal((2, n, width))
        f, g = leaky(slope)(z)
        counts.append(np.mean(np.sum(f * g, axis=1) <= cosine * np.sqrt(np.sum(f * f, axis=1) * np.sum(g * g, axis=1))))
    _, balance, found = dominating_tilt(pair_of(cosine, math.acos(rho), slope))
    balanced = balanced_tilt(1.0, pair_of(cosine, math.acos(rho), slope))[1]
    assert balance > 2
    sampled = -math.log(counts[1] / counts[0] * math.sqrt(2)) / 6
    assert abs(sampled - found) < 0.5 * abs(sampled - balanced)


def test_slope_to_zero_gives_relu_for_a_negative_cosine():
    """One output shrinks: ln 2 for a small |c|, more where its direction must be right too; at 0 the exact law."""
    rates = [leaky_relu_failure_rate(-0.05, 1.0, 1.0, slope=slope).rate for slope in (1e-3, 1e-4, 1e-5)]
    errors = [abs(rate - math.log(2)) for rate in rates]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01
    assert leaky_relu_failure_rate(-0.5, 1.0, 1.0, slope=1e-5).rate > math.log(2) + 0.03
    assert leaky_relu_failure_rate(-0.5, 1.0, 1.0, slope=0.0).rate == math.log(2)
    exact = -math.log(float(failure_probability_nonpositive(0.0, 1.0, 2.0, 1)))
    assert leaky_relu_failure_rate(0.0, 1.0, 2.0, slope=0.0).rate == pytest.approx(exact, rel=1e-15)


def test_no_failure_at_all():
    for slope, cosine in ((-0.5, 0.0), (-1.0, -0.3), (0.5, -1.0)):
        assert leaky_relu_failure_rate(cosine, 1.0, 1.0, slope=slope).rate == math.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": 1.0}, r"`slope` must lie in \[-1, 1\), got 1.0"),
        ({"slope": math.nan}, "`slope` must be finite, got nan"),
        ({"cosine": 0.95, "norm_u": 2.0}, r"`cosine` must be below c\* = leaky_relu_threshold.*, got 0.95"),
        ({"cosine": 1.0}, r"`cosine` must be below c\*.*, got 1.0"),
        ({"norm_v": 0.0}, "`norm_v` must be positive, got 0.0"),
    ],
)
def test_bad_input(change, message):
    arguments = {"cosine": 0.5, "norm_u": 1.0, "norm_v": 1.0, "slope": 0.1} | change
    with pytest.raises(ValueError, match=message):
        leaky_relu_failure_rate(**arguments)
