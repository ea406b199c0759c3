"""The gap report: the definitions of `conetheory.gap`, standard errors that mean something, any chunk size."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.retrieval import recall
from empirical import separability
from empirical._moments import first_order_metrics, wasserstein_estimate
from empirical._potential import uniformity_estimate
from empirical._recall import recall_estimates
from empirical.embeddings import EmbeddingPairs, load_pairs
from empirical.gap_report import DEFINITIONS, measure_gap
from tests.empirical.clouds import REFERENCE, clouds, estimates_of, sums_of

# ---- values ----


@settings(max_examples=40)
@given(st.integers(2, 70), st.integers(2, 60), st.integers(0, 2**32 - 1), st.floats(0, 2))
def test_values_are_those_of_conetheory(n, dim, seed, offset):
    x, y = clouds(n, dim, seed, offset)
    found = estimates_of(x, y, rows=16)
    assert found.keys() == REFERENCE.keys()
    for name, reference in REFERENCE.items():
        assert_allclose(found[name].value, reference(x, y), rtol=1e-11, atol=1e-12, err_msg=name)


PUBLISHED = {
    "features_clip": {
        "gap": (0.851352, 5e-7),
        "angle_deg": (72.01, 0.005),
        "rmg": (0.591, 5e-4),
        "mean_cosine_x": (0.531483, 5e-7),
        "mean_cosine_y": (0.515194, 5e-7),
        "mean_cosine_matched": (0.309919, 5e-7),
        "mean_cosine_unmatched": (0.161595, 5e-7),
        "alignment": (1.380, 5e-4),
        "uniformity_x": (-1.795, 6e-4),
        "uniformity_y": (-1.841, 5e-4),
        "wasserstein_uniformity": (-0.983, 5e-4),
        "gap_stderr": 0.0034,
        "x_to_y": (0.552, 0.808, 0.892),
        "y_to_x": (0.506, 0.766, 0.862),
    },
    "features_clip_random": {
        "gap": (1.136057, 5e-7),
        "angle_deg": (87.63, 0.005),
        "rmg": (0.748, 5e-4),
        "mean_cosine_x": (0.681424, 5e-7),
        "mean_cosine_y": (0.663460, 5e-7),
        "mean_cosine_matched": (0.028531, 5e-7),
        "mean_cosine_unmatched": (0.027782, 5e-7),
        "gap_stderr": 0.0039,
        "x_to_y": (0.002,),
        "y_to_x": (0.002,),
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_embeddings(data_file, name):
    pairs = load_pairs(data_file(f"mind_the_gap/{name}.npy"))
    expected = PUBLISHED[name]
    sums = sums_of(pairs, n_bootstrap=1000, rows=500)
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in np.asarray([pairs.x, pairs.y], float))
    found = first_order_metrics(sums) | {"wasserstein_uniformity": wasserstein_estimate(sums)}
    found |= {
        f"uniformity_{n}": uniformity_estimate(s, 2, None, np.random.default_rng(0))
        for n, s in zip("xy", (x, y), strict=True)
    }
    for metric in expected.keys() & found.keys():
        value, half_unit = expected[metric]
        assert found[metric].value == pytest.approx(value, abs=half_unit), metric
    # the standard deviation of 1000 replicates is known to 2.2 %, and the printed one to a half unit
    assert found["gap"].stderr == pytest.approx(expected["gap_stderr"], rel=4.5 * 0.022, abs=5e-5)
    ways = recall_estimates(pairs, np.arange(500), (1, 5, 10), rows=128, progress=lambda share: None)
    for way, shares in zip(ways, (expected["x_to_y"], expected["y_to_x"]), strict=True):
        assert [way[k].value for k in (1, 5, 10)][: len(shares)] == pytest.approx(shares, abs=1e-12)


# ---- retrieval ----


def both_ways(x, y, groups=None, queries=None, rows=7, ks=(1, 5, 10)):
    pairs = EmbeddingPairs(x=x, y=y, groups=groups)
    queries = np.arange(len(x)) if queries is None else queries
    ways = recall_estimates(pairs, queries, ks, rows=rows, progress=lambda share: None)
    return [[way[k].value for k in ks] for way in ways]


@settings(max_examples=40)
@given(st.integers(10, 40), st.integers(1, 6), st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_recall_is_that_of_conetheory(n, dim, seed, grouped, coarse):
    x, y = clouds(n, dim, seed)
    if coarse:  # many exact ties between rows that differ
        x, y = np.sign(x), np.sign(y)
        y[:, 0] *= np.arange(1, n + 1)
        x[:, 0] *= np.arange(1, n + 1)
    groups = np.random.default_rng(seed).integers(0, n // 2, n) if grouped else None
    expected = [recall(x, y, groups=groups), recall(y, x, groups=groups)]
    assert_allclose(both_ways(x, y, groups), expected, rtol=0, atol=1e-14)


def test_recall_of_a_collapsed_embedding_is_zero():
    assert both_ways(np.ones((20, 3)), np.ones((20, 3))) == [[0, 0, 0], [0, 0, 0]]


def test_a_subset_of_queries_meets_the_whole_gallery():
    x, y = clouds(300, 6)
    queries = np.arange(0, 300, 7)
    unit_x, unit_y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    cosines = unit_x[queries] @ unit_y.T
    ahead = np.sum(cosines > cosines[np.arange(len(queries)), queries][:, None], axis=1)
    shares = [np.mean(ahead < k) for k in (1, 5, 10)]
    assert_allclose(both_ways(x, y, queries=queries)[0], shares, atol=1e-14)


def test_repeated_images_cost_the_captions_nothing():
    """Five captions an image: caption to image is ranked among distinct images, image to caption among captions."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((30, 6))
    captions = np.repeat(image, 5, axis=0) + 0.7 * rng.standard_normal((150, 6))
    groups = np.repeat(np.arange(30), 5)
    to_text, to_image = both_ways(np.repeat(image, 5, axis=0), captions, groups)
    unit_images, unit_captions = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (image, captions))
    cosines = unit_captions @ unit_images.T
    ahead = np.sum(cosines > cosines[np.arange(150), groups][:, None], axis=1)
    assert_allclose(to_image, [np.mean(ahead < k) for k in (1, 5, 10)], atol=1e-14)
    best = np.max(cosines.T.reshape(30, 30, 5)[np.arange(30), np.arange(30)], axis=1)
    wrong = np.where(groups == np.arange(30)[:, None], -np.inf, cosines.T)
    ahead = np.sum(wrong > best[:, None], axis=1)
    assert_allclose(to_text, [np.mean(ahead < k) for k in (1, 5, 10)], atol=1e-14)
    ungrouped = both_ways(np.repeat(image, 5, axis=0), captions)
    assert ungrouped[1][0] == 0  # identical images tie, and ties count against
    assert to_image[0] > 0.5


