"""Stochastic descent of free features against the plain loop, the flow, and itself on other threads."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from conetheory.contrastive_gradient import contrastive_gradient
from conetheory.contrastive_uniformity import cross_uniformity_gradient, uniformity_gradient
from conetheory.errors import ConvergenceError
from conetheory.temperature_laws import exponential_law, fixed_law, linear_law, softplus_law
from sims import _descent_kernels as kernels
from sims.feature_descent import SWAPS, DescentPlan, feature_descent, sample_descents
from sims.flow_starts import cone_start, uniform_start
from sims.gradient_flow import gradient_flow
from sims.temperature_plans import alternating_temperature, straight_temperature

PLAN = {"beta0": 6.0, "batch": 4, "learning_rate": 0.05}


def naive_parts(rng, kind, shape):
    part = rng.random((shape[0], 1) if kind == "row" else shape) * np.ones(shape)
    return part if kind == "soft" else (part < 0.5) * 1.0


def raw_gradient(x, y, beta):
    """Return the gradients of the loss by rows of any length, and its derivative by β."""
    logits, n = beta * x @ y.T, len(x)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    q = np.exp(logits) / np.exp(logits).sum(axis=0)
    weights = (p + q - 2 * np.eye(n)) / (2 * n)
    return beta * weights @ y, beta * weights.T @ x, np.sum(weights * (x @ y.T))


def naive_gradient(x, y, beta, plan, rng):
    if plan.swap != "none" and rng.random() < plan.swap_fraction:
        part = naive_parts(rng, plan.swap, x.shape)
        back_x, back_y, slope = raw_gradient((1 - part) * x + part * y, part * x + (1 - part) * y, beta)
        grad_x, grad_y = (1 - part) * back_x + part * back_y, part * back_x + (1 - part) * back_y
    else:
        found = contrastive_gradient(x, y, 1 / beta)
        grad_x, grad_y = found.gradient_x, found.gradient_y
        slope = raw_gradient(x, y, beta)[2]
    even, cross = uniformity_gradient(x, y), cross_uniformity_gradient(x, y)
    grad_x = (
        grad_x + plan.uniformity * even.gradient_x + plan.cross * cross.gradient_x - plan.alignment * 2 / len(x) * y
    )
    grad_y = (
        grad_y + plan.uniformity * even.gradient_y + plan.cross * cross.gradient_y - plan.alignment * 2 / len(x) * x
    )
    return grad_x, grad_y, slope


def naive_descent(x, y, plan, epochs, rng, schedule=None):
    """Descend with the temperature of the plan's law, or with `schedule`, logit scales by the epoch."""
    x, y, order, nu = x.copy(), y.copy(), np.arange(len(x)), None if schedule else plan.law.nu(plan.beta0)
    for epoch in range(epochs):
        if plan.batch < len(x):
            for i in range(len(x) - 1, 0, -1):
                k = int(rng.random() * (i + 1))
                order[i], order[k] = order[k], order[i]
        for step, chosen in enumerate(order.reshape(-1, plan.batch)):
            beta = schedule(epoch + step * plan.batch / len(x)) if schedule else float(plan.law.beta(nu))
            *gradients, slope = naive_gradient(x[chosen], y[chosen], beta, plan, rng)
            for rows, gradient in zip((x, y), gradients, strict=True):
                at = rows[chosen]
                force = 2 * plan.batch * (gradient - np.sum(gradient * at, axis=1, keepdims=True) * at)
                at = at - plan.learning_rate * force
                rows[chosen] = at / np.linalg.norm(at, axis=1, keepdims=True)
            if schedule:
                continue
            share = plan.batch / len(x)
            nu = nu - share * plan.temperature_rate * plan.learning_rate * float(plan.law.slope(beta)) * slope
    return x, y, beta if schedule else float(plan.law.beta(nu))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 20.0, 300.0])
def test_exponentials_are_right_to_rounding(scale):
    """An exponent is rounded to eps relative, before and inside; below -708 it is taken for that."""
    values = np.append(np.random.default_rng(0).uniform(-2, 1, 997), [1.0, 0.0, -10.0])
    exact = np.exp(np.maximum(scale * (values - 1.0), -708.0))
    found = values.copy()
    kernels._exponentiate(found, scale, 1.0)
    assert_allclose(found, exact, rtol=4 * np.finfo(float).eps, atol=0)


@pytest.mark.parametrize("kind", SWAPS)
@pytest.mark.parametrize("law", [exponential_law(), exponential_law(2.0), linear_law(), softplus_law()])
def test_descent_is_the_plain_loop(kind, law):
    plan = DescentPlan(
        law=law, swap=kind, swap_fraction=0.6, temperature_rate=0.7, uniformity=0.5, alignment=0.3, cross=0.2, **PLAN
    )
    start = uniform_start(8, 5, rng=1)
    found = feature_descent(start.x, start.y, plan, [3], rng=5)
    x, y, beta = naive_descent(start.x, start.y, plan, 3, np.random.default_rng(5))
    assert_allclose(found.x, x, atol=1e-12)
    assert_allclose(found.y, y, atol=1e-12)
    assert_allclose(found.beta[0], beta, rtol=1e-12)


