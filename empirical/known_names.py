"""An unknown name, answered with the nearest known one."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

__all__ = ["known"]


def known(what: str, value: Any, allowed: Collection[str]) -> str:
    """Return `value` if it is one of `allowed`; else a ValueError that says the nearest one and all of them."""
    if isinstance(value, str) and value in allowed:
        return value
    nearest = get_close_matches(str(value), allowed, 1, cutoff=0.0)
    hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
    raise ValueError(f"{what} must be one of {', '.join(allowed) or 'none at all'}, got {value!r}{hint}.")
