import itertools
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from conetheory.contraction import chebyshev_constant, preactivation_angle, sharp_threshold
from conetheory.meanfield import cone_curve
from conetheory.proofs import certified_depth as depth
from conetheory.proofs import certified_layer as layer
from conetheory.proofs import certified_rate as rate
from conetheory.proofs import certified_threshold as threshold
from conetheory.proofs import rate_balls, relu_balls
from conetheory.proofs.balls import Enclosure, ball, working_precision
from conetheory.proofs.certified import CERTIFICATES, RATE_LAYERS, THRESHOLD_NORMS
from conetheory.proofs.subdivision import Chart, prove_positive
from tests import naive_contraction as naive

unit = st.fractions(0, 1, max_denominator=1000)


def as_arb(value):
    """A ball around a number of mpmath, wide enough for its last digits."""
    return arb(mp.nstr(value, 45)) * (1 + arb(0, 1e-40)) + arb(0, 1e-60)


# --- the search ---------------------------------------------------------------------------------------------------


def proven(expression, box, **options):
    return prove_positive("test", "E > 0", "a box", Chart(expression=expression, box=box), **options)


def test_a_true_statement_is_proven_and_counted():
    found = proven(lambda x, y: 1 + x * y - x, {"x": (0, 1), "y": ("0.1", 1)})
    assert found.proven
    assert found.open_share == 0
    assert found.open_boxes == ()
    assert found.witness is None
    assert found.subdivisions >= 1
    assert found.precision_bits == 80


def test_a_false_statement_has_a_witness_that_is_false():
    found = proven(lambda x: x - ball("1/3"), {"x": (0, 1)})
    assert not found.proven
    assert found.open_share == 1
    ((low, high),) = found.witness
    assert high <= Fraction(1, 3)
    assert low >= 0


def test_a_zero_inside_is_neither_proven_nor_refuted():
    found = proven(lambda x: x * x, {"x": (-1, 1)}, max_depth=20)
    assert not found.proven
    assert found.witness is None
    assert found.open_share == pytest.approx(2.0**-19)
    assert all(low <= 0 <= high for ((low, high),) in found.open_boxes)


def test_an_exhausted_budget_proves_nothing():
    found = proven(lambda x: x - ball("1e-9"), {"x": ("1e-6", 1)}, max_boxes=1)
    assert found.proven
    found = proven(lambda x: 1 + x - x * x * 2 + x * x, {"x": (0, "1.6")}, max_boxes=1)
    assert not found.proven
    assert found.open_share == 1
    assert found.subdivisions == 1


def test_no_number_proves_nothing():
    found = proven(lambda x: arb.nan(), {"x": (0, 1)}, max_boxes=50)
    assert not found.proven
    assert found.witness is None
    assert len(found.open_boxes) == 16  # no more are kept


def test_one_number_is_a_box_without_sides():
    assert proven(lambda: arb(1), {}).proven
    assert proven(lambda: arb(-1), {}).witness == ()
    assert proven(lambda: arb(0, 1), {}).open_boxes == ((),)
    point = proven(lambda x: arb(0, 1), {"x": (1, 1)})
    assert point.subdivisions == 1
    assert not point.proven


def test_every_chart_must_hold():
    good, bad = Chart(expression=lambda: arb(1)), Chart(expression=lambda: arb(-1))
    assert not prove_positive("test", "", "", good, bad).proven
    assert prove_positive("test", "", "", good, good).proven


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=5))
def test_what_is_proven_is_true(coefficients):
    def polynomial(x):
        return sum((c * x**k for k, c in enumerate(coefficients)), start=arb(0))

    found = proven(polynomial, {"x": (-1, 1)}, max_boxes=200)
    values = np.polynomial.polynomial.polyval(np.linspace(-1, 1, 201), coefficients)
    if found.proven:
        assert values.min() > 0
    if values.min() < -0.1:
        assert not found.proven


def test_bad_searches_are_rejected():
    with pytest.raises(ValueError, match="`charts` must hold at least one chart, got none"):
        prove_positive("test", "", "")
    with pytest.raises(ValueError, match="`max_boxes` must be at least 1, got 0"):
        proven(lambda: arb(1), {}, max_boxes=0)
    with pytest.raises(TypeError, match=r"`value` must be exact.*got 0\.1|parameter 'box'"):  # or a checked type
        proven(lambda x: x, {"x": (0.1, 1)})


