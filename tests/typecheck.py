"""The type checker of the test run: beartype, with ints accepted for floats and anything array-like for ArrayLike."""

from beartype import BeartypeConf, FrozenDict, beartype
from numpy.typing import ArrayLike

__all__ = ["checked"]

checked = beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({ArrayLike: object})))
