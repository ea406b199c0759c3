"""Swapped pairs: all swaps counted one by one, derivatives, and limits."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory.contrastive import contrastive_loss
from conetheory.loss_profiles import simplex_profile
from conetheory.swapped_pairs import swapped_cosine_mean, swapped_cosine_variance, swapped_gap_speed, swapped_loss

RNG = np.random.default_rng(4)
X, Y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in RNG.normal(size=(2, 2, 3)))
KINDS = ("none", "hard", "soft", "row")


def all_swaps(x, y, kind):
    width = 1 if kind == "row" else x.shape[1]
    for bits in product((0.0, 1.0), repeat=len(x) * width):
        part = np.reshape(bits, (len(x), width))
        yield (x + part * (y - x)) @ (y + part * (x - y)).T


@pytest.mark.parametrize("kind", ["hard", "row"])
def test_moments_are_those_of_all_swaps(kind):
    cosines = np.array(list(all_swaps(X, Y, kind)))
    assert_allclose(swapped_cosine_mean(X, Y, kind=kind), cosines.mean(axis=0), atol=1e-14)
    assert_allclose(swapped_cosine_variance(X, Y, kind=kind), cosines.var(axis=0), atol=1e-14)
    assert_allclose(np.diagonal(cosines, axis1=1, axis2=2), np.sum(X * Y, axis=1) * np.ones((len(cosines), 1)))


def test_row_loss_is_the_mean_over_all_swaps():
    n, gamma, beta = 4, 0.4, 7.0
    h = np.eye(n) - 1 / n
    h *= np.sqrt(1 - gamma**2) / np.linalg.norm(h, axis=1, keepdims=True)
    x, y = (np.hstack([h, np.full((n, 1), side)]) for side in (gamma, -gamma))
    losses = [contrastive_loss(beta * cosines) for cosines in all_swaps(x, y, "row")]
    assert_allclose(swapped_loss(gamma, beta, n, kind="row"), np.mean(losses), rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_speed_is_the_derivative_of_the_loss(kind):
    gamma, beta, n, e = 0.3, 9.0, 6, 1e-5
    slope = (swapped_loss(gamma + e, beta, n, kind=kind) - swapped_loss(gamma - e, beta, n, kind=kind)) / (2 * e)
    assert_allclose(swapped_gap_speed(gamma, beta, n, kind=kind), -(1 - gamma**2) * slope, rtol=1e-7)
    assert swapped_gap_speed(-gamma, beta, n, kind=kind) == -swapped_gap_speed(gamma, beta, n, kind=kind)


def test_without_a_swap_it_is_the_reduced_flow():
    force = simplex_profile(6).force(9.0 * 0.91)
    assert_allclose(swapped_gap_speed(0.3, 9.0, 6, kind="none"), -2 * 9.0 * 0.3 * 0.91 * force, rtol=1e-13)
    mixed = [swapped_gap_speed(0.3, 9.0, 6, kind="hard", fraction=p) for p in (0.0, 0.25, 1.0)]
    assert_allclose(mixed[1], 0.75 * mixed[0] + 0.25 * mixed[2], rtol=1e-13)


@pytest.mark.parametrize(("kind", "slope"), [("none", 2.0), ("hard", 3.0), ("soft", 2 + 1 / 3), ("row", 2.0)])
def test_nothing_overflows_at_large_scales(kind, slope):
    """At γ near 1 a swapped loss is linear in γ²; without a swap the force is that of an exponential."""
    speed = swapped_gap_speed(0.999, 1e4, 2, kind=kind)
    share = np.exp(-2e4 * (1 - 0.999**2)) if kind == "none" else 1.0
    assert_allclose(speed, -2 * 0.999 * (1 - 0.999**2) * 1e4 * slope * share, rtol=1e-9)


def test_a_gap_costs_more_the_more_is_swapped():
    losses = [swapped_loss(0.5, 10.0, 8, kind=kind) for kind in ("none", "soft", "hard", "row")]
    assert losses == sorted(losses)
    assert len({swapped_loss(0.0, 10.0, 8, kind=kind) for kind in ("none", "soft", "hard")}) == 1


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: swapped_cosine_mean(X, Y, kind="none"), "`kind`"),
        (lambda: swapped_loss(1.0, 1.0, 4), "`gamma`"),
        (lambda: swapped_loss(0.1, -1.0, 4), "`beta`"),
        (lambda: swapped_loss(0.1, 1.0, 1), "`n`"),
        (lambda: swapped_gap_speed(0.1, 1.0, 4, fraction=np.nan), "`fraction`"),
    ],
)
def test_bad_arguments_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