def test_threads_do_not_see_each_others_precision():
    def digits(bits):
        with working_precision(bits):
            return [arb(2).sqrt().rel_accuracy_bits() for _ in range(500)]

    before = ctx.prec
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip((60, 300, 90, 1000), pool.map(digits, (60, 300, 90, 1000)), strict=True))
    for bits, accuracies in found.items():
        assert all(bits - 3 <= accuracy <= bits + 1 for accuracy in accuracies)
    assert ctx.prec == before


# --- the balls contain what they should ---------------------------------------------------------------------------


def j(a, b, theta):
    constant = mp.mpf(2) ** (mp.mpf(a + b) / 2) * mp.gamma(1 + mp.mpf(a + b) / 2) / (2 * mp.pi)
    return constant * mp.quad(lambda x: mp.sin(x) ** a * mp.sin(mp.pi - theta - x) ** b, [0, mp.pi - theta])


def kappa(theta):
    return (mp.sin(theta) + (mp.pi - theta) * mp.cos(theta)) / mp.pi


def cross(theta):
    return 3 + 2 * j(2, 2, theta) - 4 * j(3, 1, theta)


def fourth(theta):
    return 3 - 8 * j(3, 1, theta) + 6 * j(2, 2, theta)


def variance(theta):
    k, j22, j31 = kappa(theta), j(2, 2, theta), j(3, 1, theta)
    return 4 * j22 + k * k * (3 + 2 * j22) - 8 * k * j31


def share_rest(theta):
    beta = 2 * mp.cos(theta) - 1
    share = (kappa(mp.acos((1 + beta) / 2)) - 1 / mp.pi) / (1 - 1 / mp.pi)
    return (share - 1 + mp.pi / (2 * (mp.pi - 1)) * (1 - beta)) / (1 - beta) ** mp.mpf("1.5")


def paper_margin(a, s):
    b, c = a * (1 + s), 2 * (1 + s) / (1 + (1 + s) ** 2)
    spread = mp.sqrt((1 + a * a) * (1 + b * b))
    return ((a * b * c + 1) / spread - c) * spread * (1 + (1 + s) ** 2) / s**2


ANGLES = [  # ball function, what it encloses in terms of theta = x or psi = x
    (relu_balls.lift_over_cube, lambda x: (kappa(x) - mp.cos(x)) / x**3),
    (relu_balls.versine_over_square, lambda x: (1 - mp.cos(x)) / x**2),
    (relu_balls.cross_over_square, lambda x: cross(x) / x**2),
    (relu_balls.fourth_over_fourth, lambda x: fourth(x) / x**4),
    (relu_balls.j11_over_cube, lambda x: j(1, 1, mp.pi - x) / x**3),
    (relu_balls.j22_over_fifth, lambda x: j(2, 2, mp.pi - x) / x**5),
    (relu_balls.j31_over_fifth, lambda x: j(3, 1, mp.pi - x) / x**5),
    (relu_balls.j22, lambda x: j(2, 2, x)),
    (relu_balls.j31, lambda x: j(3, 1, x)),
    (relu_balls.kappa, kappa),
    (layer._kappa_slope_theta, lambda x: -mp.diff(kappa, x) / x),
    (layer._kappa_slope_psi, lambda x: -mp.diff(kappa, mp.pi - x) / x**2),
    (layer._lift_over_distance, lambda x: (kappa(x) - mp.cos(x)) / (2 - 2 * mp.cos(x)) ** mp.mpf("1.5")),
    (layer._share_rest, share_rest),
    (depth._half_rest, lambda x: (1 - kappa(x) - (1 - mp.cos(x)) / 2) / x**2),
    (depth._half_rest, lambda x: (1 - kappa(mp.pi - x) - (1 + mp.cos(x)) / 2) / x**2),
    (layer._summand_slope_theta, lambda x: -mp.diff(lambda y: j(2, 2, y) - j(1, 1, y) ** 2, x) / x),
    (layer._summand_slope_psi, lambda x: -mp.diff(lambda y: j(2, 2, y) - j(1, 1, y) ** 2, mp.pi - x) / x**4),
    (layer._ratio_rest, lambda x: (x / (2 * mp.pi) * j(2, 2, mp.pi - x) - 2 * j(1, 1, mp.pi - x) ** 2) / x**6),
    (layer._variance_theta, lambda x: variance(x) / x**4),
    (layer._variance_psi, lambda x: variance(mp.pi - x) / x**5),
    (depth._he_rest, lambda x: (kappa(x) - mp.cos(x / (1 + x / (3 * mp.pi)))) / x**4),
]


