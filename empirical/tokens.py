"""Captions as token ids, as the text tower of CLIP reads them: start, tokens, end, padding.

The text tower is read at the last id of the mask, the end token, under a causal mask, so what follows does not matter.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from conetheory._arrays import as_count

from .known_names import known

__all__ = ["ByteTokens", "HubTokens", "TokenBatch", "Tokens", "WordTokens", "tokens_from_description"]

PAD, START, UNKNOWN, END = range(4)
_FIRST = 4  # id of the first word or byte


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenBatch:
    """Captions as ids.

    Attributes
    ----------
    ids : ndarray of int64, shape (n, length)
        Every row has an end token.
    mask : ndarray of int64, shape (n, length)
        1 up to the end token, then 0.
    """

    ids: Int64[np.ndarray, "n length"]
    mask: Int64[np.ndarray, "n length"]


@runtime_checkable
class Tokens(Protocol):
    """What turns captions into ids."""

    @property
    def length(self) -> int:
        """Ids of a caption, start, end and padding included."""
        ...

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    @property
    def special(self) -> dict[str, int]:
        """``pad_token_id``, ``bos_token_id`` and ``eos_token_id``, as transformers names them."""
        ...

    def encode(self, captions: Sequence[str]) -> TokenBatch:
        """Return the ids; what is too long is cut, and keeps its end token."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what `tokens_from_description` needs, fit for JSON."""
        ...


def _framed(rows: Iterable[Sequence[int]], length: int) -> TokenBatch:
    """Put start and end about the ids of each caption, and pad."""
    framed = [[START, *row[: length - 2], END] for row in rows]
    ids = np.full((len(framed), length), PAD, dtype=np.int64)
    for place, row in zip(ids, framed, strict=True):
        place[: len(row)] = row
    lengths = np.array([len(row) for row in framed], dtype=np.int64).reshape(-1, 1)
    return TokenBatch(ids=ids, mask=(np.arange(length) < lengths).astype(np.int64))


class WordTokens:
    """Lower-case words, separated by blanks; others than those of the vocabulary are one token, unknown.

    Parameters
    ----------
    words : sequence of str
        The vocabulary.
    length : int
        Ids of a caption, at least 3.

    Examples
    --------
    >>> tokens = WordTokens.of(["a red circle", "a blue circle"], 6)
    >>> print(tokens.encode(["A red cat"]).ids)
    [[1 4 7 2 3 0]]
    """

    special = {"pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END}  # noqa: RUF012 (never changed)

    def __init__(self, words: Sequence[str], length: int) -> None:
        self.words, self.length = tuple(words), as_count("length", length, minimum=3)
        self.size = _FIRST + len(self.words)
        self._ids = {word: _FIRST + place for place, word in enumerate(self.words)}

    @classmethod
    def of(cls, captions: Iterable[str], length: int, *, most: int = 49_404) -> "WordTokens":
        """Return the tokens whose vocabulary is the `most` frequent words of `captions`, ties in alphabetical order."""
        counts = Counter(word for caption in captions for word in caption.lower().split())
        return cls(sorted(counts, key=lambda word: (-counts[word], word))[:most], length)

    def encode(self, captions: Sequence[str]) -> TokenBatch:
        """Return the ids, shape (n, length)."""
        return _framed(
            ([self._ids.get(word, UNKNOWN) for word in caption.lower().split()] for caption in captions), self.length
        )

    def describe(self) -> dict[str, Any]:
        """Return the vocabulary."""
        return {"kind": "words", "length": self.length, "words": list(self.words)}


class ByteTokens:
    """The bytes of a caption in UTF-8: no vocabulary, nothing unknown.

    Parameters
    ----------
    length : int
        Ids of a caption, at least 3.

    Examples
    --------
    >>> print(ByteTokens(5).encode(["A"]).ids)
    [[ 1 69  3  0  0]]
    """

    special = WordTokens.special
    size = _FIRST + 256

    def __init__(self, length: int) -> None:
        self.length = as_count("length", length, minimum=3)

    def encode(self, captions: Sequence[str]) -> TokenBatch:
        """Return the ids, shape (n, length)."""
        return _framed(([_FIRST + byte for byte in caption.encode()] for caption in captions), self.length)

    def describe(self) -> dict[str, Any]:
        """Return the length."""
        return {"kind": "bytes", "length": self.length}


class HubTokens:
    """The tokens of a published checkpoint, by transformers: a name on the hub, or a folder with its files.

    Parameters
    ----------
    name : str
        For `transformers.AutoTokenizer`; code that comes with a checkpoint is not run.
    length : int
        Ids of a caption, at least 3.

    Raises
    ------
    ValueError
        If the tokenizer has no start, end or padding token.
    OSError
        If it cannot be found.
    """

    def __init__(self, name: str, length: int) -> None:
        from transformers import AutoTokenizer

        self.name, self.length = name, as_count("length", length, minimum=3)
        self._tokenizer = AutoTokenizer.from_pretrained(name)
        self.size = len(self._tokenizer)
        self.special = {
            kind: getattr(self._tokenizer, kind) for kind in ("pad_token_id", "bos_token_id", "eos_token_id")
        }
        missing = [kind for kind, found in self.special.items() if found is None]
        if missing:
            raise ValueError(f"`name` must be a tokenizer with a {missing[0]}, and {name!r} has none.")

    def encode(self, captions: Sequence[str]) -> TokenBatch:
        """Return the ids, shape (n, length)."""
        options = {"padding": "max_length", "truncation": True, "max_length": self.length, "padding_side": "right"}
        found = self._tokenizer(list(captions), **options)
        ids, mask = (np.array(found[key], dtype=np.int64) for key in ("input_ids", "attention_mask"))
        return TokenBatch(ids=ids, mask=mask)

    def describe(self) -> dict[str, Any]:
        """Return the name and the length."""
        return {"kind": "hub", "name": self.name, "length": self.length}


def tokens_from_description(description: dict[str, Any]) -> Tokens:
    """Return the tokens that ``describe()`` described.

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> tokens_from_description(ByteTokens(9).describe()).length
    9
    """
    options = dict(description)
    kinds: dict[str, Any] = {"words": WordTokens, "bytes": ByteTokens, "hub": HubTokens}
    return kinds[known("`kind`", options.pop("kind", None), kinds)](**options)
