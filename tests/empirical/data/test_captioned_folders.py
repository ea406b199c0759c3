"""COCO's JSON, tables of captions and WebDataset: what is good is read, what is bad is counted."""

import io
import json
import tarfile

import numpy as np
import pytest

from empirical.data._images import MAX_BYTES
from empirical.data.coco import CocoCaptions
from empirical.data.folder import ImageFolder
from empirical.data.loader import batches
from empirical.data.webdataset import WebDataset, expand_braces
from tests.empirical.data.hostile_images import BAD, GOOD, encoded, picture
from tests.empirical.data.serving import assert_serves


@pytest.fixture
def folder(tmp_path):
    """A folder of five good images, 0.png to 4.png, and one beside it."""
    (tmp_path / "images").mkdir()
    for number in range(5):
        (tmp_path / "images" / f"{number}.png").write_bytes(encoded(picture(seed=number)))
    (tmp_path / "secret.png").write_bytes(GOOD["png"])
    return tmp_path / "images"


# ---- COCO ----


def coco(folder, images, annotations, **options):
    path = folder.parent / "captions.json"
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations}))
    return CocoCaptions(folder, path, size=16, **options)


IMAGES = [{"id": 10 + number, "file_name": f"{number}.png"} for number in range(5)]
ANNOTATIONS = [
    {"id": number, "image_id": 10 + number % 5, "caption": f" {'abc'[number // 5]}\n{number % 5}"}
    for number in range(15)
]


def test_coco_takes_the_caption_it_is_told_to(folder):
    assert coco(folder, IMAGES, ANNOTATIONS).captions(np.arange(5)) == ("a 0", "a 1", "a 2", "a 3", "a 4")
    assert coco(folder, IMAGES, ANNOTATIONS, caption="last").captions([4, 0]) == ("c 4", "c 0")
    chosen = {coco(folder, IMAGES, ANNOTATIONS, caption="random", seed=seed).captions([2])[0] for seed in range(20)}
    assert chosen == {"a 2", "b 2", "c 2"}
    source = coco(folder, IMAGES, ANNOTATIONS)
    assert_serves(source, [3, 1], [3, 1])
    assert source.skipped == 0
    with pytest.raises(ValueError, match="nearest is 'first'"):
        coco(folder, IMAGES, ANNOTATIONS, caption="frist")


def test_coco_leaves_out_what_is_wrong_and_counts_it(folder):
    images = [
        *IMAGES,
        {"id": 10, "file_name": "4.png"},
        {"id": 99},
        {"file_name": "0.png"},
        "nonsense",
        {"id": 30, "file_name": "../secret.png"},
        {"id": 31, "file_name": "never captioned.png"},
    ]
    annotations = [
        *ANNOTATIONS[:5],
        {"id": 3, "image_id": 11, "caption": "an id that came before"},
        {"image_id": 11, "caption": "no id, which COCO's results have"},
        {"id": 100, "image_id": 12345, "caption": "of nothing"},
        {"id": 101, "image_id": 10, "caption": "  \n"},
        {"id": 102, "image_id": 10, "caption": None},
        {"id": 103, "image_id": 10, "caption": "lone \ud800 surrogate"},
        {"id": 104, "image_id": [10], "caption": "unhashable"},
        7,
        {"id": 105, "image_id": 30, "caption": "outside"},
    ]
    source = coco(folder, images, annotations)
    assert len(source) == 6
    assert source.captions([0, 5]) == ("a 0", "outside")
    assert source.skip_reasons() == {
        "annotation that is no object with an id": 1,
        "annotation with an id that came before": 1,
        "caption is not UTF-8": 1,
        "caption is not a text": 1,
        "caption of no listed image": 2,
        "empty caption": 1,
        "image that is no object with an id": 2,
        "image with an id that came before": 1,
        "image without a caption": 1,
        "image without a file name": 1,
    }
    assert source.batch([5]).indices.tolist() == [0]
    assert source.skip_reasons()["outside the folder"] == 1