@pytest.mark.parametrize("x", ["0.125", "0.75", "1.5"])
@pytest.mark.parametrize(("enclosed", "plain"), ANGLES)
def test_an_expression_encloses_its_definition(enclosed, plain, x):
    with mp.workdps(40), working_precision(100):
        found = enclosed(arb(x))
        assert found.rad() < arb("1e-15")
        assert abs(found - as_arb(plain(mp.mpf(x)))) < arb("1e-14")  # numerical derivatives are the worst


@pytest.mark.parametrize(("a", "s"), [("0.5", "0.01"), ("1.5", "0.7"), ("2", "3")])
def test_the_papers_threshold_encloses_its_definition(a, s):
    with mp.workdps(40), working_precision(100):
        found = layer._paper_rest(arb(a), arb(s))
        assert abs(found - as_arb(paper_margin(mp.mpf(a), mp.mpf(s)))) < arb("1e-25")


@given(st.sampled_from(ANGLES[:10]), st.fractions(0, 3, max_denominator=50), st.fractions(0, "1/10"), unit)
@settings(max_examples=60)
def test_a_ball_of_angles_encloses_its_points(pair, low, width, share):
    with working_precision(80):
        wide, point = pair[0](ball(low, low + width)), pair[0](ball(low + share * width))
        assert wide.overlaps(point)


boxes = st.tuples(
    st.fractions("1/20", "17/20", max_denominator=100),
    st.fractions("1/2", 3, max_denominator=100),
    st.fractions("1/2", 3, max_denominator=100),
    st.fractions(0, "1/20", max_denominator=1000),
    unit,
)


def widened(box):
    """Balls of a box of cosine and norms, and one point in it."""
    *lows, width, share = box
    return [ball(low, low + width) for low in lows], [low + share * width for low in lows]


@given(boxes)
@settings(max_examples=25)
def test_correlation_and_margin_enclose_the_layer(box):
    with mp.workdps(40), working_precision(100):
        balls, point = widened(box)
        c, a, b = (mp.mpf(x.numerator) / x.denominator for x in point)
        rho = naive.correlation(c, a, b)
        assert relu_balls.correlation(*balls).overlaps(as_arb(rho))
        found = relu_balls.margin(*balls)
        assert found.is_nan() or found.overlaps(as_arb(naive.kappa(rho) - c))


@pytest.mark.parametrize("where", [("0.3", "0.5", 2), ("0.8", 1, "1.25"), ("0.5", 3, 3)])
def test_the_moments_of_k_are_their_definition(where):
    with mp.workdps(40), working_precision(100):
        c, a, b = map(mp.mpf, where)
        theta = mp.acos(naive.correlation(c, a, b))
        square = 4 * (j(2, 2, theta) - 2 * c * j(3, 1, theta) + c * c / 4 * (3 + 2 * j(2, 2, theta))) / (1 - c) ** 2
        found = threshold._moments_over_drop(*(ball(x) for x in where))
        assert abs(found[0] - as_arb((kappa(theta) - c) / (1 - c))) < arb("1e-20")
        assert abs(found[1] - as_arb(square)) < arb("1e-20")


@given(boxes)
@settings(max_examples=12)
def test_the_moments_of_k_enclose_their_definition(box):
    with mp.workdps(30), working_precision(100):
        balls, point = widened(box)
        c, a, b = (mp.mpf(x.numerator) / x.denominator for x in point)
        theta = mp.acos(naive.correlation(c, a, b))
        j22, j31 = j(2, 2, theta), j(3, 1, theta)
        mean = (2 * j(1, 1, theta) - c) / (1 - c)
        square = 4 * (j22 - 2 * c * j31 + c * c / 4 * (3 + 2 * j22)) / (1 - c) ** 2
        if relu_balls.correlation(*balls) < 1:
            found = threshold._moments_over_drop(*balls)
            assert found[0].overlaps(arb(mp.nstr(mean, 25)) + arb(0, 1e-20))
            assert found[1].overlaps(arb(mp.nstr(square, 25)) + arb(0, 1e-20))


