"""Dataclasses whose fields state what values they may have: ranges, choices and types."""

import math
import types
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from .known_names import known

__all__ = ["Checked", "one_of", "real", "typed", "whole"]


def whole(default: int, least: int = 0) -> Any:
    """Return a field for an integer that is at least `least`."""
    return field(default=default, metadata={"least": least})


def real(default: float, least: float = 0.0, most: float = math.inf, *, positive: bool = False) -> Any:
    """Return a field for a number in [least, most], or in (least, most] if `positive`."""
    return field(default=default, metadata={"least": least, "most": most, "positive": positive})


def one_of(*names: str) -> Any:
    """Return a field for one of some words, the first by default."""
    return field(default=names[0], metadata={"choices": names})


class Checked:
    """A dataclass whose values have the range that its fields state; types are for `config_from` and type checkers."""

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            if "choices" in each.metadata:
                known(f"`{each.name}`", value, each.metadata["choices"])
            for number in value if isinstance(value, tuple) else [value]:
                _refuse_outside(each.name, number, each.metadata)


def typed(name: str, value: Any, hint: Any) -> Any:
    """Return `value` as `hint` says; an int will do for a float, a list for a tuple."""
    if hint == dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError(f"`{name}` must be a table, got {value!r}.")
        return dict(value)
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, (list, tuple)) or len(value) != len(hint.__args__):
            raise ValueError(f"`{name}` must be {len(hint.__args__)} numbers, got {value!r}.")
        return tuple(typed(name, item, kind) for item, kind in zip(value, hint.__args__, strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"`{name}` must be of type {hint.__name__}, got {value!r}.")
    return value


def _refuse_outside(name: str, value: Any, bounds: Mapping[str, Any]) -> None:
    if "least" not in bounds:
        return
    least, most = bounds["least"], bounds.get("most", math.inf)
    inside = least < value <= most if bounds.get("positive") else least <= value <= most
    if not inside or value == math.inf:
        relation = "above" if bounds.get("positive") else "at least"
        end = "" if most == math.inf else f" and at most {most}"
        raise ValueError(f"`{name}` must be {relation} {least}{end}, got {value}.")