def test_coco_bytes_that_are_not_utf8_cost_one_caption(folder):
    path = folder.parent / "captions.json"
    text = json.dumps({"images": IMAGES, "annotations": ANNOTATIONS[:5]}).encode()
    path.write_bytes(text.replace(b"a\\n3", b"caf\xe9"))
    source = CocoCaptions(folder, path, size=16)
    assert (len(source), source.skip_reasons()) == (4, {"caption is not UTF-8": 1, "image without a caption": 1})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"images": 1, "annotations": []}', "[" * 100_000, '{"images": []}'])
def test_coco_json_that_is_none_says_so(folder, text):
    path = folder.parent / "captions.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"captions\.json (is no JSON|must be an object)"):
        CocoCaptions(folder, path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        CocoCaptions(folder, folder / "none.json")


# ---- a table ----


def table(folder, text, name="captions.csv", **options):
    path = folder.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return ImageFolder(folder, path, size=16, **options)


@pytest.mark.parametrize(
    "text",
    [
        'image,caption\n0.png,zero\n1.png,"one, two"\n',
        "0.png,zero\n1.png,one, two\n",
        '\ufeffcaption,image\r\nzero,0.png\r\n"one, two",1.png\r\n',
        "image\tcaption\n0.png\tzero\n1.png\tone, two\n",
        "0.png#0\tzero\n0.png#1\tanother\n1.png#0\tone, two\n",
        "image_name| comment_number| comment\n0.png| 0| zero\n1.png| 0| one, two\n",
        "id,filename,caption\n7,0.png,zero\n8,1.png,one, two\n",
        'image,caption,split\n0.png,zero,train\n1.png,"one, two",test\n',
    ],
)
def test_tables_as_they_are_found(folder, text):
    source = table(folder, text)
    assert source.captions([0, 1]) == ("zero", "one, two")
    assert_serves(source, [1, 0], [1, 0])
    assert source.skipped == 0


def test_one_digit_alone_is_cut_off_a_name(folder):
    (folder / "a#12").write_bytes(GOOD["png"])
    assert table(folder, "a#12,twelve\n0.png#0,zero\n").batch([0, 1]).captions == ("twelve", "zero")


def test_repeated_images_are_one_pair(folder):
    text = "image,caption\n0.png,a\n1.png,b\n0.png,c\n"
    assert table(folder, text).captions([0, 1]) == ("a", "b")
    assert table(folder, text, caption="last").captions([0, 1]) == ("c", "b")


def test_rows_and_images_that_are_wrong_are_counted(folder):
    for kind, (data, _) in BAD.items():
        (folder / f"{kind}.jpg").write_bytes(data)
    (folder / "wrong extension.txt").write_bytes(GOOD["jpeg"])
    good = ["0.png", "1.png", "2.png", "wrong extension.txt"]
    bad = [*(f"{kind}.jpg" for kind in BAD), "missing.jpg", "../secret.png", "/etc/passwd", "../images/../secret.png"]
    lines = [f"{name},{name}".encode() for name in good + bad]
    lines += [b"alone", b"3.png,caf\xe9", b"4.png, ", b",nothing", b"", b'4.png,"' + b"x" * 200_000 + b'"']
    source = table(folder, b"\n".join(lines))
    assert len(source) == len(good) + len(bad)
    opened = source.skip_reasons()
    assert opened == {
        "caption is not UTF-8": 1,
        "empty caption": 1,
        "image without a caption": 2,
        "malformed row": 1,
        "no image named": 1,
        "row of one cell": 1,
    }
    found = list(batches(source, np.arange(len(source)), 3, 0, 0, workers=2))
    assert all(set(batch.indices.tolist()) <= set(range(len(good))) for batch in found)
    reasons = source.skip_reasons()
    assert reasons["outside the folder"] == 3
    assert reasons["missing file"] == 1
    assert reasons["too many pixels"] == 3
    assert reasons["empty file"] == 1
    assert source.skipped == sum(opened.values()) + len(bad)


@pytest.mark.parametrize(
    ("text", "captions", "reasons"),
    [
        ('0.png,zero\n1.png,"one\n2.png,two\n3.png,three\n', ("zero", "two", "three"), {2: 1}),
        ('0.png,"zero\n1.png,one\n2.png,"two"\n3.png,"three\n', ("one", "two"), {1: 2}),
        ('0.png,"zero\nand more"\n1.png,"one\n', ("zero and more",), {3: 1}),
        ('0.png\t"Stop" is a sign\n1.png\t"one"\n2.png\ttwo "2"\n', ("Stop is a sign", "one", 'two "2"'), {}),
        ('0.png,"he said "hi""\n1.png,one\n', ('he said hi""', "one"), {}),
    ],
)
def test_a_quote_that_is_not_closed_costs_its_line_alone(folder, text, captions, reasons):
    source = table(folder, text)
    assert source.captions(np.arange(len(source))) == captions
    assert source.skip_reasons() == {
        f"quote that is not closed, first in line {line}": count for line, count in reasons.items()
    }


def test_a_table_of_open_quotes_is_read_in_one_pass(folder):
    lines = [f'{number % 5}.png,"{number}' for number in range(100_000)]
    source = table(folder, "\n".join(["0.png,zero", *lines]))
    assert (len(source), source.skip_reasons()) == (1, {"quote that is not closed, first in line 2": 100_000})


@pytest.mark.parametrize("text", ["", "image,caption\n", "\n\n", "nothing but words\n"])
def test_a_table_without_a_pair_says_so(folder, text):
    with pytest.raises(ValueError, match=r"captions\.csv holds no pair"):
        table(folder, text)
    with pytest.raises(FileNotFoundError, match="is no folder"):
        ImageFolder(folder / "none", folder.parent / "captions.csv")
    with pytest.raises(FileNotFoundError, match="is no file"):
        ImageFolder(folder, folder / "none.csv")


# ---- WebDataset ----


def write_tar(path, members):
    """Write a tar of (name, bytes), or of a TarInfo made by hand."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return str(path)


def test_webdataset_pairs_members_by_name_across_shards(tmp_path):
    for shard in range(2):
        members = [(f"{2 * shard + k}.{ext}", data) for k in range(2) for ext, data in sample(2 * shard + k)]
        write_tar(tmp_path / f"part-0{shard}.tar", members)
    source = WebDataset(str(tmp_path / "part-{00..01}.tar"), size=16)
    assert source.captions(np.arange(4)) == ("a 0", "a 1", "a 2", "a 3")
    assert_serves(source, [3, 0, 2], [3, 0, 2])
    assert source.skipped == 0


def sample(seed):
    """Return image and caption, as text or as JSON."""
    text = ("txt", f"a {seed}\n".encode()) if seed % 2 else ("json", json.dumps({"caption": f"a {seed}"}).encode())
    return [("png", encoded(picture(seed=seed))), text, ("cls", b"7")]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a{0..3}.tar", ["a0.tar", "a1.tar", "a2.tar", "a3.tar"]),
        ("a{009..011}.tar", ["a009.tar", "a010.tar", "a011.tar"]),
        ("{x,y}/{1..2}", ["x/1", "x/2", "y/1", "y/2"]),
        ("plain.tar", ["plain.tar"]),
        ("odd{1}.tar", ["odd{1}.tar"]),
    ],
)
def test_braces(pattern, names):
    assert expand_braces(pattern) == names


@pytest.mark.parametrize("pattern", ["a{3..1}.tar", "a{0..99999999}.tar", "{0..99999}{0..99999}"])
def test_braces_that_explode_are_refused(pattern):
    with pytest.raises(ValueError, match=r"upwards|at most a million"):
        expand_braces(pattern)


def test_webdataset_members_that_are_wrong_are_counted(tmp_path):
    (tmp_path / "secret.png").write_bytes(GOOD["png"])
    link, pipe = (tarfile.TarInfo(name) for name in ("link.png", "pipe.png"))
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
    pipe.type = tarfile.FIFOTYPE
    members = [
        ("0.png", GOOD["png"]),
        ("0.txt", b"good"),
        ("0.jpg", GOOD["jpeg"]),
        ("../../out.png", GOOD["png"]),
        ("../../out.txt", b"outside"),
        ("/absolute.png", GOOD["png"]),
        (link, b""),
        (pipe, b""),
        ("alone.png", GOOD["png"]),
        ("caption alone.txt", b"no image"),
        ("latin.png", GOOD["png"]),
        ("latin.txt", b"caf\xe9"),
        ("wide.png", GOOD["png"]),
        ("wide.txt", "wide".encode("utf-16-le")),
        ("empty.png", GOOD["png"]),
        ("empty.txt", b" \n"),
        ("nojson.png", GOOD["png"]),
        ("nojson.json", b"{"),
        ("list.png", GOOD["png"]),
        ("list.json", b"[1]"),
        ("novel.png", GOOD["png"]),
        ("novel.txt", b"x" * (1 << 21)),
        ("torn.jpg", BAD["half a JPEG"][0]),
        ("torn.txt", b"torn"),
    ]
    path = write_tar(tmp_path / "a.tar", members)
    source = WebDataset(path, size=16)
    assert source.captions(np.arange(len(source))) == ("good", "torn")
    assert source.batch([1]).indices.tolist() == [0]
    assert source.skip_reasons() == {
        "caption is no JSON": 1,
        "caption is not UTF-8": 1,
        "caption is not a text": 1,
        "caption with zero bytes": 1,
        "caption without an image": 1,
        "damaged image (OSError)": 1,
        "empty caption": 1,
        "image without a caption": 1,
        "member with a name that came before": 1,
        "not a regular file": 2,
        "outside the folder": 3,
        "too large a caption": 1,
    }


def test_webdataset_archives_that_end_early_are_read_so_far(tmp_path):
    members = [(f"{k}.{ext}", data) for k in range(4) for ext, data in reversed(sample(k))]
    path = tmp_path / "whole.tar"
    write_tar(path, members)
    data = path.read_bytes()
    ends = [sum(512 + -(-len(part) // 512) * 512 for _, part in members[: 3 * k]) for k in range(1, 5)]
    for pairs, end in enumerate(ends, start=1):
        for cut in (end - 1400, end, end + 100, end + 700):
            path.write_bytes(data[:cut])
            kept = pairs - (cut < end)
            if kept:
                source = WebDataset(str(path), size=16)
                assert source.batch(np.arange(kept)).indices.tolist() == list(range(kept))
    path.write_bytes(data[: ends[0]] + b"garbage" * 200 + data[ends[0] + 1400 :])
    source = WebDataset(str(path), size=16)
    assert (len(source), source.skip_reasons()) == (1, {"damaged archive": 1})


def test_webdataset_a_member_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "sparse.tar"
    header = tarfile.TarInfo("huge.png")
    header.size = MAX_BYTES + 512
    with path.open("wb") as file:
        file.write(header.tobuf())
        file.seek(header.size, 1)
        for name, data in (("0.png", GOOD["png"]), ("0.txt", b"good")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.write(member.tobuf() + data + bytes(-len(data) % 512))
        file.write(bytes(1024))
    source = WebDataset(str(path), size=16)
    assert source.captions([0]) == ("good",)
    assert source.skip_reasons() == {"too large a file": 1}


def test_webdataset_a_sparse_member_is_not_read(tmp_path):
    """Its bytes are not where they are stored: taken as they stand they would be a map of holes."""
    holes = tarfile.TarInfo("holes.png")
    holes.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1024"}
    stored = b"1\n0\n512\n".ljust(512, b"\0") + GOOD["png"][:512].ljust(512, b"\0")
    path = write_tar(tmp_path / "a.tar", [("0.png", GOOD["png"]), ("0.txt", b"good"), (holes, stored)])
    assert WebDataset(path, size=16).skip_reasons() == {"not a regular file": 1}


def test_webdataset_of_no_archive_says_so(tmp_path):
    (tmp_path / "text.tar").write_bytes(b"no archive at all" * 100)
    with pytest.raises(ValueError, match="damaged archive"):
        WebDataset(str(tmp_path / "text.tar"))
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x"))
    with pytest.raises(ValueError, match="is compressed"):
        WebDataset(str(tmp_path / "a.tar"))
    with pytest.raises(FileNotFoundError, match=r"b\.tar is no file"):
        WebDataset(str(tmp_path / "b.tar"))
