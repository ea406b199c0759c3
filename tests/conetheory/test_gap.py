import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import hyp0f1

from conetheory import gap
from tests import naive_pairs as naive

EPS = np.finfo(float).eps


@st.composite
def pairs(draw, min_n=2, max_n=12):
    """Gaussian pairs about two random centres, unnormalised, with a random scale for every row."""
    n, d = draw(st.integers(min_n, max_n)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x, y = (rng.normal(size=d) + rng.normal(size=(n, d)) for _ in range(2))
    return x * rng.uniform(0.1, 10, (n, 1)), y * rng.uniform(0.1, 10, (n, 1))


def random_rotation(d, rng):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


METRICS = {
    "gap_norm": gap.gap_norm,
    "gap_angle": gap.gap_angle,
    "mean_cosine": lambda x, y: gap.mean_cosine(x),
    "cosine_std": lambda x, y: gap.cosine_summary(x).std,
    "matched_cosine": gap.matched_cosine,
    "unmatched_cosine": gap.unmatched_cosine,
    "relative_modality_gap": gap.relative_modality_gap,
    "alignment": gap.alignment,
    "uniformity": lambda x, y: gap.uniformity(x),
    "wasserstein_uniformity": gap.wasserstein_uniformity,
    "recall": lambda x, y: gap.recall(x, y, ks=(1, 2)),
    "singular_values": lambda x, y: gap.singular_values(x),
    "explained_variance_ratio": lambda x, y: gap.explained_variance_ratio(x),
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@settings(max_examples=20)
@given(pairs(), st.integers(0, 2**32 - 1))
def test_metrics_ignore_rotation_scale_and_order(metric, data, seed):
    x, y = data
    rng = np.random.default_rng(seed)
    rotation, order = random_rotation(x.shape[1], rng), rng.permutation(len(x))
    scale = rng.uniform(0.01, 100, (len(x), 1))
    assert_allclose(metric((scale * x @ rotation)[order], (y @ rotation)[order]), metric(x, y), rtol=1e-10, atol=1e-10)


@given(pairs())
def test_metrics_match_the_loops(data):
    x, y = data
    delta = naive.mean(x) - naive.mean(y)
    within = naive.within_cosines(x)
    assert_allclose(gap.gap_vector(x, y), delta, atol=8 * EPS)
    assert_allclose(gap.gap_norm(x, y), np.sqrt(delta @ delta), atol=8 * EPS)
    assert_allclose(gap.mean_cosine(x), np.mean(within), atol=16 * EPS)
    assert_allclose(gap.matched_cosine(x, y), np.mean(naive.matched_cosines(x, y)), atol=8 * EPS)
    assert_allclose(gap.unmatched_cosine(x, y), np.mean(naive.unmatched_cosines(x, y)), atol=16 * EPS)
    assert_allclose(gap.relative_modality_gap(x, y), naive.relative_modality_gap(x, y), rtol=1e-13)
    assert_allclose(gap.uniformity(x, t=3.0), naive.uniformity(x, 3.0), atol=1e-13)
    summary = gap.cosine_summary(x)
    expected = [np.mean(within), np.std(within), min(within), max(within)]
    # the spread of a few nearly equal cosines is a root of rounding: 1e-8 at worst
    assert_allclose(
        [summary.mean, summary.std, summary.low, summary.high], expected, atol=2e-8 if len(x) == 2 else 1e-14
    )


@given(pairs())
def test_gap_identities(data):
    x, y = data
    rows_x, rows_y = np.array(naive.unit(x)), np.array(naive.unit(y))
    mean_x, mean_y, n = rows_x.mean(axis=0), rows_y.mean(axis=0), len(x)
    norm2 = gap.gap_norm(x, y) ** 2
    assert_allclose(norm2, mean_x @ mean_x + mean_y @ mean_y - 2 * np.mean(rows_x @ rows_y.T), atol=32 * EPS)
    assert_allclose(gap.mean_cosine(x), (n * mean_x @ mean_x - 1) / (n - 1), atol=32 * EPS)
    assert_allclose(gap.alignment(x, y), 2 * (1 - gap.matched_cosine(x, y)), atol=32 * EPS)
    residual = rows_x - mean_x - (rows_y - mean_y)
    assert_allclose(gap.alignment(x, y), norm2 + np.mean(np.sum(residual**2, axis=1)), atol=32 * EPS)


@given(pairs(), st.lists(st.integers(0, 3), min_size=12, max_size=12), st.integers(1, 12))
def test_recall_matches_the_ranking(data, groups, k):
    x, y = data
    n, k = len(x), min(k, len(x))
    assert gap.recall(x, y, (k,))[0] == naive.recall(x, y, k, range(n))
    assert gap.recall(x, y, (k,), groups=groups[:n])[0] == naive.recall(x, y, k, groups[:n])


def test_recall_counts_ties_against():
    collapsed = np.ones((4, 3)) * np.array([[1.0], [2.0], [3.0], [0.7]])
    assert_allclose(gap.recall(collapsed, collapsed, (1, 3, 4)), [0, 0, 1])
    assert_allclose(gap.recall(collapsed, collapsed, (1,), groups=["a"] * 4), [1])
    assert_allclose(gap.recall(np.eye(2), [[1.0, 0.0], [1.0, 0.0]], (1, 2)), [0, 1])  # row 0: a tie; row 1: a tie at 0


def test_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 37, 5)) + 0.5
    whole = [gap.uniformity(x), gap.cosine_summary(x).std, *gap.recall(x, y)]
    monkeypatch.setattr("conetheory.gap._BLOCK", 100)
    monkeypatch.setattr("conetheory.retrieval._BLOCK", 100)
    assert_allclose([gap.uniformity(x), gap.cosine_summary(x).std, *gap.recall(x, y)], whole, rtol=1e-13)