@pytest.mark.parametrize("theta", ["0.05", "0.5", "1"])
def test_the_divided_form_of_k_is_the_difference_it_stands_for(theta):
    with working_precision(120):
        angle = arb(theta)
        mean, square = threshold._unit_moments(angle)
        assert abs(angle * threshold._chebyshev_rest(angle) - (22 * mean * mean - square)) < arb("1e-16")


@given(st.fractions("1/10", "9/10"), st.fractions("1/3", 3), st.fractions("1/3", 3), st.fractions("1/20", "19/20"))
@settings(max_examples=20)
def test_m_is_the_integral_that_defines_it(cosine, a, b, share):
    """Up to where M becomes infinite: closed form in balls against rigorous quadrature and against mpmath."""
    with working_precision(100):
        c = ball(cosine)
        theta = relu_balls.correlation(c, ball(a), ball(b)).acos()
        t = (ball(share) / (c * theta.sin() ** 2)).mid()
        closed = rate_balls.contrast_mgf(t, c, theta)
        assert closed.rad() < arb("1e-20")
        assert closed.overlaps(rate_balls.contrast_mgf_by_quadrature(t, c, theta))


def test_m_is_the_expectation_that_defines_it():
    cosine, t = mp.mpf("0.5"), mp.mpf("0.8")
    theta = mp.acos(mp.mpf("0.75"))

    def integrand(angle):
        u, v = max(mp.cos(angle), 0), max(mp.cos(angle - theta), 0)
        return 1 / (1 + 2 * t * (u * v - cosine / 2 * (u * u + v * v)))

    edges = [-mp.pi / 2, theta - mp.pi / 2, mp.pi / 2, theta + mp.pi / 2, 3 * mp.pi / 2]
    expected = mp.quad(integrand, edges) / (2 * mp.pi)
    with working_precision(100):
        found = rate_balls.contrast_mgf(arb("0.8"), arb("0.5"), arb("0.75").acos())
        assert abs(found - arb(mp.nstr(expected, 15))) < arb("1e-13")


def test_m_is_infinite_from_a_known_point_on():
    with working_precision(80):
        c, theta = arb("0.5"), arb("0.75").acos()
        end = 1 / (c * theta.sin() ** 2)
        assert rate_balls.contrast_mgf(end * arb("0.999"), c, theta).is_finite()
        assert rate_balls.contrast_mgf(end * arb("1.001"), c, theta).is_nan()
        assert rate_balls.contrast_mgf(arb(1), c, arb(2)).is_nan()  # theta beyond pi/2


@given(st.tuples(st.fractions("1/10", 5), st.fractions("-1/10", 5), st.fractions(0, 3)), st.fractions(0, "1/5"), unit)
def test_the_corners_span_the_arctangent_integral(lows, width, share):
    with working_precision(80):
        wide = rate_balls.arctangent_integral(*(ball(low, low + width) for low in lows))
        point = rate_balls.arctangent_integral(*(ball(low + share * width) for low in lows))
        assert wide.is_nan() or wide.overlaps(point)


@pytest.mark.parametrize(
    ("a", "b", "tau"), [("1", "1e-9", "2"), ("2", "-1e-12", "1"), ("1", "0", "3"), ("3", "-0.5", "2")]
)
def test_the_arctangent_integral_near_b_zero(a, b, tau):
    with mp.workdps(40), working_precision(120):
        expected = mp.quad(lambda s: 1 / (mp.mpf(a) + mp.mpf(b) * s * s), [0, mp.mpf(tau)])
        assert abs(rate_balls.arctangent_integral(arb(a), arb(b), arb(tau)) - as_arb(expected)) < arb("1e-25")


