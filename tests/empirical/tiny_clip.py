"""A published CLIP of a thousand parameters, for tests: weights, tokenizer and preprocessing in a folder."""

import json

import torch


def publish(folder, *, dropout=0.0):
    """Write the checkpoint: images of 16 pixels, normalised by 1/2; captions of 6 ids; `dropout` of attention."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {word: at for at, word in enumerate(("<pad>", "<start>", "<unk>", "<end>", "the", "digit", "a", "photo"))}
    plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(word, words[word]) for word in ("<start>", "<end>")]
    plain.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    special = {"pad_token": "<pad>", "bos_token": "<start>", "eos_token": "<end>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=plain, **special).save_pretrained(folder)
    sides = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    sides["attention_dropout"] = dropout
    text = {"vocab_size": 8, "max_position_embeddings": 6, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.CLIPConfig(
            text_config=sides | text, vision_config=sides | {"image_size": 16, "patch_size": 8}, projection_dim=8
        )
        transformers.CLIPModel(config).save_pretrained(folder)
    says = {"image_processor_type": "CLIPImageProcessor", "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(says))
    return folder