def test_uniformity_known_values():
    triangle = np.exp(2j * np.pi * np.arange(3) / 3)
    points = np.stack([triangle.real, triangle.imag], axis=1)
    assert_allclose(gap.uniformity(points), -6, atol=8 * EPS)  # all at distance √3
    assert_allclose(gap.uniformity(points, t=1000.0), -3000)  # no underflow
    n = 4000
    circle = np.exp(2j * np.pi * np.arange(n) / n)
    points = np.stack([circle.real, circle.imag], axis=1)
    # the sum over all pairs is the trapezoid rule of a Bessel integral, exact but for the n ones of the diagonal
    everyone = np.exp(-4) * hyp0f1(1, 4)
    assert_allclose(gap.uniformity(points), np.log((n * everyone - 1) / (n - 1)), atol=1e-12)


def test_wasserstein_uniformity_known_values():
    d = 7
    cross = np.concatenate([np.eye(d), -np.eye(d)])  # mean 0, covariance I/d: the target itself
    assert_allclose(gap.wasserstein_uniformity(cross, cross), 0, atol=3e-8)  # a root of rounding
    point = np.ones((3, d))
    assert_allclose(gap.wasserstein_uniformity(point, point), -np.sqrt(2))


@given(pairs(min_n=8))
def test_wasserstein_uniformity_matches_the_matrix_root(data):
    x, y = data
    pooled = np.array(naive.unit(x) + naive.unit(y))
    mu, sigma, d = pooled.mean(axis=0), np.cov(pooled.T, bias=True), pooled.shape[1]
    root = scipy.linalg.sqrtm(sigma)
    squared = mu @ mu + 1 + np.trace(sigma) - 2 / np.sqrt(d) * np.trace(root)
    assert_allclose(gap.wasserstein_uniformity(x, y), -np.sqrt(squared), rtol=1e-9)
    assert_allclose(mu @ mu + np.trace(sigma), 1, atol=32 * EPS)