@pytest.mark.parametrize("theta", ["0.001", "0.3", "0.9", "1.047"])
def test_the_divided_form_at_unit_norms_is_the_difference_it_stands_for(theta):
    with working_precision(120):
        angle = arb(theta)
        cosine = 2 * angle.cos() - 1
        m = rate_balls.contrast_mgf(1 / (4 * (1 - cosine)), cosine, angle)
        limit = arb("0.5") + arb(2).sqrt() / 3
        assert abs(limit - m - angle * rate_balls.unit_norm_gap(angle)) < arb("1e-25")


# --- the certificates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_certificate_is_proven(name):
    found = CERTIFICATES[name]()
    assert found.proven
    assert found.name == name.split(".")[0]
    assert found.open_share == 0
    assert found.statement
    assert found.domain


FALSE = {  # one a maker, with a constant just beyond the best
    "lift": lambda: layer.arc_cosine_lift("0.0323"),  # 1/pi³ = .03225
    "slope": lambda: layer.arc_cosine_increases("0.1014"),  # 1/pi² = .10132
    "complement": lambda: depth.complement_at_least_half("0.182"),  # 1/2 - 1/pi = .18169
    "unit norms": lambda: layer.contraction_at_unit_norms("0.1062"),  # 1/(3 pi) = .10610
    "box beyond the threshold": lambda: layer.contraction_on_box("0.9", 1, 2),  # c* = .8939
    "paper": lambda: layer.paper_threshold_suffices("0.087"),  # .08645
    "summand": lambda: layer.summand_variance_increases("0.0155"),  # 3/(2 pi⁴) = .01540
    "ratio": lambda: layer.summand_ratio_decreases("0.00027"),  # 1/(4 pi⁶) = .00026004
    "variance": lambda: layer.variance_positive("0.0018"),  # 8/(15 pi⁵) = .001743
    "theorem 4": lambda: layer.theorem_4_constant("0.156"),  # 1/(3 (pi - 1)) = .15565
    "he": lambda: depth.he_initialisation_rate("0.0073"),  # cos(pi/4)/pi⁴ = .007259
    "K": lambda: threshold.chebyshev_at_unit_norms("12.4"),  # 12.393
    "K on a box": lambda: threshold.chebyshev_on_box("19.5", ("0.85", "0.9")),  # 19.74
    "K beyond the threshold": lambda: threshold.chebyshev_on_box(10**6, ("0.9", "0.95"), (1, 2)),
    "uniform rate": lambda: rate.rate_at_unit_norms("0.022"),  # .02166
    "rate on a box": lambda: rate.rate_on_box("0.0325"),  # .03206
    "M above the threshold": lambda: rate.mgf_below_one("0.01", "0.9", 2, 1),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_certificate_fails_with_a_witness(name):
    found = FALSE[name]()
    assert not found.proven
    assert found.witness is not None
    assert found.open_share == 1


TRUE = {
    "lift": lambda: layer.arc_cosine_lift("0.03225"),
    "complement": lambda: depth.complement_at_least_half("0.1815"),
    "unit norms": lambda: layer.contraction_at_unit_norms("0.1061"),
    "paper": lambda: layer.paper_threshold_suffices("0.0864"),
    "summand": lambda: layer.summand_variance_increases("0.01539"),
    "variance": lambda: layer.variance_positive("0.00174"),
    "theorem 4": lambda: layer.theorem_4_constant("0.1556"),
    "he": lambda: depth.he_initialisation_rate("0.00725"),
    "K": lambda: threshold.chebyshev_at_unit_norms("12.3"),
    "uniform rate": lambda: rate.rate_at_unit_norms("0.0216"),
    "M below the threshold": lambda: rate.mgf_below_one("0.01", "0.89", 2, 1),
}


@pytest.mark.parametrize("name", TRUE)
def test_a_constant_just_inside_the_best_is_proven(name):
    assert TRUE[name]().proven


@pytest.mark.parametrize(
    "make",
    [
        layer.arc_cosine_lift,
        layer.arc_cosine_increases,
        layer.contraction_at_unit_norms,
        layer.paper_threshold_suffices,
        layer.summand_variance_increases,
        layer.summand_ratio_decreases,
        layer.variance_positive,
        layer.theorem_4_constant,
        depth.complement_at_least_half,
        depth.he_initialisation_rate,
        threshold.chebyshev_at_unit_norms,
        rate.rate_at_unit_norms,
    ],
)
def test_a_constant_is_printed_and_not_negative(make):
    assert " 1/1000" in make("1/1000").statement
    with pytest.raises(ValueError, match=r"`constant` must be at least 0, got '-0\.1'"):
        make("-0.1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layer.contraction_on_box("0.5", -1, 1), r"`norms` must be an interval of positive .*got \(-1, 1\)"),
        (lambda: layer.contraction_on_box("0.5", 2, 1), r"`norms` must be an interval of positive .*got \(2, 1\)"),
        (lambda: layer.contraction_on_box(-2), r"`highest` must lie in \(-1, 1\), got -2"),
        (
            lambda: rate.rate_on_box("0.01", (-1, "0.5")),
            r"`cosines` must be an interval inside \(0, 1\), got \(-1, '0\.5'\)",
        ),
        (
            lambda: rate.rate_on_box("0.01", norms=(0, 1)),
            r"`norms` must be an interval of positive numbers, got \(0, 1\)",
        ),
        (lambda: rate.rate_on_box("-0.01"), r"`rate` must be positive, got '-0\.01'"),
        (lambda: threshold.chebyshev_on_box(22, ("0.5", 1)), r"`cosines` must be an interval inside \(0, 1\), got"),
        (
            lambda: threshold.chebyshev_on_box(22, norms=(-1, 1)),
            r"`norms` must be an interval of positive numbers, got",
        ),
        (lambda: threshold.chebyshev_on_box(0), r"`bound` must be positive, got 0"),
        (lambda: rate.mgf_below_one(0, "0.5", 1, 1), r"`t` must be positive, got 0"),
        (
            lambda: rate.mgf_below_one(1, "-0.5", 1, 1),
            r"`cosine` must lie in \(0, 1\) and the norms be positive, got '-0\.5'",
        ),
        (
            lambda: threshold.sharp_threshold_within(-1, 2, threshold.enclose_sharp_threshold(1, 2)),
            "`norm_u` and `norm_v` must be positive and different, got -1 and 2",
        ),
    ],
)
def test_what_the_theorems_do_not_cover_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@given(st.floats(0.001, 0.999), st.floats(0.9, 1.1), st.floats(0.9, 1.1))
def test_k_keeps_its_bounds(c, a, b):
    assert chebyshev_constant(c, 1.0, 1.0) < 21
    if 0.1 <= c <= 0.9:
        assert chebyshev_constant(c, a, b) < 22


