"""A source of pairs by the name of its kind."""

import inspect
from importlib import import_module
from typing import Any

from ..known_names import known
from .pairs import PairSource

__all__ = ["KINDS", "open_source", "options_of"]

_CLASSES = {
    "scenes": ("scenes", "Scenes"),
    "digits": ("digits", "Digits"),
    "mnist": ("mnist", "Mnist"),
    "coco": ("coco", "CocoCaptions"),
    "folder": ("folder", "ImageFolder"),
    "webdataset": ("webdataset", "WebDataset"),
    "huggingface": ("huggingface", "HuggingFaceDataset"),
}
KINDS = tuple(_CLASSES)
"""The kinds of sources."""


def options_of(kind: str) -> dict[str, inspect.Parameter]:
    """Return the options of a kind of source, by name; those without a default must be given."""
    return dict(inspect.signature(_class(kind)).parameters)


def open_source(kind: str, **options: Any) -> PairSource:
    """Return a source of `kind` with these options, which are the arguments of its class.

    Raises
    ------
    ValueError
        If the kind or an option is unknown (the nearest is named), or an option is missing; and whatever the class
        raises about a value.

    Examples
    --------
    >>> open_source("digits", size=16).batch([0]).images.shape
    (1, 3, 16, 16)
    """
    allowed = options_of(kind)
    for name in options:
        known(f"an option of {kind}", name, allowed)
    needed = [name for name, option in allowed.items() if option.default is option.empty and name not in options]
    if needed:
        raise ValueError(f"{kind} needs the option {needed[0]!r}.")
    return _class(kind)(**options)


def _class(kind: str) -> Any:
    module, name = _CLASSES[known("`kind`", kind, KINDS)]
    return getattr(import_module(f".{module}", __package__), name)
