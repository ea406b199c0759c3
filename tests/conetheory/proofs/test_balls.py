import math
from decimal import Decimal
from fractions import Fraction

import mpmath as mp
import pytest
from flint import acb, arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from conetheory.errors import ConvergenceError
from conetheory.proofs.balls import ball, enclosure, end_point, integrate, rational, working_precision
from conetheory.proofs.series import Quotient

fractions = st.fractions(-10, 10, max_denominator=10**9)


def holds(x, value):
    """Whether the ball `x` contains the fraction `value`."""
    return fmpq(value.numerator, value.denominator) in x


@pytest.fixture(autouse=True)
def eighty_bits():
    with working_precision(80):
        yield


@given(fractions)
def test_a_ball_holds_its_number(x):
    assert holds(ball(x), x)
    assert ball(x).rad() <= abs(ball(x).mid()) * arb(2) ** -78


@given(fractions, fractions, st.fractions(0, 1, max_denominator=1000))
def test_a_ball_holds_its_interval(a, b, share):
    low, high = sorted((a, b))
    assert holds(ball(low, high), low + share * (high - low))


def test_a_decimal_is_read_as_written():
    assert rational("0.1") == Fraction(1, 10) == rational(Decimal("0.1"))
    assert rational("2/3") == Fraction(2, 3)
    assert not holds(arb(0.1), Fraction(1, 10))  # what the check is for


@pytest.mark.parametrize("bad", [0.1, True, None, 1 + 0j])
def test_what_is_not_exact_is_rejected(bad):
    with pytest.raises(TypeError, match=r"`value` must be exact.*got |parameter 'value'"):  # or a checked type
        rational(bad)


@pytest.mark.parametrize("bad", ["a", "1/0", "nan", Decimal("inf")])
def test_what_is_no_number_is_rejected(bad):
    with pytest.raises(ValueError, match="`value` must be a finite number, got "):
        rational(bad)


def test_a_reversed_interval_is_rejected():
    with pytest.raises(ValueError, match=r"`high` must be at least `low`, got 1 and 2\."):
        ball(2, 1)


def test_the_precision_is_restored():
    before = ctx.prec, ctx.cap

    def fail():
        with working_precision(500):
            assert ctx.prec == 500
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (ctx.prec, ctx.cap) == before
    with pytest.raises(ValueError, match=r"`bits` must be at least 2, got 1\."), working_precision(1):
        pass


@given(fractions, st.integers(1, 20))
def test_an_enclosure_is_rounded_outwards(x, digits):
    found = enclosure(ball(x), digits)
    assert Fraction(found.low) <= x <= Fraction(found.high)
    assert found.high - found.low <= 2 * Decimal(10) ** -digits
    assert found.low.as_tuple().exponent == -digits


def test_an_enclosure_of_pi():
    found = enclosure(arb.pi(), 20)
    assert (str(found.low), str(found.high)) == ("3.14159265358979323846", "3.14159265358979323847")
    assert str(found) == "[3.14159265358979323846, 3.14159265358979323847]"
    assert found.distance(3.0) == pytest.approx(math.pi - 3)
    with pytest.raises(ValueError, match="`x` must be a finite ball, got nan"):
        enclosure(arb.nan(), 3)


INTEGRALS = [  # integrand, ends, value
    (lambda x: x.sqrt(), 1, 4, lambda: mp.mpf(14) / 3),
    (lambda x: x.log(), 1, 4, lambda: 4 * mp.log(4) - 3),
    (lambda x: (x * Fraction(1, 3)).acos(), -2, 2, lambda: 2 * mp.pi),
    (lambda x: 1 / (1 + x**2), 0, 1, lambda: mp.pi / 4),
    (lambda x: (2 - x) * x.exp() - x.sin(), 0, 1, lambda: 2 * mp.e - 3 - 1 + mp.cos(1)),
    (lambda x: x.cos() / 2 + (-x) ** 2, 0, 1, lambda: mp.sin(1) / 2 + mp.mpf(1) / 3),
]


@pytest.mark.parametrize(("f", "low", "high", "value"), INTEGRALS)
def test_integrals_hold_the_value(f, low, high, value):
    found = integrate(f, low, high)
    with mp.workdps(40):
        assert abs(found - arb(str(value()))) < arb("1e-20")
    assert found.rad() < arb("1e-20")