# ---- the report ----


@pytest.fixture(scope="module")
def report():
    x, y = clouds(60, 8)
    return measure_gap(EmbeddingPairs(x=x, y=y), rng=0, n_bootstrap=20, n_permutations=9)


def test_json_has_every_metric_with_its_standard_error(report):
    found = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert (found["n"], found["dim"]) == (60, 8)
    assert found.keys() >= DEFINITIONS.keys()
    for name in REFERENCE:
        assert found[name].keys() == {"value", "stderr"}
        assert found[name]["stderr"] > 0
    for name in ("recall_x_to_y", "recall_y_to_x"):
        assert list(found[name]) == ["1", "5", "10"]
        assert all(at.keys() == {"value", "stderr", "interval"} for at in found[name].values())
    expected = {"value", "stderr", "interval", "null_mean", "null_sd", "p_value"}
    assert found["linear_separability"].keys() == expected


def test_table_states_every_definition(report):
    rows = report.rows()
    assert len(rows) == len(DEFINITIONS) + 4
    for name, definition, value, stderr in rows:
        assert DEFINITIONS[name.split("@")[0]] in definition
        assert np.isfinite([value, stderr]).all()
    assert "k = 10; 60 queries" in {row[0]: row[1] for row in rows}["recall_y_to_x@10"]


@pytest.mark.parametrize("rows", [1, 17, 59, 1000])
@pytest.mark.parametrize("grouped", [False, True])
def test_chunk_size_does_not_matter(rows, grouped):
    x, y = clouds(60, 8)
    pairs = EmbeddingPairs(x=x, y=y, groups=np.arange(60) // 2 if grouped else None)
    limits = {"max_queries": 30, "max_uniformity": 20, "max_separability": 10, "n_bootstrap": 20, "n_permutations": 2}
    one, other = (
        [row[2:] for row in measure_gap(pairs, rng=3, chunk_rows=size, **limits).rows()] for size in (64, rows)
    )
    assert_allclose(one, other, rtol=1e-10, atol=1e-13)


def test_seeds_reproduce_and_differ():
    x, y = clouds(40, 5)
    pairs = EmbeddingPairs(x=x, y=y)
    first, again, other = (
        measure_gap(pairs, rng=seed, n_bootstrap=20, n_permutations=5).as_dict() for seed in (1, 1, 2)
    )
    assert first == again
    assert first["gap"]["value"] == other["gap"]["value"]
    assert first["gap"]["stderr"] != other["gap"]["stderr"]


def test_two_pairs_are_enough_and_what_is_undefined_is_null():
    pairs = EmbeddingPairs(x=np.eye(2), y=-np.eye(2))
    found = json.loads(json.dumps(measure_gap(pairs, rng=0, n_permutations=1).as_dict(), allow_nan=False))
    assert found["gap"]["value"] == pytest.approx(np.sqrt(2))
    assert found["angle_deg"]["value"] == pytest.approx(180)
    balanced = EmbeddingPairs(x=np.array([[1.0, 0], [-1, 0]]), y=np.eye(2))
    assert measure_gap(balanced, rng=0, n_permutations=1).as_dict()["angle_deg"]["value"] is None
    single = EmbeddingPairs(x=np.ones((3, 2)), y=np.ones((3, 2)))
    assert measure_gap(single, rng=0, n_permutations=1).as_dict()["rmg"]["value"] is None


def test_limits_are_reported_and_progress_runs_to_the_end():
    x, y = clouds(50, 5)
    seen = []
    found = measure_gap(
        EmbeddingPairs(x=x, y=y, groups=np.arange(50) // 5),
        rng=0,
        n_bootstrap=10,
        n_permutations=3,
        max_queries=20,
        max_uniformity=15,
        max_separability=30,
        chunk_rows=8,
        progress=lambda what, share: seen.append((what, share)),
    )
    assert (found.n_queries, found.n_uniformity, found.n_separability, found.n_groups) == (20, 15, 30, 10)
    assert "15 pairs" in {row[0]: row[1] for row in found.rows()}["uniformity_x"]
    stages = dict.fromkeys(what for what, _ in seen)
    assert len(stages) == 4
    for stage in stages:
        shares = [share for what, share in seen if what == stage]
        assert shares == sorted(shares)
        assert shares[-1] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_bootstrap": 1}, "`n_bootstrap` must be at least 2, got 1"),
        ({"n_permutations": 0}, "`n_permutations` must be at least 1, got 0"),
        ({"max_queries": 1}, "`max_queries` must be at least 2, got 1"),
        ({"max_uniformity": 0}, "`max_uniformity` must be at least 2, got 0"),
        ({"chunk_rows": 0}, "`chunk_rows` must be at least 1, got 0"),
    ],
)
def test_bad_limits(options, message):
    with pytest.raises(ValueError, match=message):
        measure_gap(EmbeddingPairs(x=np.eye(3), y=np.eye(3)), **options)


