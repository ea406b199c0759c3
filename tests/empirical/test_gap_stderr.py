"""Standard errors of the gap report: the obvious loops, and the spread over new samples."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory import gap
from empirical._moments import first_order_metrics, wasserstein_estimate
from empirical._potential import uniformity_estimate
from empirical.embeddings import EmbeddingPairs, load_pairs
from tests.empirical.clouds import REFERENCE, clouds, estimates_of, sums_of


def naive_replicate(x, y, weights):
    """Metrics of one bootstrap replicate, term by term."""
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    total, means, different = weights.sum(), [], 0.0
    for side in (x, y):
        means.append(sum(w * row for w, row in zip(weights, side, strict=True)) / total)
    within, unmatched, potentials = [0.0, 0.0], 0.0, [0.0, 0.0]
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                pair = weights[i] * weights[j]
                different += pair
                unmatched += pair * (x[i] @ y[j])
                for s, side in enumerate((x, y)):
                    within[s] += pair * (side[i] @ side[j])
                    potentials[s] += pair * np.exp(-2 * np.sum((side[i] - side[j]) ** 2))
    matched = weights @ np.sum(x * y, axis=1) / total
    within, potentials = np.array(within) / different, np.array(potentials) / different
    apart, spread = (1 - matched) / 2, np.mean((1 - within) / 2)
    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    return {
        "gap": np.linalg.norm(means[0] - means[1]),
        "angle_deg": np.degrees(np.arccos(cosine)),
        "rmg": apart / (apart + spread),
        "mean_cosine_x": within[0],
        "mean_cosine_y": within[1],
        "mean_cosine_matched": matched,
        "mean_cosine_unmatched": unmatched / different,
        "alignment": 2 - 2 * matched,
        "uniformity_x": np.log(potentials[0]),
        "uniformity_y": np.log(potentials[1]),
    }


@pytest.mark.parametrize("grouped", [False, True])
def test_bootstrap_is_the_obvious_loop(grouped):
    x, y = clouds(9, 4)
    groups = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5]) if grouped else None
    stream = np.random.default_rng(0).spawn(2)[0]
    draws = stream.poisson(1.0, (6 if grouped else 9, 12))
    found = first_order_metrics(sums_of(EmbeddingPairs(x=x, y=y, groups=groups), n_bootstrap=12, rows=4))
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y)]
    same = np.random.default_rng(0).spawn(2)[0]
    found["uniformity_x"] = uniformity_estimate(unit[0], 12, groups, same)
    columns = draws[groups].T if grouped else draws.T
    with np.errstate(invalid="ignore"):  # a replicate without two distinct pairs
        naive = [naive_replicate(x, y, column.astype(float)) for column in columns]
    for name in found:
        values = np.array([replicate[name] for replicate in naive])
        spread = np.std(values[np.isfinite(values)], ddof=1)
        assert_allclose(found[name].stderr, spread, rtol=1e-9, err_msg=name)


def test_standard_errors_are_the_spread_over_new_samples():
    """Over 120 samples: mean squared standard error against variance, whose relative error is √(2/119)."""
    samples = [
        estimates_of(*clouds(100, 5, seed, offset=1.0), n_bootstrap=50, rows=100, seed=seed) for seed in range(200)
    ]
    for name in REFERENCE:
        variance = np.var([sample[name].value for sample in samples], ddof=1)
        claimed = np.mean([sample[name].stderr ** 2 for sample in samples])
        assert abs(np.log(claimed / variance)) < 4.5 * np.sqrt(2 / 119), name


@pytest.mark.parametrize("n", [9, 50])
def test_wasserstein_stderr_is_the_obvious_jackknife(n):
    x, y = clouds(n, 4)
    folds = min(20, n)
    fold_of = np.random.default_rng(0).spawn(2)[1].permutation(n) % folds
    left_out = [gap.wasserstein_uniformity(x[fold_of != fold], y[fold_of != fold]) for fold in range(folds)]
    expected = np.sqrt((folds - 1) * np.var(left_out))
    found = wasserstein_estimate(sums_of(EmbeddingPairs(x=x, y=y), rows=7))
    assert_allclose(found.stderr, expected, rtol=1e-9)


def test_gap_stderr_is_the_delta_method(data_file):
    pairs = load_pairs(data_file("mind_the_gap/features_clip.npy"))
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in np.asarray([pairs.x, pairs.y], float))
    delta = gap.gap_vector(x, y)
    linear = np.std((x - y) @ delta / np.linalg.norm(delta), ddof=1) / np.sqrt(len(x))
    found = first_order_metrics(sums_of(pairs, n_bootstrap=1000, rows=500))["gap"]
    assert found.stderr == pytest.approx(linear, rel=4.5 / np.sqrt(2000) + 0.01)


def test_copies_in_a_group_add_no_precision():
    """Every pair five times, grouped: exactly the estimates of the pairs once (means; the i ≠ j metrics see copies)."""
    x, y = clouds(40, 6)
    groups = np.repeat(np.arange(40), 5)
    once = first_order_metrics(sums_of(EmbeddingPairs(x=x, y=y), n_bootstrap=50))
    x, y = np.repeat(x, 5, axis=0), np.repeat(y, 5, axis=0)
    grouped = first_order_metrics(sums_of(EmbeddingPairs(x=x, y=y, groups=groups), n_bootstrap=50))
    naive = first_order_metrics(sums_of(EmbeddingPairs(x=x, y=y), n_bootstrap=50))
    for name in ("gap", "angle_deg", "mean_cosine_matched", "alignment"):
        assert_allclose(grouped[name].value, once[name].value, rtol=1e-12)
        assert_allclose(grouped[name].stderr, once[name].stderr, rtol=1e-9)
        assert naive[name].stderr < 0.7 * once[name].stderr
