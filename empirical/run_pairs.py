"""The pairs of a run and their tokens, from its configuration alone: for training, and for looking at a run later."""

import numpy as np
from jaxtyping import Int64

from .config import TrainConfig
from .data.mismatch import corrupted, with_mismatch
from .data.pairs import PairSource, held_out_split
from .data.sources import open_source
from .model import make_tokens
from .tokens import Tokens

__all__ = ["open_pairs", "tokens_of"]

_VOCABULARY_CAPTIONS = 100_000


def open_pairs(config: TrainConfig) -> tuple[PairSource, Int64[np.ndarray, " train"], Int64[np.ndarray, " held_out"]]:
    """Return the source of a run, with its mismatches, the rows to train on and those held out."""
    data = config.data
    source = open_source(data.kind, **data.options)
    train_rows, held_out = held_out_split(source, data.held_out, config.seed)
    if data.mismatch:
        source = with_mismatch(source, data.mismatch, seed=config.seed, rows=train_rows)
    if data.corruption != "none":
        source = corrupted(source, data.corruption, data.corrupted, seed=config.seed)
    return source, train_rows, held_out


def tokens_of(config: TrainConfig, source: PairSource, rows: Int64[np.ndarray, " train"]) -> Tokens:
    """Return the tokens of a run; the vocabulary of words is that of at least 100,000 captions, evenly spaced."""
    few = rows[:: max(1, len(rows) // _VOCABULARY_CAPTIONS)]
    return make_tokens(config.model, source.captions(few) if config.model.tokens == "words" else ())
