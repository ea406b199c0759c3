"""Held-out metrics against conetheory, in float32 and in chunks."""

import math

import numpy as np
import pytest

from conetheory import gap
from conetheory.contrastive import clip_loss
from conetheory.loss_profiles import matrix_profile
from empirical.separability import linear_separability

torch = pytest.importorskip("torch", reason="the metrics are torch's: pip install 'conetheory[empirical]'")

from empirical.held_out import DEFINITIONS, KS, held_out_metrics  # noqa: E402
from tests.empirical.torch_pairs import LargestTensor, on_every_device, pairs, unit_rows  # noqa: E402

BETA = 30.0


def unit(rows):
    rows = rows.double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def expected_of(x, y):
    """Return the same keys by conetheory, in float64."""
    x, y = unit(x), unit(y)
    cosines = x @ y.T
    rivals = cosines - 3 * np.eye(len(x))
    values = gap.singular_values(np.concatenate([x, y])) / math.sqrt(2 * len(x))
    return {
        "loss": clip_loss(x, y, 1 / BETA),
        "tau": 1 / BETA,
        "gap_norm": gap.gap_norm(x, y),
        "gap_angle": gap.gap_angle(x, y),
        "mean_cosine_x": gap.mean_cosine(x),
        "mean_cosine_y": gap.mean_cosine(y),
        "matched_cosine": gap.matched_cosine(x, y),
        "unmatched_cosine": gap.unmatched_cosine(x, y),
        "alignment": gap.alignment(x, y),
        "uniformity_x": gap.uniformity(x),
        "uniformity_y": gap.uniformity(y),
        "wasserstein_uniformity": gap.wasserstein_uniformity(x, y),
        "margin": matrix_profile(cosines).margin,
        "matched_fraction": np.mean(np.diag(cosines) > np.maximum(rivals.max(axis=0), rivals.max(axis=1))),
        **{f"recall_x_to_y@{k}": value for k, value in zip(KS, gap.recall(x, y, KS), strict=True)},
        **{f"recall_y_to_x@{k}": value for k, value in zip(KS, gap.recall(y, x, KS), strict=True)},
        **{f"singular_value_{k}": values[k - 1] for k in range(1, 6)},
    }


@pytest.mark.parametrize(
    ("dtype", "tolerance", "chunk"),
    [(torch.float32, 1e-5, None), (torch.float32, 1e-5, 17), (torch.float64, 1e-11, 100), (torch.bfloat16, 1e-5, None)],
)
@pytest.mark.parametrize(("matched", "shift"), [(0.5, 0.0), (0.8, 1.0), (0.45, 0.4)])
@on_every_device
def test_metrics_are_those_of_conetheory(device, dtype, tolerance, chunk, matched, shift):
    x, y = pairs(200, 16, 1, matched=matched, shift=shift, dtype=dtype)
    x = 3 * x  # rows are normalised by the metrics
    found, expected = held_out_metrics(x.to(device), y.to(device), BETA, chunk=chunk), expected_of(x, y)
    assert 0 < expected["matched_fraction"] < 1
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=tolerance), name
    apart = linear_separability(unit(x), unit(y), n_permutations=1, rng=0)
    assert found["linear_separability"] == apart.accuracy.value
    assert found["linear_separability_null"] == apart.null_mean
    assert set(found) == set(expected) | {"linear_separability", "linear_separability_null"}


def test_every_key_has_a_definition():
    found = held_out_metrics(*pairs(20, 8, 2), 1.0)
    assert list(found)[:4] == list(DEFINITIONS)[:4]
    names = {name.split("@")[0].rstrip("0123456789").rstrip("_") for name in found}
    assert names == {name.removesuffix("@k").removesuffix("_k") for name in DEFINITIONS}
    assert all(isinstance(value, float) for value in found.values())


def test_few_pairs_of_few_dimensions_have_fewer_keys():
    found = held_out_metrics(*pairs(3, 2, 3), 1.0)
    assert [name for name in found if name.startswith("recall")] == ["recall_x_to_y@1", "recall_y_to_x@1"]
    assert "singular_value_2" in found
    assert "singular_value_3" not in found


def test_a_collapsed_embedding_retrieves_nothing():
    """All cosines are equal up to rounding: ties count against, and do not look like success."""
    x = unit_rows(1, 8, 4, dtype=torch.float32).expand(50, 8)
    found = held_out_metrics(x, x, 10.0)
    assert found["recall_x_to_y@10"] == found["recall_y_to_x@10"] == found["matched_fraction"] == 0.0
    assert found["loss"] == pytest.approx(math.log(50), rel=1e-6)
    assert found["wasserstein_uniformity"] == pytest.approx(-math.sqrt(2), rel=1e-6)


def test_a_mean_that_vanishes_has_no_angle():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    found = held_out_metrics(rows, rows, 1.0)
    assert math.isnan(found["gap_angle"])
    assert found["gap_norm"] == 0.0


def test_separability_looks_at_the_first_pairs():
    x, y = pairs(60, 8, 5, shift=1.0)
    few = held_out_metrics(x, y, 1.0, separability_pairs=30)
    y[30:] = unit_rows(30, 8, 6)
    assert held_out_metrics(x, y, 1.0, separability_pairs=30)["linear_separability"] == few["linear_separability"]


def test_nothing_of_all_pairs_is_held():
    x, y = pairs(256, 4, 7, dtype=torch.float32)
    with LargestTensor() as largest:
        held_out_metrics(x, y, 10.0, chunk=16, separability_pairs=10)
    assert largest.entries <= 256 * 16


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(1, 3), r"`x` must have at least 2 rows, got 1"),
        (torch.zeros(3, 3), r"`x` must have finite rows that are not zero, got norm 0"),
        (torch.full((3, 3), math.inf), r"`x` must have finite rows that are not zero, got norm inf"),
        (torch.full((3, 3), math.nan), r"`x` must have finite rows that are not zero, got norm nan"),
    ],
)
def test_bad_input_is_named(x, message):
    with pytest.raises(ValueError, match=message):
        held_out_metrics(x, torch.ones_like(x), 1.0)