def test_gap_angle_keeps_small_angles():
    tiny = 1e-9
    assert_allclose(gap.gap_angle([[1.0, 0.0]], [[1.0, tiny]]), tiny, rtol=1e-12)
    assert_allclose(gap.gap_angle([[1.0, 0.0]], [[-1.0, tiny]]), np.pi, rtol=1e-8)


@given(pairs(max_n=8))
def test_procrustes_agrees_with_scipy(data):
    x, y = data
    rotation = gap.procrustes_rotation(x, y)
    rows_x, rows_y = np.array(naive.unit(x)), np.array(naive.unit(y))
    expected = scipy.linalg.orthogonal_procrustes(rows_x, rows_y)[0]
    assert_allclose(rotation.T @ rotation, np.eye(x.shape[1]), atol=1e-14)
    assert_allclose(np.linalg.norm(rows_x @ rotation - rows_y), np.linalg.norm(rows_x @ expected - rows_y), atol=1e-13)
    if len(x) > x.shape[1] and np.linalg.cond(rows_x.T @ rows_y) < 1e4:  # unique
        assert_allclose(rotation, expected, atol=1e-10)


def test_procrustes_recovers_a_rotation():
    rng = np.random.default_rng(1)
    x, rotation = rng.normal(size=(20, 6)), random_rotation(6, rng)
    assert_allclose(gap.procrustes_rotation(x, x @ rotation), rotation, atol=1e-13)


@given(pairs(min_n=3))
def test_center_and_spectrum_match_their_definitions(data):
    x, y = data
    rows = np.array(naive.unit(x))
    centred = rows - rows.mean(axis=0)
    result = gap.center(x, y)
    assert_allclose(result.x, naive.unit(centred), atol=1e-12)
    assert result.y.shape == y.shape
    assert_allclose(np.sum(gap.singular_values(x) ** 2), len(x))
    variances = np.sort(np.linalg.eigvalsh(np.cov(centred.T, bias=True)))[::-1]
    ratios = gap.explained_variance_ratio(x)
    kept = min(len(ratios), len(variances))
    assert_allclose(ratios[:kept], variances[:kept] / variances.sum(), atol=1e-13)
    k = gap.effective_dimension(x, 0.9)
    assert ratios[:k].sum() >= 0.9 - 1e-15 > ratios[: k - 1].sum() - 2e-15


