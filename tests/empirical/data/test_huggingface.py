"""Data sets saved by the library `datasets`."""

import pytest

from empirical.data.huggingface import HuggingFaceDataset
from tests.empirical.data.hostile_images import BAD, GOOD, encoded, picture
from tests.empirical.data.serving import assert_serves


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders of saved data sets, with images decoded by the library, as bytes, and as paths."""
    datasets = pytest.importorskip("datasets", reason="pip install 'conetheory[datasets]'")
    folder = tmp_path_factory.mktemp("saved")
    (folder / "secret.png").write_bytes(GOOD["png"])
    captions = ["a 0", "a 1", " ", "a 3", "a 4"]
    files = [encoded(picture(seed=seed)) for seed in range(5)]
    files[3] = BAD["half a JPEG"][0]
    values = {"image": [{"bytes": data, "path": None} for data in files], "caption": captions}
    values["image"][4] = {"bytes": None, "path": str(folder / "secret.png")}
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string")})
    table = datasets.Dataset.from_dict(values, features=features)
    (folder / "parts").mkdir()
    tables = folder / "whole", folder / "parts", folder / "raw"
    arrow = table.data.table  # as stored: saving through the library would embed the file of a path
    datasets.Dataset(arrow, fingerprint="stored").save_to_disk(str(tables[0]))
    datasets.DatasetDict({"train": table.select([0, 1]), "test": table.select([1, 0])}).save_to_disk(str(tables[1]))
    raw = datasets.Dataset.from_dict({"jpg": files[:2], "texts": [["first", "second"], ["third"]]})
    raw.save_to_disk(str(tables[2]))
    return folder


def test_huggingface(saved):
    source = HuggingFaceDataset(saved / "parts", split="test", size=16)
    assert source.captions([0, 1]) == ("a 1", "a 0")
    assert_serves(source, [1, 0], [0, 1])
    raw = HuggingFaceDataset(saved / "raw", image="jpg", caption="texts", size=16)
    assert raw.captions([0, 1]) == ("first", "third")
    assert_serves(raw, [0, 1], [0, 1])


def test_huggingface_rows_that_are_wrong_are_counted(saved):
    source = HuggingFaceDataset(saved / "whole", size=16)
    assert len(source) == 4
    assert source.batch([0, 2]).indices.tolist() in ([0, 3], [0, 1])
    assert source.skip_reasons()["empty caption"] == 1
    assert source.skip_reasons()["damaged image (OSError)"] == 1


def test_huggingface_bad_names_and_folders(saved, tmp_path):
    with pytest.raises(ValueError, match="nearest is 'image'"):
        HuggingFaceDataset(saved / "whole", image="images")
    with pytest.raises(ValueError, match="`split` must be one of train, test"):
        HuggingFaceDataset(saved / "parts")
    with pytest.raises(ValueError, match="has no parts"):
        HuggingFaceDataset(saved / "whole", split="train")
    with pytest.raises(ValueError, match="cannot be read as a saved data set"):
        HuggingFaceDataset(tmp_path)
    with pytest.raises(FileNotFoundError, match="is no folder"):
        HuggingFaceDataset(tmp_path / "none")