def test_descent_with_all_pairs_is_eulers_method_for_the_flow():
    """The distance to the flow at time 1 halves with the learning rate."""
    start = cone_start(8, 5, 0.4, 1.0, rng=0)
    exact = gradient_flow(start.x, start.y, exponential_law(), [1.0], beta0=6.0, rtol=1e-9)
    far = []
    for steps in (200, 400, 800):
        plan = DescentPlan(law=exponential_law(), beta0=6.0, batch=8, learning_rate=1 / steps)
        far.append(np.linalg.norm(feature_descent(start.x, start.y, plan, [steps]).x - exact.x))
    assert_allclose([far[0] / far[1], far[1] / far[2]], 2.0, rtol=0.05)


def test_seeds_do_not_depend_on_workers_or_on_records():
    plan = DescentPlan(law=fixed_law(), swap="hard", swap_fraction=0.5, **PLAN)
    start = partial(cone_start, 8, 4, 0.3, 1.0)
    one = sample_descents(lambda rng: start(rng=rng), plan, [5], 5, rng=3)
    two = sample_descents(lambda rng: start(rng=rng), plan, [0, 2, 5], 5, rng=3, workers=2)
    assert_array_equal(one.gap_norm[:, 0], two.gap_norm[:, 2])
    assert len(set(one.gap_norm[:, 0])) == 5
    assert len(set(two.margin[:, 0])) == 5  # every seed has a start of its own


def test_a_schedule_is_followed_within_an_epoch():
    law = straight_temperature(0.1, 0.2, 0.5)
    plan = DescentPlan(law=law, beta0=10.0, batch=4, learning_rate=0.05)
    start = uniform_start(8, 4, rng=0)
    found = feature_descent(start.x, start.y, plan, [0, 5, 10, 20], rng=0)
    assert_allclose(1 / found.beta, [0.1, 0.15, 0.2, 0.2])
    x, y, _ = naive_descent(
        start.x, start.y, plan, 20, np.random.default_rng(0), lambda epoch: 1 / min(0.1 + 0.01 * epoch, 0.2)
    )
    assert_allclose(found.x, x, atol=1e-12)
    assert_allclose(found.y, y, atol=1e-12)
    assert_allclose(1 / alternating_temperature(0.1, 0.4, 8.0, cycles=2).schedule(2.0), 0.4)


def test_no_swap_at_fraction_zero():
    start = uniform_start(8, 4, rng=0)
    plans = [DescentPlan(law=fixed_law(), **{**PLAN, "batch": 8}, swap=k, swap_fraction=0.0) for k in SWAPS]
    ends = [feature_descent(start.x, start.y, plan, [5], rng=0).x for plan in plans]
    for end in ends[1:]:
        assert_array_equal(end, ends[0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"beta0": 301.0}, "`beta0` must be at most 300"),
        ({"beta0": np.nan}, "`beta0`"),
        ({"batch": 1}, "`batch`"),
        ({"learning_rate": 0.0}, "`learning_rate`"),
        ({"swap": "soft-hard"}, "`swap`"),
        ({"swap_fraction": 1.1}, "`swap_fraction`"),
        ({"cross": -1.0}, "`cross`"),
        ({"law": straight_temperature(0.1, 0.2, 1.0)}, "`beta0` must be the schedule's"),
    ],
)
def test_a_bad_plan_is_named(change, match):
    with pytest.raises(ValueError, match=match):
        DescentPlan(**{"law": fixed_law(), **PLAN, **change})


def test_bad_arguments_are_named():
    start = uniform_start(6, 4, rng=0)
    plan = DescentPlan(law=fixed_law(), **PLAN)
    with pytest.raises(ValueError, match="`batch` must divide"):
        feature_descent(start.x, start.y, plan, [1])
    for epochs in ([], [2, 2], [3, 1]):
        with pytest.raises(ValueError, match="`epochs`"):
            feature_descent(np.eye(4), np.eye(4), plan, epochs)
    with pytest.raises(ValueError, match="`n_seeds`"):
        sample_descents(lambda rng: start, plan, [1], 0)


@pytest.mark.parametrize(("law", "sign"), [(exponential_law(), 1), (linear_law(), -1)])
def test_a_scale_out_of_range_is_an_error(law, sign):
    """Above 300 where pairs match; below 0, with the linear law, where each text is opposite to its image."""
    plan = DescentPlan(law=law, temperature_rate=1e6, **PLAN)
    rows = np.vstack([np.eye(2), -np.eye(2)])
    with pytest.raises(ConvergenceError, match="logit scale"):
        feature_descent(rows, sign * rows, plan, [50])
