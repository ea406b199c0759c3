import numpy as np
import pytest

from empirical.tokens import ByteTokens, WordTokens, tokens_from_description

CAPTIONS = ("a red circle", "Two blue SQUARES", "", "a a a a a a a a")


@pytest.mark.parametrize("tokens", [WordTokens.of(CAPTIONS, 6), ByteTokens(9)], ids=["words", "bytes"])
def test_every_caption_has_one_end_and_then_padding(tokens):
    batch = tokens.encode(CAPTIONS)
    start, end, pad = (tokens.special[f"{name}_token_id"] for name in ("bos", "eos", "pad"))
    assert batch.ids.shape == batch.mask.shape == (len(CAPTIONS), tokens.length)
    for ids, mask in zip(batch.ids, batch.mask, strict=True):
        place = int(np.argmax(ids == end))
        assert ids[0] == start
        assert (ids == end).sum() == 1
        assert (ids[place + 1 :] == pad).all()
        assert mask.tolist() == [1] * (place + 1) + [0] * (tokens.length - place - 1)
    assert batch.ids.max() < tokens.size
    assert end != 2  # which transformers reads otherwise


@pytest.mark.parametrize("tokens", [WordTokens.of(CAPTIONS, 6), ByteTokens(9)], ids=["words", "bytes"])
def test_a_description_gives_the_same_tokens(tokens):
    again = tokens_from_description(tokens.describe())
    assert np.array_equal(again.encode(CAPTIONS).ids, tokens.encode(CAPTIONS).ids)


def test_the_vocabulary_has_the_frequent_words_and_one_id_for_the_others():
    tokens = WordTokens.of(["b b b c c a d"], 8, most=3)
    assert tokens.words == ("b", "c", "a")
    assert tokens.encode(["B d e"]).ids[0, :5].tolist() == [1, 4, 2, 2, 3]


def test_bytes_keep_what_words_lose():
    first, second = ByteTokens(40).encode(["τ = 0.07", "τ = 0.08"]).ids
    assert not np.array_equal(first, second)


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(ValueError, match="nearest is 'words'"):
        tokens_from_description({"kind": "word", "length": 4})


@pytest.mark.parametrize("length", [2, 0])
def test_a_caption_needs_three_ids(length):
    with pytest.raises(ValueError, match="length"):
        ByteTokens(length)