@pytest.mark.parametrize("depth", [1, 2, 5, 50, 2000])
@pytest.mark.parametrize("rho0", [-1.0, -0.5, 0.0, 0.9, 0.999])
def test_angles_under_he_initialisation_keep_their_bound(depth, rho0):
    complement = cone_curve("relu", depth, rho0=rho0, sigma_w2=2.0).complement
    theta = 2 * np.arcsin(np.sqrt(complement / 2))
    assert theta[-1] < 3 * np.pi / (depth + 3 * np.pi / theta[0])


# --- the numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), THRESHOLD_NORMS)
def test_the_sharp_threshold_is_enclosed(a, b):
    found = threshold.enclose_sharp_threshold(a, b)
    assert found.high - found.low <= Decimal("2e-32")
    with mp.workdps(45):
        expected = naive.threshold(mp.mpf(str(a)), mp.mpf(str(b)))
        assert mp.mpf(str(found.low)) - mp.mpf("1e-30") < expected < mp.mpf(str(found.high)) + mp.mpf("1e-30")
    assert found.distance(float(sharp_threshold(float(a), float(b)))) < 1e-15


@pytest.mark.parametrize("shift", ["1e-20", "-1e-20", "1e-31"])
def test_a_shifted_threshold_is_refused(shift):
    found = threshold.enclose_sharp_threshold(2, 1)
    low, high = (Decimal(f"{int((Fraction(end) + Fraction(shift)) * 10**40)}e-40") for end in (found.low, found.high))
    certificate = threshold.sharp_threshold_within(2, 1, Enclosure(low=low, high=high))
    assert not certificate.proven
    assert certificate.witness == ()


