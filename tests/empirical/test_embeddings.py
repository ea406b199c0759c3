"""Files of paired embeddings: every format, groups, and unit rows a chunk at a time."""

import json
import struct

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from empirical.embeddings import EmbeddingPairs, iter_chunks, load_pairs, unit_sample
from tests.empirical.files import D, N, assert_holds, assert_one_line, make_clouds


@pytest.fixture
def clouds():
    return make_clouds()


# ---- formats ----


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_in_its_own_type(tmp_path, clouds, dtype, order):
    path = tmp_path / "pairs.npy"
    stored = np.asarray(clouds.astype(dtype), order=order)
    np.save(path, stored)
    pairs = load_pairs(path)
    assert isinstance(pairs.x, np.memmap)
    assert pairs.x.dtype == stored.dtype
    assert pairs.source == str(path)
    assert_holds(pairs, stored)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_orders_by_name_then_by_file(tmp_path, clouds, save):
    save(tmp_path / "named.npz", text_features=clouds[1], words=np.array(["a", "b"]), image_features=clouds[0])
    assert_holds(load_pairs(tmp_path / "named.npz"), clouds)
    save(tmp_path / "plain.npz", b=clouds[0], a=clouds[1])
    assert_holds(load_pairs(tmp_path / "plain.npz"), clouds)
    assert_holds(load_pairs(tmp_path / "plain.npz", keys=("a", "b")), clouds[::-1])


def test_npz_with_objects_can_still_give_its_other_arrays(tmp_path, clouds):
    objects = np.array([{}, None], dtype=object)
    np.savez(tmp_path / "mixed.npz", x=clouds[0], y=clouds[1], meta=objects)
    assert_holds(load_pairs(tmp_path / "mixed.npz"), clouds)
    with pytest.raises(TypeError, match="never unpickled"):
        load_pairs(tmp_path / "mixed.npz", keys=("x", "meta"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_safetensors(tmp_path, clouds, dtype):
    from safetensors.numpy import save_file

    path = tmp_path / "pairs.safetensors"
    clouds = clouds.astype(dtype)
    save_file({"img": clouds[0], "txt": clouds[1], "ids": np.arange(N)}, path, metadata={"model": "none"})
    assert_holds(load_pairs([path]), clouds)


def test_safetensors_bfloat16_is_read_exactly(tmp_path, clouds):
    bits = clouds.view(np.uint32) >> 16
    header = {
        name: {"dtype": "BF16", "shape": [N, D], "data_offsets": [i * 2 * N * D, (i + 1) * 2 * N * D]}
        for i, name in enumerate("xy")
    }
    head = json.dumps(header).encode()
    path = tmp_path / "pairs.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bits.astype("<u2").tobytes())
    assert_holds(load_pairs(path), (bits << 16).astype(np.uint32).view(np.float32))


@pytest.mark.parametrize("kind", ["list", "large_list", "fixed_size_list"])
def test_parquet(tmp_path, clouds, kind):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    typ = {"list": pa.list_(pa.float32()), "large_list": pa.large_list(pa.float32())}
    typ["fixed_size_list"] = pa.list_(pa.float32(), D)
    columns = {"caption": pa.array(list("abcdefg"))}
    columns |= {name: pa.array(clouds[i].tolist(), typ[kind]) for i, name in enumerate(["image", "text"])}
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet", row_group_size=3)
    assert_holds(load_pairs(tmp_path / "pairs.parquet"), clouds)


def test_two_files_of_different_kinds(tmp_path, clouds):
    np.save(tmp_path / "a.npy", clouds[0])
    np.savez(tmp_path / "b.npz", emb=clouds[1], ids=np.arange(N))
    assert_holds(load_pairs([tmp_path / "a.npy", str(tmp_path / "b.npz")]), clouds)


@pytest.mark.parametrize("flat", [True, False])
def test_clip_retrieval_parts_are_joined_in_numeric_order(tmp_path, clouds, flat):
    for kind, cloud in zip(("img_emb", "text_emb"), clouds, strict=True):
        folder = tmp_path if flat else tmp_path / kind
        folder.mkdir(exist_ok=True)
        for number, part in ((2, cloud[:3]), (9, cloud[3:4]), (10, cloud[4:])):
            np.save(folder / f"{kind}_{number}.npy", part)
    (tmp_path / "metadata").mkdir()
    pairs = load_pairs(tmp_path)
    assert_holds(pairs, clouds)
    for start in range(N):
        for stop in range(start, N + 1):
            assert_array_equal(pairs.x[start:stop], clouds[0][start:stop])


def test_groups_from_every_format(tmp_path, clouds):
    np.save(tmp_path / "pairs.npy", clouds)
    ids = [7, 7, 3, 3, 3, 9, 7]
    np.save(tmp_path / "groups.npy", ids)
    (tmp_path / "groups.txt").write_text("\n".join(map(str, ids)))
    (tmp_path / "groups.csv").write_text("".join(f"cat_{i}.jpg\n" for i in ids))
    for name in ("groups.npy", "groups.txt", "groups.csv"):
        assert_array_equal(load_pairs(tmp_path / "pairs.npy", groups=tmp_path / name).groups, [1, 1, 0, 0, 0, 2, 1])


def test_published_arrays(data_file):
    pairs = load_pairs(data_file("mind_the_gap/features_clip.npy"))
    assert (pairs.n, pairs.dim) == (500, 512)


# ---- chunks ----


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_chunks_are_unit_rows_in_float64(clouds, rows):
    pairs = EmbeddingPairs(x=clouds[0], y=clouds[1])
    chunks = list(iter_chunks(pairs, rows))
    for side in (1, 2):
        joined = np.concatenate([chunk[side] for chunk in chunks])
        exact = clouds[side - 1].astype(np.float64)
        assert joined.dtype == np.float64
        assert_allclose(joined, exact / np.linalg.norm(exact, axis=1, keepdims=True), rtol=4e-16, atol=0)
    assert [place.start for place, _, _ in chunks] == list(range(0, N, rows))


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200])
def test_rows_of_extreme_length_are_normalised(scale):
    x = np.array([[3.0, 4.0], [1.0, 0.0]]) * scale
    _, x, _ = next(iter_chunks(EmbeddingPairs(x=x, y=np.eye(2))))
    assert_allclose(x, [[0.6, 0.8], [1, 0]], rtol=1e-3 if scale < 1e-300 else 1e-15)


def test_reading_does_not_change_the_source(clouds):
    kept = clouds.astype(np.float64)
    pairs = EmbeddingPairs(x=kept[0], y=kept[1])
    before = kept.copy()
    list(iter_chunks(pairs))
    unit_sample(pairs, np.arange(3))
    assert_array_equal(kept, before)


@pytest.mark.parametrize(("bad", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_numbers_that_are_not_finite_are_named(tmp_path, clouds, bad, shown):
    clouds[1, 5, 2] = bad
    np.save(tmp_path / "pairs.npy", clouds)
    pairs = load_pairs(tmp_path / "pairs.npy")
    with pytest.raises(ValueError, match="finite") as error:
        list(iter_chunks(pairs, 2))
    assert_one_line(error, "pairs.npy[1]", f"got {shown}", "row 5, column 2")
    with pytest.raises(ValueError, match="row 5"):
        unit_sample(pairs, np.array([0, 5]))


def test_zero_row_is_named(clouds):
    clouds[0, 3] = 0
    with pytest.raises(ValueError, match=r"`x` has a zero row, .*: row 3\."):
        list(iter_chunks(EmbeddingPairs(x=clouds[0], y=clouds[1]), 2))
