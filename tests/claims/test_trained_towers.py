"""``conetheory embed`` and ``conetheory evaluate RUN``: towers trained here for a few steps, and a published CLIP.

transformers takes seconds to import, so whatever needs it of these two commands is here.
"""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="towers are torch's: pip install 'conetheory[empirical]'")
transformers = pytest.importorskip(
    "transformers", reason="towers are transformers': pip install 'conetheory[empirical]'"
)

from claims import SCHEMA, cli_embed, cli_embeddings, cli_evaluate  # noqa: E402
from empirical.attribute_arithmetic import attribute_arithmetic  # noqa: E402
from empirical.config import load_config  # noqa: E402
from empirical.data.scenes import Scenes  # noqa: E402
from empirical.data.sources import open_source  # noqa: E402
from empirical.embed import choose_pairs, embed_pairs  # noqa: E402
from empirical.embeddings import EmbeddingPairs, load_pairs  # noqa: E402
from empirical.interventions import fit_centring  # noqa: E402
from empirical.labelled_tasks import arithmetic_task, class_tasks  # noqa: E402
from empirical.model import DEVIATION, TwoTowers  # noqa: E402
from empirical.run_pairs import open_pairs  # noqa: E402
from empirical.train import train  # noqa: E402
from empirical.trained import open_towers  # noqa: E402
from empirical.zero_shot import zero_shot  # noqa: E402
from tests.empirical.tiny_clip import publish  # noqa: E402

SMALL = (
    *("steps=4", "batch=16", "log_every=4", "checkpoint_every=2", "keep=0", "data.kind=scenes", "data.options.size=16"),
    *("data.options.n=200", "data.held_out=60", "data.workers=0", "model.dim=8", "model.image_width=32"),
    *("model.text_width=32", "model.length=8", "optimiser.warmup=2", "device=cpu"),
)
HELD_OUT = 60

app = typer.Typer()
app.command("embed")(cli_embed.embed)
app.command("evaluate")(cli_evaluate.evaluate)
app.command("gap")(cli_embeddings.gap)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on scenes."""
    return train(load_config("digits", SMALL), tmp_path_factory.mktemp("run")).folder


@pytest.fixture(scope="module")
def same_modality(tmp_path_factory):
    """A run of two image towers, the second amended."""
    settings = [*SMALL, "model.kind=image_image", "model.initialisation=amended"]
    return train(load_config("digits", settings), tmp_path_factory.mktemp("images")).folder


@pytest.fixture
def towers(run):
    with open_towers(run, device="cpu") as found:
        yield found


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The folder of a tiny CLIP with its tokenizer, normalising images by 1/2."""
    return publish(tmp_path_factory.mktemp("clip") / "tiny")


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(*words):
    """The one JSON object that a command prints."""
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def error(*words):
    result = invoke(*words)
    assert result.exit_code != 0
    return " ".join(str(result.exception).split()) if isinstance(result.exception, ValueError) else result.stderr


# What is written


@pytest.mark.parametrize("folder", ["run", "same_modality"])
def test_the_embeddings_of_a_run_are_those_that_it_wrote_itself(folder, request, tmp_path):
    folder = request.getfixturevalue(folder)
    found = answer("embed", folder, "--out", tmp_path / "pairs.npy", "--device", "cpu")
    assert (found["schema"], found["n"], found["dim"], found["step"], found["unreadable"]) == (SCHEMA, 60, 8, 4, {})
    assert_allclose(np.load(tmp_path / "pairs.npy"), np.load(folder / "embeddings" / "step-00000004.npy"), atol=1e-5)
    assert answer("gap", tmp_path / "pairs.npy", "--bootstrap", 2)["n"] == HELD_OUT


def test_another_step_has_other_weights(run, tmp_path):
    for step in (2, 4):
        answer("embed", run, "--out", tmp_path / f"{step}.npy", "--step", step)
    assert np.abs(np.load(tmp_path / "2.npy") - np.load(tmp_path / "4.npy")).max() > 1e-3