def test_errors_name_the_argument():
    x = np.eye(3)
    with pytest.raises(ValueError, match=r"`y` has a zero row.*row 1 of 3"):
        gap.gap_norm(x, [[1, 0, 0], [0, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match=r"`y` must have the dimension of `x`"):
        gap.gap_vector(x, np.eye(2))
    with pytest.raises(ValueError, match=r"`y` must have the shape of `x`"):
        gap.alignment(x, np.eye(3)[:2])
    with pytest.raises(ValueError, match=r"`x` must be finite, got .*nan"):
        gap.gap_norm([[np.nan, 1.0]], [[1.0, 1.0]])
    with pytest.raises(ValueError, match=r"`x` must have at least 2 rows"):
        gap.mean_cosine([[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"`x` must have a non-zero mean"):
        gap.gap_angle([[1.0, 0.0], [-1.0, 0.0]], [[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"`t` must be positive, got -1.0"):
        gap.uniformity(x, t=-1.0)
    with pytest.raises(ValueError, match=r"one single point"):
        gap.relative_modality_gap(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"row equal to its mean.*row 0 of 2"):
        gap.center(np.ones((2, 3)), np.eye(3))
    with pytest.raises(ValueError, match=r"more than one direction"):
        gap.explained_variance_ratio(np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"`fraction` must lie in \(0, 1\), got nan"):
        gap.effective_dimension(x, np.nan)


def test_recall_errors():
    x = np.eye(3)
    with pytest.raises(ValueError, match=r"`ks` must be at most the number of pairs, 3, got 4"):
        gap.recall(x, x, (1, 4))
    with pytest.raises(ValueError, match=r"`ks` must be at least 1, got 0"):
        gap.recall(x, x, (0,))
    with pytest.raises(ValueError, match=r"`groups` must have shape \(3,\)"):
        gap.recall(x, x, (1,), groups=[1, 2])
    with pytest.raises(TypeError, match=r"`groups` must hold integers or strings"):
        gap.recall(x, x, (1,), groups=[0.5, 1.0, np.nan])


# The published arrays of Liang et al.: the digits were computed independently, in float64 after renormalising.
PUBLISHED = {
    "features_clip.npy": {
        "gap": 0.851352,
        "angle": 72.01,
        "resultants": (0.729671, 0.718445),
        "within": ((0.531483, 0.1614, 0.9632), (0.515194, 0.0876, 0.9633)),
        "matched": (0.309919, 0.161595),
        "recall": ((0.552, 0.808, 0.892), (0.506, 0.766, 0.862)),
        "rmg": 0.591,
        "dimensions": (296, 277),
        "singular": (18.6116, 13.5641, 6.067, 4.3046),
        "pca": (0.2802, 0.0567),
    },
    "features_clip_random.npy": {
        "gap": 1.136057,
        "angle": 87.63,
        "resultants": (0.825870, 0.814943),
        "within": ((0.681424, -0.2283, 0.9991), (0.663460, 0.3802, 0.9435)),
        "matched": (0.028531, 0.027782),
        "recall": ((0.002,), (0.002,)),
        "rmg": 0.748,
        "dimensions": (25, 230),
        "singular": (18.8726, 18.0205, 9.9942, 6.1066),
        "pca": (0.5028, 0.1542),
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_embeddings(name, data_file):
    expected = PUBLISHED[name]
    x, y = np.load(data_file(f"mind_the_gap/{name}"), allow_pickle=False)
    assert_allclose(gap.gap_norm(x, y), expected["gap"], atol=5.1e-7)
    assert_allclose(np.degrees(gap.gap_angle(x, y)), expected["angle"], atol=5.1e-3)
    for rows, resultant, within in zip((x, y), expected["resultants"], expected["within"], strict=True):
        summary = gap.cosine_summary(rows)
        assert_allclose(np.linalg.norm(naive.mean(rows)), resultant, atol=5.1e-7)
        assert_allclose(summary.mean, within[0], atol=5.1e-7)
        assert_allclose([summary.low, summary.high], within[1:], atol=5.1e-5)
    assert_allclose([gap.matched_cosine(x, y), gap.unmatched_cosine(x, y)], expected["matched"], atol=5.1e-7)
    forward, backward = expected["recall"]
    assert_allclose(gap.recall(x, y)[: len(forward)], forward, atol=1e-12)
    assert_allclose(gap.recall(y, x)[: len(backward)], backward, atol=1e-12)
    assert_allclose(gap.relative_modality_gap(x, y), expected["rmg"], atol=5.1e-4)
    assert (gap.effective_dimension(x), gap.effective_dimension(y)) == expected["dimensions"]
    stacked = np.concatenate([x, y])
    assert_allclose(gap.singular_values(stacked)[:4], expected["singular"], atol=5.1e-5)
    assert_allclose(gap.explained_variance_ratio(stacked)[:2], expected["pca"], atol=5.1e-5)


def test_published_clip_uniformity_alignment_and_centring(data_folder):
    x, y = np.load(data_folder / "mind_the_gap/features_clip.npy", allow_pickle=False)
    assert_allclose([gap.uniformity(x), gap.uniformity(y)], [-1.795, -1.841], atol=5.1e-4)
    assert_allclose(gap.alignment(x, y), 1.380, atol=5.1e-4)
    assert_allclose(gap.wasserstein_uniformity(x, y), -0.983, atol=5.1e-4)
    centred = gap.center(x, y)
    assert_allclose(gap.gap_norm(centred.x, centred.y), 0.0279, atol=5.1e-5)
    assert_allclose([gap.recall(centred.x, centred.y)[0], gap.recall(centred.y, centred.x)[0]], [0.542, 0.500])