def test_bad_rows_are_named():
    x = np.ones((10, 3), dtype=np.float16)
    x[7, 1] = np.nan
    with pytest.raises(ValueError, match="`x` must be finite, got nan in row 7, column 1"):
        measure_gap(EmbeddingPairs(x=x, y=np.ones((10, 3))), chunk_rows=4)


def test_missing_scikit_learn_stops_before_the_work(monkeypatch):
    monkeypatch.setattr(separability.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="needs scikit-learn: pip install scikit-learn"):
        measure_gap(EmbeddingPairs(x=np.eye(3), y=np.eye(3)), progress=lambda what, share: pytest.fail("work"))


MILLION = """
    import json, resource, sys, time
    import numpy as np
    from empirical.embeddings import load_pairs
    from empirical.gap_report import measure_gap

    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
    start = time.perf_counter()
    report = measure_gap(load_pairs(sys.argv[1]), rng=0)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": time.perf_counter() - start, "gib": kilobytes / 2**20, **report.as_dict()}))
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_pairs_fit_in_8_gigabytes(tmp_path):
    """(2, 10⁶, 512) float16 on disk, in a process that may not address more than 8 GiB."""
    n, dim = 1_000_000, 512
    rng = np.random.default_rng(0)
    stored = np.lib.format.open_memmap(tmp_path / "million.npy", mode="w+", dtype=np.float16, shape=(2, n, dim))
    for start in range(0, n, 10_000):
        shared = rng.standard_normal((10_000, dim), dtype=np.float32)
        for side, sign in ((0, 1), (1, -1)):
            noise = rng.standard_normal((10_000, dim), dtype=np.float32)
            stored[side, start : start + 10_000] = shared + 2 * noise + sign
    del stored
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MILLION), tmp_path / "million.npy"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    print(json.dumps(found, indent=1))
    assert found["gib"] < 8
    # x = s + 2e + 1, y = s + 2e' − 1: all mean cosines are known up to O(1/dim)
    assert found["mean_cosine_matched"]["value"] == pytest.approx((1 - 1) / 6, abs=2 / dim)
    assert found["mean_cosine_x"]["value"] == pytest.approx(1 / 6, abs=2 / dim)
    assert found["gap"]["value"] == pytest.approx(2 / np.sqrt(6), abs=2 / dim)


def test_unbiased_square_is_around_zero_without_a_gap_and_the_null_is_what_swapping_gives():
    rng = np.random.default_rng(8)
    squares, nulls = [], []
    for _ in range(60):
        x, y = rng.standard_normal((2, 40, 16))
        report = measure_gap(EmbeddingPairs(x=x, y=y), rng=0, n_bootstrap=2, n_permutations=2)
        squares.append(report.gap_squared_unbiased.value)
        nulls.append(report.gap.value**2 - report.gap_null.value**2)
    for values in (squares, nulls):  # without a gap the measured one is itself a draw of the null
        assert abs(np.mean(values)) <= 4.5 * np.std(values, ddof=1) / np.sqrt(len(values))


def test_bias_corrected_gaps_of_the_published_features(data_file):
    for name, expected in (("features_clip", 0.8506), ("features_clip_random", 1.1355)):
        report = measure_gap(load_pairs(data_file(f"mind_the_gap/{name}.npy")), rng=0, n_bootstrap=2, n_permutations=2)
        assert round(np.sqrt(report.gap_squared_unbiased.value), 4) == expected