def test_too_little_precision_proves_nothing():
    found = threshold.enclose_sharp_threshold(2, 1)
    certificate = threshold.sharp_threshold_within(2, 1, found, precision_bits=53)
    assert not certificate.proven
    assert certificate.witness is None


@pytest.mark.parametrize(("a", "b"), [(1, 1), (0, 1), (-1, 2)])
def test_equal_or_empty_norms_have_no_enclosure(a, b):
    with pytest.raises(ValueError, match=f"`norm_u` and `norm_v` must be positive and different, got {a} and {b}"):
        threshold.enclose_sharp_threshold(a, b)


REFERENCE = [0.208990878532, 0.0833930106684, 0.0402591419619, 0.0315821276831, 0.0362803175602, 0.00092082774393]


@pytest.mark.parametrize(("where", "expected"), list(zip(RATE_LAYERS, REFERENCE, strict=True)))
def test_the_rate_is_enclosed(where, expected):
    found = rate.enclose_rate(*where)
    assert found.high - found.low <= Decimal("1e-22")
    assert found.distance(expected) < 1e-12


class _Parabola(rate._Contrast):
    """A convex function whose minimum, 0 at t = 1, is known."""

    def __init__(self):
        pass

    def mgf(self, t):
        return ball((t - 1) ** 2)


def test_three_values_of_a_convex_function_enclose_its_minimum():
    with working_precision(80):
        found = rate._minimum(_Parabola(), Fraction("1.1"), Fraction("0.5"))
        assert arb(0) in found
        assert ball("0.01") in found
        assert found.rad() < arb("0.2")
        assert rate._minimum(_Parabola(), Fraction(3), Fraction("0.5")).is_nan()  # the minimum is not between
        assert rate._minimum(_Parabola(), Fraction(1), Fraction(1)).is_nan()  # t - step must be positive


@pytest.mark.parametrize("shift", ["1e-20", "-1e-20"])
def test_a_shifted_rate_is_refused(shift):
    found = rate.enclose_rate("0.5", 1, 1)
    shifted = Enclosure(low=found.low + Decimal(shift), high=found.high + Decimal(shift))
    assert not rate.rate_within("0.5", 1, 1, shifted).proven


@pytest.mark.parametrize("cosine", ["0.894", "0.95", "0.999"])
def test_there_is_no_rate_from_the_threshold_on(cosine):
    with pytest.raises(ValueError, match=rf"`cosine` must lie in \(0, c\*\).*got '{cosine}'"):
        rate.enclose_rate(cosine, 2, 1)


@pytest.mark.parametrize("bad", [("1.5", 1, 1), (0, 1, 1), ("0.5", 0, 1)])
def test_a_rate_outside_its_domain_is_refused(bad):
    with pytest.raises(ValueError, match=r"`cosine` must lie in \(0, 1\) and the norms be positive, got"):
        rate.enclose_rate(*bad)


def test_the_rate_falls_to_the_uniform_one():
    limit = -np.log(0.5 + np.sqrt(2) / 3)
    values = [float(rate.enclose_rate(c, 1, 1, digits=12).low) for c in ("0.5", "0.9", "0.99", "0.9999", "0.999999")]
    assert all(x > y for x, y in itertools.pairwise(values))
    assert 0 < values[-1] - limit < 1e-4


@pytest.mark.parametrize("a", [1, 2, "0.5"])
def test_the_rate_at_equal_norms_has_its_limit(a):
    lam = 1 / (1 + float(Fraction(a)) ** -2)
    found = float(rate.enclose_rate("0.99999999", a, a, digits=12).low)
    assert found == pytest.approx(-np.log(0.5 + np.sqrt(lam) / (1 + lam)), abs=1e-4)


def test_the_rate_is_a_chernoff_bound():
    """On a small box the certified lower bound is below the exact rates, which it approaches."""
    assert rate.rate_on_box("0.078", ("0.5", "0.5"), (1, 1)).witness is not None  # t is not the best one
    assert rate.rate_on_box("0.05", ("0.5", "0.5"), (1, 1)).proven
    assert float(preactivation_angle(0.5, 1.0, 1.0)) < np.pi / 2
