"""Warm-up and cosine: ends, joints, and the rates between."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical.learning_rate import warmup_cosine


def test_known_values():
    rates = [warmup_cosine(step, warmup=4, total=12, peak=1.0, floor=0.2) for step in range(13)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[8] == pytest.approx(0.6, rel=1e-14)
    assert rates[12] == pytest.approx(0.2, rel=1e-14)
    assert rates[6] == pytest.approx(0.2 + 0.4 * (1 + math.cos(math.pi / 4)), rel=1e-14)


@given(total=st.integers(1, 30), share=st.floats(0, 1), floor=st.floats(0, 1))
def test_it_rises_then_falls_between_floor_and_peak(total, share, floor):
    warmup = round(share * total)
    rates = [warmup_cosine(step, warmup=warmup, total=total, peak=1.0, floor=floor) for step in range(total + 1)]
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert rates[warmup] == pytest.approx(1.0)
    assert min(rates[warmup:]) >= floor - 1e-15
    assert rates[-1] == pytest.approx(floor if warmup < total else 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 11}, r"`step` and `warmup` must be at most `total`, 10, got 11 and 2"),
        ({"warmup": 11}, r"must be at most `total`, 10, got 0 and 11"),
        ({"step": -1}, r"`step` must be at least 0, got -1"),
        ({"peak": 0.0}, r"`peak` must be positive, got 0.0"),
        ({"floor": 2.0}, r"`floor` must be at most `peak`, 1.0, got 2.0"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        warmup_cosine(**{"step": 0, "warmup": 2, "total": 10, "peak": 1.0} | options)