def test_rows_come_in_the_order_asked_for_whatever_the_batch(towers, tmp_path):
    source, rows = choose_pairs(towers, part="all")
    rows = np.random.default_rng(0).permutation(rows)[:50]
    steps = []
    small = embed_pairs(towers, source, rows, tmp_path / "small.npy", batch_size=7, on_batch=steps.append)
    assert steps == [7, 14, 21, 28, 35, 42, 49, 50]
    assert_array_equal(small.rows, rows)
    for place in (0, 20, 49):
        alone = towers.embed(source.batch(rows[place : place + 1]))
        assert_allclose(np.load(small.path)[:, place], alone[:, 0], atol=1e-5)
    large = embed_pairs(towers, source, rows, tmp_path / "large.npy", workers=0)
    assert_allclose(np.load(large.path), np.load(small.path), atol=1e-5)


def test_a_batch_is_all_that_is_read_at_once(towers, tmp_path, monkeypatch):
    asked, read = [], Scenes.batch

    def watched(self, indices, *, among=None):
        asked.append(len(indices))
        return read(self, indices, among=among)

    source, rows = choose_pairs(towers, part="all")
    monkeypatch.setattr(Scenes, "batch", watched)
    embed_pairs(towers, source, rows, tmp_path / "pairs.npy", batch_size=64, workers=0)
    assert asked == [64, 64, 64, 8]


@pytest.mark.parametrize(("part", "n"), [("train", 140), ("held_out", 60), ("all", 200)])
def test_parts_of_the_pairs_of_a_run(run, tmp_path, part, n):
    words = ("--rows", part, "--indices", "--labels", "colour")
    found = answer("embed", run, "--out", tmp_path / "pairs.npy", *words)
    rows, labels = (np.load(found["beside"][name]) for name in ("rows", "colour"))
    source, train_rows, held_out = open_pairs(load_config("digits", SMALL))
    assert_array_equal(rows, {"train": train_rows, "held_out": held_out, "all": np.arange(200)}[part])
    assert_array_equal(labels, source.labels_of("colour", rows))
    assert found["n"] == n


