"""The towers: what they are built from, where captions are read, and what does not fit."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the towers are torch's: pip install 'conetheory[empirical]'")
pytest.importorskip("transformers", reason="the towers are those of transformers: pip install 'conetheory[empirical]'")

from empirical.model import Inputs, build_model  # noqa: E402
from empirical.tokens import ByteTokens, HubTokens  # noqa: E402
from tests.empirical.small_runs import one_thread, small  # noqa: E402, F401


def inputs(tokens, captions, seed=0):
    found = tokens.encode(captions)
    images = np.random.default_rng(seed).integers(0, 256, (len(captions), 3, 8, 8), dtype=np.uint8)
    return Inputs(images=torch.from_numpy(images), ids=torch.from_numpy(found.ids), mask=torch.from_numpy(found.mask))


@torch.no_grad()
def test_padding_changes_no_caption():
    config = small().model
    captions = ["the digit one", "a"]
    short, long = ByteTokens(20), ByteTokens(40)
    model = build_model(config, image_size=8, tokens=long, seed=0).eval()
    one, two = (model.encode_y(inputs(tokens, captions)) for tokens in (short, long))
    assert (one - two).abs().max() < 1e-6
    alone = model.encode_y(inputs(short, captions[1:]))
    assert (alone - one[1:]).abs().max() < 1e-6
    other = model.encode_y(inputs(short, ["the digit two"]))
    assert (other - one[:1]).abs().max() > 1e-3
    assert (one[0] - one[1]).abs().max() > 1e-3


@torch.no_grad()
def test_the_towers_are_those_of_a_published_checkpoint(tmp_path):
    from transformers import CLIPConfig, CLIPModel

    tokens = ByteTokens(12)
    text = {"vocab_size": tokens.size, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 12}
    vision = {"hidden_size": 32, "intermediate_size": 64, "image_size": 8, "patch_size": 4}
    both = {"num_hidden_layers": 2, "num_attention_heads": 2}
    whole = CLIPModel(
        CLIPConfig(text_config=text | both | tokens.special, vision_config=vision | both, projection_dim=16)
    ).eval()
    whole.save_pretrained(tmp_path / "published", safe_serialization=True)
    published = {"checkpoint": str(tmp_path / "published"), "tokens": "its own"}
    config = replace(small().model, kind="checkpoint", dim=0, **published)
    model = build_model(config, image_size=8, tokens=tokens).eval()
    batch = inputs(tokens, ["one", "two"])
    pixels = (batch.images - model.x_tower.mean) / model.x_tower.deviation
    direct = whole(input_ids=batch.ids, attention_mask=batch.mask, pixel_values=pixels)
    for rows, expected in zip(model(batch), (direct.image_embeds, direct.text_embeds), strict=True):
        assert torch.allclose(torch.nn.functional.normalize(rows, dim=1), expected, atol=1e-6)
    anew = build_model(replace(config, dim=5), image_size=8, tokens=tokens)
    assert [rows.shape for rows in anew(batch)] == [(2, 5), (2, 5)]
    with pytest.raises(ValueError, match="images of 8 pixels, got 16"):
        build_model(config, image_size=16, tokens=tokens)
    other = ByteTokens(12)
    other.special = tokens.special | {"eos_token_id": 9}
    with pytest.raises(ValueError, match="end in another id, 9"):
        build_model(config, image_size=8, tokens=other)
    with pytest.raises(ValueError, match="at most length 12"):
        build_model(config, image_size=8, tokens=ByteTokens(13))
    for file in (tmp_path / "published").glob("*.safetensors"):
        torch.save(whole.state_dict(), file.with_name("pytorch_model.bin"))
        file.unlink()
    with pytest.raises(OSError, match="safetensors"):
        build_model(config, image_size=8, tokens=tokens)


def test_the_same_seed_is_the_same_model_and_torch_draws_on_as_if_nothing_was():
    config, tokens = small().model, ByteTokens(8)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, same, other = (build_model(config, image_size=8, tokens=tokens, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(one.x_tower.projection.weight, same.x_tower.projection.weight)
    assert not torch.equal(one.x_tower.projection.weight, other.x_tower.projection.weight)
    assert one.x_tower.body.config._attn_implementation == "sdpa"


def tokenizer_with_end_2(folder):
    """A tokenizer as RoBERTa's: it pads on the left unless told, and ends in id 2, a small one."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "one": 4, "two": 5, "digit": 6}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=inner, padding_side="left", **special).save_pretrained(folder)


@torch.no_grad()
def test_a_published_tokenizer_is_read_at_its_end_whatever_the_id(tmp_path):
    tokenizer_with_end_2(tmp_path)
    tokens = HubTokens(str(tmp_path), 6)
    found = tokens.encode(["digit one", "two two two two two two"])
    assert found.ids.tolist() == [[0, 6, 4, 2, 1, 1], [0, 5, 5, 5, 5, 2]]
    assert found.mask.tolist() == [[1, 1, 1, 1, 0, 0], [1] * 6]
    tower = build_model(small().model, image_size=8, tokens=tokens).eval().y_tower
    batch = inputs(tokens, ["digit one", "digit two"])
    hidden = tower.body(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
    assert torch.allclose(tower(batch), tower.projection(hidden[:, 3]), atol=1e-6)
    assert not torch.allclose(tower(batch)[0], tower(batch)[1], atol=1e-3)


@pytest.mark.parametrize("kind", ["clip", "image_image", "shared"])
def test_gradient_checkpointing_computes_each_block_twice(kind):
    calls = {}
    for asked in (False, True):
        config = replace(small().model, kind=kind, gradient_checkpointing=asked)
        model = build_model(config, image_size=8, tokens=ByteTokens(8)).train()
        counts = []
        blocks = {layer for body in (model.x_tower.body, model.y_tower.body) for layer in body.encoder.layers}
        for block in blocks:
            block.layer_norm1.register_forward_hook(lambda *_, counts=counts: counts.append(1))
        sum(rows.sum() for rows in model(inputs(ByteTokens(8), ["a", "b"]))).backward()
        calls[asked] = len(counts)
    assert calls == {False: 4, True: 8}


def test_compiling_is_asked_of_both_towers(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    configs = (replace(small().model, compile=asked) for asked in (False, True))
    plain, model = (build_model(config, image_size=8, tokens=ByteTokens(8)) for config in configs)
    assert plain.x_tower not in compiled
    assert compiled == [model.x_tower, model.y_tower]
