"""The probe on towers of transformers: which layers, which towers, which parts the C-map knows; checkpoints."""

import json

import numpy as np
import pytest

from empirical.probe import load_checkpoint, probe

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

IMAGES = np.random.default_rng(0).standard_normal((12, 3, 16, 16)).astype(np.float32)
WORDS = np.random.default_rng(0).integers(3, 30, size=(12, 7))


def tiny_clip(hidden=32, seed=0):
    torch.manual_seed(seed)
    shared = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": 40, "max_position_embeddings": 8, "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}
    config = transformers.CLIPConfig(
        text_config=shared | text, vision_config=shared | {"image_size": 16, "patch_size": 8}, projection_dim=16
    )
    return transformers.CLIPModel(config)


@pytest.fixture(scope="module")
def clip():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_clip()
    torch.set_num_threads(threads)


@pytest.fixture
def checkpoint(clip, tmp_path):
    clip.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_layers_of_both_towers_are_found(clip):
    found = probe(clip, {"pixel_values": IMAGES, "input_ids": WORDS}, batch_size=5)
    ran = {b.name for b in found.blocks}
    assert {f"{tower}_model.encoder.layers.{i}" for tower in ("text", "vision") for i in (0, 1)} == ran
    assert {b.kind for b in found.blocks} == {"CLIPEncoderLayer"}
    assert all(b.predicted_cosine is None and "CLIPEncoderLayer" in b.reason for b in found.blocks)
    assert all(0 < b.cosine.value < 1 and b.cosine.stderr > 0 for b in found.blocks)


def test_one_tower_alone(clip):
    found = probe(clip.vision_model, {"pixel_values": IMAGES}, tokens="each")
    assert [b.name for b in found.blocks] == ["encoder.layers.0", "encoder.layers.1"]
    assert all(-1 < b.within.value < 1 for b in found.blocks)


def test_parts_of_a_layer_follow_the_c_map():
    """LayerNorm to rounding; the MLP behind it, QuickGELU and all, over six towers."""
    wanted = ["*layers.1.layer_norm2", "*layers.1.mlp"]
    off: dict[str, list[float]] = {}
    for seed in range(6):
        tower = tiny_clip(64, seed).vision_model.double()
        tower.train()
        for module in tower.modules():  # transformers' own law has weights so small that QuickGELU is all but linear
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=module.in_features**-0.5)
        found = probe(tower, {"pixel_values": IMAGES.astype(np.float64)}, blocks=wanted, tokens="first")
        assert tower.training
        for b in found.blocks:
            off.setdefault(b.name, []).append(b.cosine.value - b.predicted_cosine.value)
            assert b.start == b.name.replace("mlp", "layer_norm2")
    for name, values in off.items():
        if name.endswith("layer_norm2"):
            assert np.abs(values).max() < 1e-12
        else:
            assert abs(np.mean(values)) <= 4.5 * np.std(values, ddof=1) / np.sqrt(6)
    assert len(off) == 2


def test_checkpoint_is_probed_as_the_model_itself(clip, checkpoint):
    a, b = (probe(m.vision_model, {"pixel_values": IMAGES}).as_dict() for m in (clip, load_checkpoint(checkpoint)))
    assert a == b


def test_a_pickled_checkpoint_is_refused(clip, checkpoint):
    (checkpoint / "model.safetensors").unlink()
    torch.save(clip.state_dict(), checkpoint / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_checkpoint(checkpoint)


def test_command_on_a_checkpoint_with_images_and_with_words(checkpoint, tmp_path, conetheory):
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    for i, (width, height) in enumerate([(20, 16), (16, 30), (16, 16), (40, 40)]):
        colours = np.random.default_rng(i).integers(256, size=(height, width, 3))
        Image.fromarray(colours.astype(np.uint8)).save(folder / f"{i}.png")
    np.save(tmp_path / "words.npy", WORDS)
    np.savez(tmp_path / "both.npz", pixel_values=IMAGES, input_ids=WORDS)
    for inputs, n, blocks in ((folder, 4, 2), (tmp_path / "words.npy", 12, 2), (tmp_path / "both.npz", 12, 4)):
        done = conetheory("probe", checkpoint, "--inputs", inputs, "--size", 16, "--batch-size", 3, "--json")
        found = json.loads(done.out)
        assert (done.code, found["n"], len(found["blocks"])) == (0, n, blocks)


def test_a_damaged_image_is_named(checkpoint, tmp_path, conetheory):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.png").write_bytes(b"not a picture")
    done = conetheory("probe", checkpoint, "--inputs", tmp_path / "images", "--size", 16)
    assert done.code == 2
    assert "broken.png" in done.err
