"""Flows from many starts, and what the model of parallel modalities makes of a start."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from conetheory.temperature_laws import exponential_law, fixed_law
from sims.flow_seeds import FlowSample, estimates, sample_flows
from sims.flow_starts import cone_start, parallel_parts, parallel_start, uniform_start
from sims.gradient_flow import gradient_flow

TIMES = [0.0, 0.1, 5.0]


def starts(count, seed=0):
    rng = np.random.default_rng(seed)
    return [cone_start(10, 6, 0.4, 1.0, rng=rng) for _ in range(count)]


def test_a_row_is_the_flow_of_its_start_whatever_the_threads():
    rows = starts(3)
    one, two = (sample_flows(rows, exponential_law(), TIMES, beta0=9.0, rtol=1e-3, workers=w) for w in (1, 2))
    for k, start in enumerate(rows):
        flow = gradient_flow(start.x, start.y, exponential_law(), TIMES, beta0=9.0, rtol=1e-3)
        for name in ("loss", "gap_norm", "beta", "margin", "matched", "alignment", "uniformity"):
            assert_array_equal(getattr(one, name)[k], getattr(flow, name))
            assert_array_equal(getattr(two, name)[k], getattr(flow, name))
        assert (one.steps[k], one.rejected[k]) == (len(flow.step_t) - 1, flow.rejected)
    assert_array_equal(one.t, TIMES)


def test_options_reach_the_flow():
    start = uniform_start(8, 5, rng=1)
    found = sample_flows([start], fixed_law(), [1.0], beta0=9.0, frozen=[4], rtol=1e-2)
    assert (
        found.gap_norm[0]
        == gradient_flow(start.x, start.y, fixed_law(), [1.0], beta0=9.0, frozen=[4], rtol=1e-2).gap_norm
    )


def test_the_matched_time_is_lasting():
    columns = dict.fromkeys(("loss", "gap_norm", "beta", "margin", "alignment", "uniformity"), np.zeros((4, 3)))
    matched = np.array([[1, 0.9, 1], [0, 1, 1], [1, 1, 1], [1, 1, 0.5]])
    sample = FlowSample(t=np.array([0.0, 2.0, 7.0]), matched=matched, steps=np.ones(4), rejected=np.ones(4), **columns)
    assert_array_equal(sample.matched_at(), [7.0, 2.0, 0.0, np.nan])


def test_estimates_are_means_with_their_standard_errors():
    column = np.random.default_rng(0).standard_normal((7, 2))
    for k, estimate in enumerate(estimates(column)):
        assert estimate.value == pytest.approx(column[:, k].mean(), rel=1e-14)
        assert estimate.stderr == pytest.approx(column[:, k].std(ddof=1) / np.sqrt(7), rel=1e-14)
    with pytest.raises(ValueError, match="samples"):
        estimates(column[:1])


@pytest.mark.parametrize("gamma", [0.05, 0.9])
def test_parts_undo_a_parallel_start(gamma):
    h = uniform_start(30, 6, rng=0)
    k = h.x[::-1]  # the same mean, so that the gap is along the added coordinate
    start = parallel_start(h.x, k, gamma)
    parts = parallel_parts(5 * start.x, start.y)
    assert parts.gamma == pytest.approx(gamma, rel=1e-12)
    assert_allclose(parts.cosines, start.x @ start.y.T, rtol=0, atol=1e-14)
    assert_allclose(parts.h[:, :-1], h.x, rtol=0, atol=1e-13)
    assert_allclose(parts.along_x, gamma, rtol=1e-12)
    assert_allclose(parts.along_y, -gamma, rtol=1e-12)


def test_parts_of_any_rows_are_orthogonal_to_the_gap():
    start = cone_start(20, 5, 0.5, 1.3, rng=2)
    parts = parallel_parts(start.x, start.y)
    axis = start.x.mean(axis=0) - start.y.mean(axis=0)
    assert_allclose(axis @ parts.h.T, 0, atol=1e-14)
    assert parts.along_x.mean() - parts.along_y.mean() == pytest.approx(2 * parts.gamma, rel=1e-13)
    rest = np.sqrt(1 - parts.along_x**2)
    assert_allclose(rest[:, None] * parts.h + np.outer(parts.along_x, axis / (2 * parts.gamma)), start.x, atol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parallel_parts(np.eye(3), np.eye(3)), r"apart.* 0\.0"),
        (lambda: parallel_parts([[1.0, 0.0]], [[-1.0, 0.0]]), r"apart.* 2\.0"),
        (lambda: parallel_parts([[1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]), r"`x`|`y`"),
        (lambda: sample_flows([], fixed_law(), [1.0], beta0=1.0), "`starts`"),
        (lambda: sample_flows(starts(1), fixed_law(), [1.0], beta0=1.0, workers=0), "`workers`.*0"),
        (lambda: sample_flows(starts(1), fixed_law(), [1.0], beta0=-1.0), "`beta0`"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