@pytest.fixture
def photos(tmp_path):
    """A folder of five images of which one is damaged and one is missing."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption"])
        for number in range(5):
            pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
            if number != 3:
                Image.fromarray(pixels).save(folder / f"{number}.png")
            table.writerow([f"{number}.png", f"a photo of {number}"])
    (folder / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    return ("folder", "--set", f"images={folder}", "--set", f"captions={tmp_path / 'captions.csv'}")


def test_what_cannot_be_read_is_left_out_and_counted(run, towers, photos, tmp_path):
    out = tmp_path / "pairs.npy"
    found = answer("embed", run, *photos, "--out", out, "--indices", "--batch-size", 2)
    good = np.load(found["beside"]["rows"])
    options = dict(text.partition("=")[::2] for text in photos[2::2])
    source = open_source("folder", **options, size=16)
    assert found["n"] == len(good) == len(source) - len(found["unreadable"])
    assert [source.captions([row])[0] for row in good] == [f"a photo of {number}" for number in (0, 2, 4)]
    for place, row in enumerate(good):
        assert_allclose(load_pairs(out).x[place], towers.embed(source.batch([row]))[0, 0], atol=1e-5)
    shown = invoke("embed", run, *photos, "--out", out).stdout
    assert f"{len(found['unreadable'])} left out as unreadable" in shown


def test_half_precision_takes_half_the_disk(towers, tmp_path):
    source, rows = choose_pairs(towers)
    found = [
        embed_pairs(towers, source, rows, tmp_path / f"{dtype}.npy", dtype=dtype) for dtype in ("float32", "float16")
    ]
    whole, half = (np.load(each.path) for each in found)
    assert half.dtype == np.float16
    assert_allclose(half, whole, rtol=1e-3, atol=1e-4)


class Scaled(TwoTowers):
    """Towers whose embeddings are too large for a float16."""

    def forward(self, inputs):
        return tuple(1e6 * rows for rows in super().forward(inputs))


def test_what_is_not_finite_is_an_error_and_leaves_nothing(towers, tmp_path):
    large = replace(towers, model=Scaled(towers.model.x_tower, towers.model.y_tower))
    source, rows = choose_pairs(towers)
    with pytest.raises(ValueError, match=rf"row {rows[0]} is not finite in float16"):
        embed_pairs(large, source, rows, tmp_path / "pairs.npy", dtype="float16")
    assert not list(tmp_path.iterdir())
    assert np.isfinite(np.load(embed_pairs(large, source, rows, tmp_path / "pairs.npy").path)).all()


def test_images_of_another_size_are_refused(towers, tmp_path):
    with pytest.raises(ValueError, match=r"images of 16 pixels, as .*, got 32"):
        embed_pairs(towers, open_source("digits", size=32), np.array([0, 1]), tmp_path / "pairs.npy")


@pytest.mark.parametrize("rows", [[3], [3, 4, 3]])
def test_too_few_or_repeated_rows_are_refused(towers, tmp_path, rows):
    with pytest.raises(ValueError, match="`rows` must be two or more, none twice"):
        embed_pairs(towers, open_source("digits", size=16), np.array(rows), tmp_path / "pairs.npy")


# A published CLIP


def test_a_published_clip_embeds_as_transformers_does(published, tmp_path):
    answer("embed", published, "digits", "--out", tmp_path / "pairs.npy")
    with open_towers(published, device="cpu") as towers:
        assert (towers.image_size, towers.tokens.length, towers.config, towers.step) == (16, 6, None, None)
        assert not np.allclose(DEVIATION, 0.5, atol=0.1)  # what it would be normalised by without its own word
    clip = transformers.CLIPModel.from_pretrained(published).eval()
    batch = open_source("digits", size=16).batch(np.arange(20))
    pixels = (torch.from_numpy(batch.images).float() / 255 - 0.5) / 0.5
    tokens = transformers.AutoTokenizer.from_pretrained(published)
    said = tokens(list(batch.captions), padding="max_length", truncation=True, max_length=6, return_tensors="pt")
    with torch.no_grad():
        both = clip(input_ids=said["input_ids"], attention_mask=said["attention_mask"], pixel_values=pixels)
    found = np.load(tmp_path / "pairs.npy")[:, :20]
    for rows, wanted in zip(found, (both.image_embeds, both.text_embeds), strict=True):
        assert_allclose(rows / np.linalg.norm(rows, axis=1, keepdims=True), wanted.numpy(), atol=1e-5)


# What is refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere/at/all"], "`MODEL` 'nowhere/at/all' does not exist"),
        (["pairs.npy"], "is a file"),
        (["empty"], "has no config.json"),
        (["garbage"], "config.json that can be read"),
        (["other"], "no run of this version: a key of the configuration must be one of"),
        (["started"], "a run without a checkpoint"),
        (["RUN", "--step", "3"], "`step` must be one of 2, 4"),
        (["RUN", "scene"], "got 'scene'; the nearest is 'scenes'"),
        (["RUN", "scenes", "--set", "siz=16"], "got 'siz'; the nearest is 'size'"),
        (["RUN", "scenes", "--set", "size"], "such as n=1000, got 'size'"),
        (["RUN", "--set", "n=5"], "`DATA` must name the kind of pairs that the option 'n' is for"),
        (["RUN", "digits", "--rows", "train"], "`rows` must be all for pairs that the run does not split, got 'train'"),
        (["RUN", "--rows", "test"], "held_out"),
        (["RUN", "digits", "--set", "size=32"], "images of 16 pixels"),
        (["RUN", "--labels", "color"], "the nearest is 'colour'"),
        (["RUN", "--out", "pairs.txt"], "got 'pairs.txt'"),
        (["RUN", "--device", "gpu"], "got 'gpu'"),
        (["RUN", "--precision", "float64"], "float64"),
        (["RUN", "--dtype", "float64"], "float64"),
        (["RUN", "--loader", "fork"], "fork"),
        (["PUBLISHED"], "`DATA` must name the pairs"),
        (["PUBLISHED", "digits", "--step", "2"], "`step` needs a run folder"),
        (["bert"], "must be a CLIP, and 'bert' is a 'bert'"),
    ],
    ids=" ".join,
)
def test_bad_input_names_the_option_and_the_value(run, published, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    for name, text in {"garbage": "{", "other": '{"step": 3}', "bert": '{"model_type": "bert"}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    for name in ("empty", "started"):
        (tmp_path / name).mkdir()
    (tmp_path / "started" / "config.json").write_text((run / "config.json").read_text())
    (tmp_path / "pairs.npy").touch()
    named = {"RUN": run, "PUBLISHED": published}
    assert said in error("embed", "--out", "out.npy", *(named.get(word, word) for word in words))
    assert not (tmp_path / "out.npy").exists()


def test_a_name_that_is_nowhere_is_one_error(monkeypatch, tmp_path):
    def refuse(name):
        raise OSError(f"{name} is not a local folder\nand is not a valid model identifier")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", refuse)
    said = error("embed", "someone/clip", "digits", "--out", tmp_path / "pairs.npy")
    assert "`MODEL` 'someone/clip' is no folder here and no CLIP that transformers can load: someone/clip is" in said


# Evaluation


def test_a_run_is_evaluated_on_what_its_pairs_know(run, towers):
    found = answer("evaluate", run, "--bootstrap", 2, "--lambda", 2)
    assert found["measured"]["gap"]["value"] == pytest.approx(gap_of(run), abs=1e-5)
    source, rows = choose_pairs(towers)
    x = towers.embed(source.batch(rows))[0]
    assert set(found["zero_shot"]) == set(source.tasks)
    for task in class_tasks(towers, source, rows):
        here = task.labels >= 0
        wanted = zero_shot(x[here], task.texts, task.labels[here]).as_dict()
        assert found["zero_shot"][task.name] == json.loads(json.dumps(wanted))
    assert found["linear_probe"]["shape"]["accuracy"]["stderr"] > 0
    task = arithmetic_task(towers, source)
    wanted = attribute_arithmetic(task.images, task.words, **task.asked(), lambdas=[2]).as_dict()["scores"]
    assert found["arithmetic"]["scores"] == wanted


def gap_of(folder):
    return json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["gap_norm"]


def test_an_intervention_has_a_before(run, towers):
    found = answer("evaluate", run, "--bootstrap", 2, "--centre", "--change", "shape", "--keep", "size")
    assert found["measured"]["gap"]["value"] < found["before"]["gap"]["value"] == pytest.approx(gap_of(run), abs=1e-5)
    for task in found["zero_shot"].values():
        assert task["change"]["value"] == pytest.approx(
            task["top"]["1"]["value"] - task["before"]["top"]["1"]["value"], abs=1e-12
        )
    assert "before" in found["linear_probe"]["colour"]
    source, rows = choose_pairs(towers)
    x, y = towers.embed(source.batch(rows))
    task, moved = arithmetic_task(towers, source, change="shape", keep="size"), fit_centring(EmbeddingPairs(x=x, y=y))
    after = attribute_arithmetic(moved.move("x", task.images), moved.move("y", task.words), **task.asked())
    assert found["arithmetic"]["scores"][0]["value"] == pytest.approx(after.score[0].value, abs=0.01)
    assert found["arithmetic"]["before"]["n_queries"] == after.n_queries == found["arithmetic"]["n_queries"]


def test_towers_without_text_have_a_probe_alone(same_modality):
    found = answer("evaluate", same_modality, "--bootstrap", 2, "--centre", "--fit-share", "0.5")
    assert found["n"] == found["before"]["n"] == 30  # the intervention was fitted on the others
    assert "zero_shot" not in found
    assert "arithmetic" not in found
    assert "shape" in found["linear_probe"]
    with open_towers(same_modality, device="cpu") as towers, pytest.raises(ValueError, match="has no text tower"):
        towers.embed_texts(["a circle"])


def test_a_published_clip_is_evaluated_on_named_pairs(published):
    words = ("evaluate", published, "--data", "scenes", "--set", "n=20", "--bootstrap", 2)
    found = answer(*words)
    assert found["n"] == found["zero_shot"]["colour"]["n"] == 20
    assert (found["step"], found["data"]["size"]) == (None, 16)
    assert "zero_shot colour top 1" in invoke(*words).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN", "--labels", "labels.npy"], "`--labels` belongs to files of embeddings"),
        (["pairs.npy", "--step", "3"], "`--step` belongs to trained towers"),
        (["pairs.npy", "--keep", "shape"], "`--keep` belongs to trained towers"),
        (["pairs.npy", "--set", "n=3"], "`--set` belongs to trained towers"),
        (["RUN", "other", "--data", "digits"], "`FILES` must be one run or model, got 2"),
        (["RUN", "--change", "color"], "the nearest is 'colour'"),
    ],
    ids=" ".join,
)
def test_evaluation_refuses_what_does_not_fit(run, words, said):
    assert said in error("evaluate", "--bootstrap", 2, *(run if word == "RUN" else word for word in words))