@pytest.mark.parametrize(
    ("naive", "wrapped", "low", "high"),
    [
        (lambda x, _: x.sqrt(), lambda x: x.sqrt(), 1, 4),
        (lambda x, _: x.acos(), lambda x: x.acos(), 0, 1),
        (lambda x, _: x.acos(), lambda x: x.acos(), fmpq(-9, 10), fmpq(99, 100)),
    ],
)
def test_the_naive_use_is_wrong_and_the_wrapper_is_right(naive, wrapped, low, high):
    """flint's own routine returns a narrow ball that does not contain the integral where the flag is ignored."""
    plain, safe = acb.integral(naive, low, high).real, integrate(wrapped, arb(low), arb(high))
    assert safe.rad() < arb("1e-15")
    assert plain.rad() < arb("1e-10")
    assert not plain.overlaps(safe)


@pytest.mark.parametrize("f", [lambda x: x.log(), lambda x: x.sqrt(), lambda x: (x * 2).acos(), lambda x: 1 / x])
def test_an_integrand_that_is_not_analytic_is_refused(f):
    with pytest.raises(ConvergenceError, match="The integral has no finite real enclosure"):
        integrate(f, -1, 1)


def test_an_unsafe_integrand_is_refused():
    for unsafe in (lambda x: abs(x), lambda x: x if x > 0 else -x, lambda x: x.gamma(), lambda x: x + 0.1):
        with pytest.raises((TypeError, AttributeError)):
            integrate(unsafe, 0, 1)


QUOTIENTS = [
    (lambda x: x.sin() - x * x.cos(), 3, lambda x: mp.sin(x) - x * mp.cos(x)),
    (lambda x: 1 - x.cos(), 2, lambda x: 1 - mp.cos(x)),
    (lambda x: (1 - x.cos()).derivative(), 1, mp.sin),
    (lambda x: (3 * x).sin() - 3 * x, 3, lambda x: mp.sin(3 * x) - 3 * x),
]


@pytest.mark.parametrize(("series", "order", "plain"), QUOTIENTS)
@pytest.mark.parametrize("x", ["1e-30", "0.001", "0.5", "1.7", "3.14"])
def test_a_quotient_holds_the_value(series, order, plain, x):
    found = Quotient(series, order)(ball(x))
    with mp.workdps(150):  # the numerator may cancel to 1e-90
        expected = arb(mp.nstr(plain(mp.mpf(x)) / mp.mpf(x) ** order, 60))
    assert found.overlaps(expected)
    assert found.rad() < arb("1e-11")  # what the remainder leaves at the far end


@given(st.fractions(0, 3, max_denominator=100), st.fractions(0, "1/10", max_denominator=100), st.fractions(0, 1))
def test_a_quotient_of_an_interval_holds_its_points(low, width, share):
    lift = Quotient(lambda x: x.sin() - x * x.cos(), 3)
    assert lift(ball(low, low + width)).overlaps(lift(ball(low + share * width)))


def exponential(terms):
    """The power series of e^x up to x^(terms - 1), of an argument that may be a ball."""

    def function(x):
        return sum((x**k * fmpq(1, math.factorial(k)) for k in range(terms)), start=x * 0)

    return function


@pytest.mark.parametrize("power", [39, 40, 41, 43])
@pytest.mark.parametrize("order", [0, 1])
def test_the_remainder_replaces_the_terms_that_it_bounds(power, order):
    """A monomial of degree 40 to 43 must not be counted in the head and in the remainder too."""

    def monomial(x):
        result = x
        for _ in range(power - 1):
            result = result * x
        return result

    found = Quotient(monomial, order)
    for at in ("1", "1.001", "3"):
        assert found(ball(at)).overlaps(ball(at) ** (power - order))
    if power == 40 + order:  # then the remainder is exact
        assert found(ball(1)).rad() < arb("1e-15")
        assert not found(ball(1)) > ball("1.5")


def test_a_polynomial_beyond_the_head_is_enclosed_within_its_remainder():
    found = Quotient(exponential(60), 0)(ball(3))
    assert found.overlaps(arb(3).exp())
    assert found.rad() < arb("1e-20")


def test_an_end_is_a_fraction():
    assert end_point(ball("1/8")) == Fraction(1, 8)
    assert end_point(arb(0)) == 0


def test_a_quotient_checks_order_range_and_length():
    with pytest.raises(ValueError, match=r"vanish at 0 to the order 3, but its coefficient of x\^2 is 1/2"):
        Quotient(lambda x: 1 - x.cos(), 3)
    with pytest.raises(ValueError, match=r"`x` must lie in \[-22/7, 22/7\], got "):
        Quotient(lambda x: x.sin(), 1)(ball(4))
    with pytest.raises(ValueError, match=r"`function` must keep 41 terms"):
        Quotient(lambda x: x.sin().derivative().derivative().derivative().derivative().derivative(), 1)
    assert Quotient(lambda x: x.sin(), 1)(arb.nan()).is_nan()
