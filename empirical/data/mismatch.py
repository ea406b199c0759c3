"""Captions that do not fit: those of other images for a set share of the rows, or their own with words spoilt.

Mismatched pairs are the setting of Yaras et al.; worse captions are how Schrodi et al. [1]_ and Cai et al. [2]_ set the
imbalance of information between the modalities.

References
----------
.. [1] S. Schrodi et al., "Two effects, one trigger", ICLR 2025, arXiv:2404.07983.
.. [2] Cai et al., "Geometric mechanics of contrastive representation learning", arXiv:2601.19597.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import ArrayLike

from ..known_names import known
from ._streams import uniforms
from .pairs import PairBatch, PairSource, as_rows, as_seed, unseen_rows

__all__ = ["CORRUPTIONS", "corrupted", "with_mismatch"]

_STREAM = 0x6361  # purpose of the streams that spoil captions


def with_mismatch(source: PairSource, fraction: float, *, seed: int = 0, rows: ArrayLike | None = None) -> PairSource:
    """Return the source with the captions of a share of its rows exchanged among these.

    The chosen rows form one cycle in which each has the caption of the next, so none keeps its own. (Two captions may
    still be the same text.)

    Parameters
    ----------
    source : PairSource
        Stays as it is; labels and tasks of the result are those of its images.
    fraction : float
        In [0, 1]: the nearest whole number of rows, and two instead of one.
    seed : int
        Fixes which rows, and the cycle.
    rows : array_like of int, optional
        The rows among which captions may be exchanged: those to train on, so that the held-out ones stay clean. By
        default all but the source's own unseen rows.

    Raises
    ------
    ValueError
        If `fraction` or `rows` is out of range.
    """
    fraction = _as_share("fraction", fraction)
    if rows is None:
        allowed = np.setdiff1d(np.arange(len(source)), unseen_rows(source))
    else:
        allowed = np.unique(as_rows(rows, source))
    count = round(fraction * len(allowed))
    count = min(len(allowed), 2) if count == 1 else count
    cycle = np.random.default_rng([as_seed("seed", seed), _STREAM]).permutation(allowed)[:count]
    partner = np.arange(len(source))
    partner[cycle] = np.roll(cycle, -1)
    note = {"fraction": fraction, "seed": seed, "rows": len(allowed), "among": _digest(allowed)}
    return _Mismatched(source, {"mismatch": note}, partner)


def corrupted(source: PairSource, corruption: str, fraction: float, *, seed: int = 0) -> PairSource:
    """Return the source with its captions spoilt, each in the same way whenever it is read.

    Parameters
    ----------
    source : PairSource
        Stays as it is.
    corruption : str
        ``drop``: each word is left out with probability `fraction`. ``replace``: each becomes, with that probability, a
        word at random from the caption of a row at random. ``truncate``: the first words alone are kept, a share
        1 - `fraction`, rounded up (half captions: 0.5). ``shuffle``: with that probability the words of the caption
        come in random order. At least one word stays.
    fraction : float
        In [0, 1].
    seed : int
        Fixes the words.

    Raises
    ------
    ValueError
        If `corruption` is unknown (the nearest is named) or `fraction` out of range.
    """
    spoil = CORRUPTIONS[known("`corruption`", corruption, CORRUPTIONS)]
    note = {"corruption": {"kind": corruption, "fraction": _as_share("fraction", fraction), "seed": seed}}
    return _Corrupted(source, note, spoil, float(fraction), as_seed("seed", seed))


def _as_share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be a number in [0, 1], got {value!r}.")
    return float(value)


def _digest(rows: Int64[np.ndarray, " n"]) -> str:
    """Return a short name of a set of rows, for the description of what was done to them."""
    import hashlib

    return hashlib.sha256(rows.tobytes()).hexdigest()[:16]


class _Recaptioned(ABC):
    """A source with other captions; whatever else it can do, it does as before."""

    def __init__(self, source: PairSource, note: dict[str, Any]) -> None:
        self.source, self._note = source, note

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "source":  # not there yet while it is unpickled
            raise AttributeError(name)
        return getattr(self.source, name)

    def __len__(self) -> int:
        return len(self.source)

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def skipped(self) -> int:
        """As the source says."""
        return self.source.skipped

    @abstractmethod
    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        """Return the captions of these rows, as changed."""

    def batch(self, indices: ArrayLike, *, among: ArrayLike | None = None) -> PairBatch:
        """Return the pairs of these rows, with their captions as changed."""
        batch = self.source.batch(indices, among=among)
        return PairBatch(images=batch.images, captions=self.captions(batch.indices), indices=batch.indices)

    def describe(self) -> dict[str, Any]:
        """Return the source's description and what was done to its captions, in order."""
        described = self.source.describe()
        return {**described, "captions_changed": [*described.get("captions_changed", []), self._note]}


class _Mismatched(_Recaptioned):
    def __init__(self, source: PairSource, note: dict[str, Any], partner: Int64[np.ndarray, " n"]) -> None:
        super().__init__(source, note)
        self.partner = partner
        """The row whose caption each row has, shape (n,)."""

    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        return self.source.captions(self.partner[as_rows(indices, self)])


_Words = list[str]
_Spoil = Callable[[_Words, _Words, np.ndarray, float], _Words]


class _Corrupted(_Recaptioned):
    def __init__(self, source: PairSource, note: dict[str, Any], spoil: _Spoil, fraction: float, seed: int) -> None:
        super().__init__(source, note)
        self._spoil, self._fraction, self._seed = spoil, fraction, seed

    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        """Return the spoilt captions; the stream of a row gives one number for the donor and two a word."""
        rows = as_rows(indices, self)
        captions = [text.split() for text in self.source.captions(rows)]
        draws = uniforms(self._seed, _STREAM, rows, 2 + 2 * max(map(len, captions), default=0))
        donors = self.source.captions((draws[:, 0] * len(self)).astype(np.int64))
        spoilt = zip(captions, donors, draws[:, 1:], strict=True)
        return tuple(" ".join(self._spoil(words, donor.split(), u, self._fraction)) for words, donor, u in spoilt)


def _drop(words: _Words, donor: _Words, u: np.ndarray, fraction: float) -> _Words:
    kept = [word for word, chance in zip(words, u[1::2], strict=False) if chance >= fraction]
    return kept or [words[int(u[0] * len(words))]]


def _replace(words: _Words, donor: _Words, u: np.ndarray, fraction: float) -> _Words:
    drawn = [donor[int(place * len(donor))] for place in u[2 : 2 + 2 * len(words) : 2]]
    return [new if chance < fraction else old for old, new, chance in zip(words, drawn, u[1::2], strict=False)]


def _truncate(words: _Words, donor: _Words, u: np.ndarray, fraction: float) -> _Words:
    return words[: max(1, math.ceil((1 - fraction) * len(words) - 1e-9))]


def _shuffle(words: _Words, donor: _Words, u: np.ndarray, fraction: float) -> _Words:
    return [words[place] for place in np.argsort(u[1 : 1 + len(words)])] if u[0] < fraction else words


CORRUPTIONS: dict[str, _Spoil] = {"drop": _drop, "replace": _replace, "truncate": _truncate, "shuffle": _shuffle}
"""What may be done to the words of a caption, by name."""
