"""Interventions: what conetheory defines, fitted on one part and applied to another, on views that read in chunks."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory import gap, shift
from conetheory.spectrum import procrustes_rotation
from empirical.embeddings import EmbeddingPairs, iter_chunks, load_pairs
from empirical.interventions import (
    fit_centring,
    fit_procrustes,
    fit_removal,
    fit_shift,
    fit_shift_to_gap,
    select_pairs,
    split_rows,
)
from tests.empirical.clouds import clouds


def cloud_pairs(n=80, dim=12, seed=0, offset=0.5, groups=None):
    x, y = clouds(n, dim, seed, offset)
    return EmbeddingPairs(x=x, y=y, groups=groups)


def rows_of(pairs):
    """Return the unit rows, read some at a time."""
    chunks = list(iter_chunks(pairs, max(7, pairs.n // 4)))
    return np.concatenate([x for _, x, _ in chunks]), np.concatenate([y for _, _, y in chunks])


def split_pairs(pairs, **how):
    here, there = split_rows(pairs, **how)
    return select_pairs(pairs, here), select_pairs(pairs, there)


def gap_of(pairs):
    return gap.gap_norm(*rows_of(pairs))


# ---- shift ----


@given(st.floats(-3, 3), st.integers(0, 2**32 - 1))
def test_shift_is_that_of_conetheory(lam, seed):
    pairs = cloud_pairs(seed=seed)
    expected = shift.shift_pairs(pairs.x, pairs.y, lam)
    x, y = rows_of(fit_shift(pairs, lam).apply(pairs))
    assert_allclose(x, expected.x, atol=1e-13)
    assert_allclose(y, expected.y, atol=1e-13)


def test_one_modality_moves_alone():
    pairs = cloud_pairs()
    x, y = rows_of(fit_shift(pairs, 0.7, moved="x").apply(pairs))
    before = rows_of(pairs)
    assert_allclose(y, before[1], atol=1e-15)
    moved = before[0] - 0.7 * gap.gap_vector(pairs.x, pairs.y)
    assert_allclose(x, moved / np.linalg.norm(moved, axis=1, keepdims=True), atol=1e-14)
    assert_allclose(rows_of(fit_shift(pairs, 0.7, moved="y").apply(pairs))[0], before[0], atol=1e-15)


@pytest.mark.parametrize("target", [1e-1, 0.4, 0.9, 1.5, 1.9])
def test_target_gap_is_reached(target):
    pairs = cloud_pairs()
    fitted = fit_shift_to_gap(pairs, target)
    assert_allclose(gap_of(fitted.apply(pairs)), target, atol=1e-8)
    assert (fitted.fitted["lam"] < 0) == (target > fitted.fitted["gap"])
    same = shift.shift_landscape(pairs.x, pairs.y, [fitted.fitted["lam"]], 1.0).gap
    assert_allclose(same, target, atol=1e-8)


def test_a_gap_below_the_least_is_refused_with_the_least():
    pairs = cloud_pairs(offset=2.0)
    lambdas = np.linspace(0, 1, 2001)
    near = lambdas[shift.shift_landscape(pairs.x, pairs.y, lambdas, 1.0).gap.argmin()]
    least = shift.shift_landscape(pairs.x, pairs.y, near + (lambdas - 0.5) / 500, 1.0).gap.min()
    with pytest.raises(ValueError, match="least gap that a shift reaches") as error:
        fit_shift_to_gap(pairs, least / 2)
    said = re.search(r"at least ([\d.]+),", str(error.value))
    assert said is not None
    assert_allclose(float(said[1]), least, rtol=1e-4)
    assert fit_shift_to_gap(pairs, 1.001 * least).fitted["gap_reached"] > least


def test_published_shift_to_gap(data_file):
    """The least-loss gap at τ = 1/50 on the published pairs is .7354, at λ = .08."""
    pairs = load_pairs(data_file("mind_the_gap/features_clip.npy"))
    assert abs(fit_shift_to_gap(pairs, 0.7354).fitted["lam"] - 0.08) < 1e-4


# ---- centring, Procrustes, removal ----


def test_centring_is_that_of_conetheory():
    pairs = cloud_pairs()
    expected = gap.center(pairs.x, pairs.y)
    x, y = rows_of(fit_centring(pairs).apply(pairs))
    assert_allclose(x, expected.x, atol=1e-13)
    assert_allclose(y, expected.y, atol=1e-13)


def test_published_centring(data_file):
    pairs = load_pairs(data_file("mind_the_gap/features_clip.npy"))
    moved = fit_centring(pairs).apply(pairs)
    assert_allclose(gap_of(moved), 0.0279, atol=5e-5)
    x, y = rows_of(moved)
    assert_allclose([gap.recall(x, y, (1,))[0], gap.recall(y, x, (1,))[0]], [0.542, 0.500], atol=1e-12)


def test_procrustes_is_that_of_conetheory():
    pairs = cloud_pairs()
    found = fit_procrustes(pairs)
    assert_allclose(found.x.matrix, procrustes_rotation(pairs.x, pairs.y), atol=1e-12)
    x, y = rows_of(found.apply(pairs))
    assert_allclose(found.fitted["residual"], gap.alignment(x, y), rtol=1e-12)
    assert_allclose(found.fitted["alignment"], gap.alignment(pairs.x, pairs.y), rtol=1e-12)


def test_procrustes_with_translation_undoes_a_rigid_motion():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    y = rng.standard_normal((40, 6)) + 3
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    pairs = EmbeddingPairs(x=y @ rotation, y=y)  # a rotation about the origin moves the mean too
    found = fit_procrustes(pairs, translate="means")
    assert found.fitted["residual"] < 1e-12
    x_after, y_after = rows_of(found.apply(pairs))
    assert_allclose(x_after, y_after, atol=1e-12)


def test_few_pairs_turn_no_more_than_they_know():
    """5 pairs in 20 dimensions: what is orthogonal to all of them stays as it is."""
    few = cloud_pairs(n=5, dim=20)
    found = fit_procrustes(few)
    q = found.x.matrix
    assert_allclose(q @ q.T, np.eye(20), atol=1e-12)
    x, y = rows_of(few)
    cross = x.T @ y
    assert_allclose(np.trace(q.T @ cross), np.linalg.svd(cross)[1].sum(), rtol=1e-12)  # still the best on its pairs
    outside = np.linalg.svd(np.concatenate([x, y]))[2][10:]
    assert_allclose(outside @ q, outside, atol=1e-12)
    assert found.fitted["rank"] == 5
    assert found.fitted["determinant"] == round(np.linalg.det(q))


@pytest.mark.parametrize("mirrored", [False, True])
def test_procrustes_may_reflect_and_says_so(mirrored):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    rotation[:, 0] *= np.linalg.det(rotation) * (-1 if mirrored else 1)
    x = rng.standard_normal((40, 6))
    found = fit_procrustes(EmbeddingPairs(x=x, y=x @ rotation))
    assert_allclose(found.x.matrix, rotation, atol=1e-12)
    assert (found.fitted["determinant"], found.fitted["rank"]) == (-1 if mirrored else 1, 6)


def test_files_stay_as_they_are(tmp_path):
    x, y = clouds(30, 5)
    file = tmp_path / "pairs.npy"
    np.save(file, np.stack([x, y]).astype(np.float32))
    before = file.read_bytes()
    pairs = load_pairs(file)
    for fitted in (fit_shift(pairs, 0.5), fit_centring(pairs), fit_procrustes(pairs), fit_removal(pairs, 2)):
        rows_of(fitted.apply(pairs))
    assert file.read_bytes() == before


def test_removing_components_leaves_nothing_along_them():
    pairs = cloud_pairs(offset=1.0)
    found = fit_removal(pairs, 3)
    x, y = rows_of(pairs)
    pooled = np.concatenate([x, y])
    right = np.linalg.svd(pooled - pooled.mean(axis=0), full_matrices=False)[2]
    for side in rows_of(found.apply(pairs)):
        assert_allclose(side @ right[:3].T, 0, atol=1e-12)
    assert found.fitted["gap_share"] > 0.9
    assert gap_of(found.apply(pairs)) < 0.3 * gap_of(pairs)


@pytest.mark.parametrize(("k", "share"), [(1, 0.346), (3, 0.714), (10, 0.802)])
def test_published_coordinates_carry_the_gap(data_file, k, share):
    pairs = load_pairs(data_file("mind_the_gap/features_clip.npy"))
    found = fit_removal(pairs, k, kind="coordinates")
    assert_allclose(found.fitted["gap_share"], share, atol=5e-4)
    x, _ = rows_of(found.apply(pairs))
    assert_allclose(x[:, found.fitted["coordinates"]], 0, atol=1e-15)


# ---- fit here, apply there ----


@pytest.mark.parametrize(
    "fit",
    [
        lambda pairs: fit_shift(pairs, 0.5),
        lambda pairs: fit_shift_to_gap(pairs, 0.3),
        fit_centring,
        lambda pairs: fit_procrustes(pairs, translate="means"),
        lambda pairs: fit_removal(pairs, 2),
    ],
    ids=["shift", "target", "centring", "procrustes", "removal"],
)
def test_the_held_out_pairs_have_no_part_in_the_fit(fit):
    pairs = cloud_pairs()
    here, there = split_pairs(pairs, rng=0)
    found = fit(here)
    json.dumps(found.fitted)
    x, y = rows_of(found.apply(there))
    spoilt = EmbeddingPairs(x=np.array(there.x)[::-1], y=np.array(there.y)[::-1])  # another order, the same fit
    assert_allclose(rows_of(found.apply(spoilt))[0], x[::-1], atol=1e-14)
    alone = found.apply(EmbeddingPairs(x=np.array(there.x)[:2], y=np.array(there.y)[:2]))
    assert_allclose(rows_of(alone)[1], y[:2], atol=1e-14)


def test_split_keeps_groups_whole_and_all_pairs():
    groups = np.repeat(np.arange(20), 4)
    pairs = cloud_pairs(groups=groups)
    here, there = split_pairs(pairs, share=0.25, rng=1)
    assert (here.n, there.n) == (20, 60)
    first, second = ({tuple(row) for row in np.asarray(part.x)} for part in (here, there))
    assert first | second == {tuple(row) for row in pairs.x}
    assert not first & second
    assert here.groups is not None
    assert np.bincount(here.groups).tolist() == [4] * 5


def test_views_read_by_slice_and_by_index(tmp_path):
    x, y = clouds(30, 5)
    np.save(tmp_path / "pairs.npy", np.stack([x, y]).astype(np.float32))
    pairs = load_pairs(tmp_path / "pairs.npy")
    view = fit_centring(pairs).apply(pairs).x
    assert_allclose(view[np.array([3, 1])], np.asarray(view)[[3, 1]])
    assert_allclose(view[5:9], np.asarray(view)[5:9])


def test_texts_of_classes_move_as_rows_of_y():
    pairs = cloud_pairs()
    found = fit_procrustes(pairs, translate="means")
    x, y = rows_of(found.apply(pairs))
    assert_allclose(found.move("x", pairs.x), x, atol=1e-14)
    assert_allclose(found.move("y", pairs.y), y, atol=1e-14)
    with pytest.raises(ValueError, match="dimension"):
        found.move("y", np.eye(3))
    with pytest.raises(ValueError, match="side"):
        found.move("z", pairs.x)


def test_bad_arguments_are_named():
    pairs = cloud_pairs()
    other = cloud_pairs(dim=5)
    for call, words in (
        (lambda: fit_shift(pairs, np.nan), "lam"),
        (lambda: fit_shift(pairs, 0.5, moved="z"), "moved"),
        (lambda: fit_shift(EmbeddingPairs(x=pairs.x, y=pairs.x), 0.5), "gap"),
        (lambda: fit_shift_to_gap(pairs, 2.0), "target"),
        (lambda: fit_removal(pairs, 12), "k"),
        (lambda: fit_removal(cloud_pairs(n=3, dim=12), 6), "`k` must be at most 5"),
        (lambda: fit_removal(pairs, 2, kind="axes"), "kind"),
        (lambda: fit_procrustes(pairs, translate="yes"), "translate"),
        (lambda: fit_centring(pairs).apply(other), "dimension"),
        (lambda: split_pairs(pairs, share=1.0), "share"),
        (lambda: split_pairs(cloud_pairs(n=4), share=0.1), "share.*4"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
