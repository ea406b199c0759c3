import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.contrastive import DIRECTIONS, batch_slices, clip_loss, contrastive_loss, cross_entropy, etf_floor
from conetheory.gap import gap_norm
from tests import naive_pairs as naive


def simplex(n):
    """The n corners of a regular simplex, in n dimensions."""
    return np.eye(n) - 1 / n


@st.composite
def pairs(draw):
    n, d = draw(st.integers(2, 9)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.normal(size=(2, n, d)) + rng.normal(size=(2, 1, d))


temperatures = st.floats(0.01, 10)
directions = st.sampled_from(DIRECTIONS)


@given(pairs(), temperatures, directions, st.integers(1, 9))
def test_clip_loss_matches_the_loops(data, temperature, direction, batch):
    x, y = data
    batch = min(batch, len(x))
    expected = naive.clip_loss(x, y, temperature, direction, batch)
    assert_allclose(clip_loss(x, y, temperature, direction=direction, batch=batch), expected, rtol=1e-12, atol=1e-12)


@given(pairs(), temperatures, st.integers(0, 2**32 - 1))
def test_clip_loss_ignores_rotation_scale_and_order(data, temperature, seed):
    x, y = data
    rng = np.random.default_rng(seed)
    rotation, order = np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0], rng.permutation(len(x))
    moved = clip_loss((3 * x @ rotation)[order], (y @ rotation)[order], temperature)
    assert_allclose(moved, clip_loss(x, y, temperature), rtol=1e-11, atol=1e-12)


@given(pairs(), temperatures)
def test_directions_are_mirror_images(data, temperature):
    x, y = data
    forward, backward = (clip_loss(x, y, temperature, direction=d) for d in ("x-to-y", "y-to-x"))
    assert clip_loss(y, x, temperature, direction="x-to-y") == pytest.approx(backward, rel=1e-14)
    assert clip_loss(x, y, temperature) == pytest.approx((forward + backward) / 2, rel=1e-14)


def test_cross_entropy_keeps_tiny_and_huge_losses():
    with mpmath.workdps(40):
        for logit in (-800.0, -50.0, -1e-3, 0.0, 1e-3, 50.0, 800.0):  # the wrong one's; the target's is 0
            expected = mpmath.log(1 + mpmath.exp(logit))
            loss = cross_entropy([[0.0, logit], [logit, 0.0]])
            assert abs(loss - float(expected)) <= 4e-16 * float(expected)


def test_cross_entropy_of_a_stack():
    logits = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    expected = [[naive.cross_entropy(matrix) for matrix in row] for row in logits]
    assert_allclose(cross_entropy(logits), expected, rtol=1e-14)
    transposed = [[naive.cross_entropy(matrix.T) for matrix in row] for row in logits]
    assert_allclose(contrastive_loss(logits, direction="y-to-x"), transposed, rtol=1e-14)
    assert cross_entropy([[3.0]]) == 0


def test_short_last_batch_weighs_by_its_pairs():
    x, y = np.random.default_rng(1).normal(size=(2, 5, 4))
    parts = [clip_loss(x[rows], y[rows], 0.3) * (rows.stop - rows.start) for rows in batch_slices(5, 2)]
    assert len(parts) == 3
    assert clip_loss(x, y, 0.3, batch=2) == pytest.approx(sum(parts) / 5, rel=1e-14)
    assert clip_loss(x, y, 0.3, batch=1) == 0  # no negatives


def test_etf_floor_known_values():
    assert_allclose([etf_floor(8, 1 / 5), etf_floor(17, 1 / 5)], [0.022827, 0.075917], atol=5.1e-7)
    assert_allclose(etf_floor(64, 1 / 14.3), 3e-5, atol=5e-6)
    assert etf_floor(2, [0.1, 0.01]).tolist() == [np.log1p(np.exp(-20)), np.exp(-200)]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("n", [2, 3, 8, 17])
def test_simplex_attains_the_floor(n, direction):
    for temperature in (0.05, 0.2, 1.0, 10.0):
        loss = clip_loss(simplex(n), simplex(n), temperature, direction=direction)
        assert_allclose(loss, etf_floor(n, temperature), rtol=1e-12)


@given(pairs(), temperatures, directions)
def test_no_loss_beats_the_floor_of_its_cones(data, temperature, direction):
    x, y = data
    n, loss = len(x), clip_loss(x, y, temperature, direction=direction)
    assert loss >= etf_floor(n, temperature) * (1 - 1e-12)
    spread = np.sqrt(
        (1 - np.sum(naive.mean(x) ** 2)) * (1 - np.sum(naive.mean(y) ** 2))
    )  # theory §5b: the sharper bound
    assert loss >= np.log1p((n - 1) * np.exp(-n * spread / (temperature * (n - 1)))) * (1 - 1e-12)


@given(st.floats(0.0, 0.95), temperatures)
def test_parallel_simplex_with_a_gap(gamma, temperature):
    n = 5
    rows = naive.unit(simplex(n))
    x, y = (np.column_stack([np.sqrt(1 - gamma**2) * np.array(rows), np.full(n, side)]) for side in (gamma, -gamma))
    assert_allclose(gap_norm(x, y), 2 * gamma, atol=1e-15)
    expected = np.log1p((n - 1) * np.exp(-n * (1 - gamma**2) / (temperature * (n - 1))))
    assert_allclose(clip_loss(x, y, temperature), expected, rtol=1e-12)


def test_errors_name_the_argument():
    x = np.eye(3)
    for temperature in (0.0, -1.0):
        with pytest.raises(ValueError, match=r"`temperature` must be positive"):
            clip_loss(x, x, temperature)
    with pytest.raises(ValueError, match=r"`temperature` must be finite"):
        clip_loss(x, x, np.nan)
    with pytest.raises(ValueError, match=r"`direction` must be one of symmetric, x-to-y, y-to-x, got 'both'"):
        clip_loss(x, x, 1.0, direction="both")
    with pytest.raises(ValueError, match=r"`batch` must be at most the number of pairs, 3, got 4"):
        clip_loss(x, x, 1.0, batch=4)
    with pytest.raises(TypeError, match=r"[`']batch[`']"):
        clip_loss(x, x, 1.0, batch=1.5)
    with pytest.raises(ValueError, match=r"`logits` must have shape \(..., n, n\) with n >= 1, got \(2, 3\)"):
        cross_entropy(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"`n` must be at least 2, got 1"):
        etf_floor(1, 1.0)


# Liang et al. on the 500 published pairs, ten batches of 50, unshifted.
PUBLISHED = {
    100: (0.5232, 0.6089, 0.5660),
    50: (0.6486, 0.6908, 0.6697),
    30: (1.0807, 1.0978, 1.0892),
    20: (1.6429, 1.6446, 1.6437),
    10: (2.5977, 2.5943, 2.5960),
    1: (3.7676, 3.7675, 3.7676),
}


def test_published_embeddings(data_folder):
    x, y = np.load(data_folder / "mind_the_gap/features_clip.npy", allow_pickle=False)
    for scale, expected in PUBLISHED.items():
        losses = [clip_loss(x, y, 1 / scale, direction=d, batch=50) for d in ("x-to-y", "y-to-x", "symmetric")]
        assert_allclose(losses, expected, atol=5.1e-5)
