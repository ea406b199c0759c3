"""Options that several commands share, and how their text becomes a number."""

from collections.abc import Callable
from fractions import Fraction
from typing import Annotated

import typer

__all__ = [
    "Json",
    "Seed",
    "Temperatures",
    "count_from",
    "real_number",
    "temperatures",
]


def count_from(minimum: int) -> Callable[[str | int], int]:
    """Return the parser of a whole number of at least `minimum`."""

    def count(text: str | int) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a whole number.") from None
        if number < minimum:
            raise typer.BadParameter(f"{number} is below {minimum}.")
        return number

    return count


def real_number(text: str | float) -> float:
    """Return `text`, a decimal or a fraction such as 1/100, as a float."""
    try:
        return float(Fraction(text)) if isinstance(text, str) and "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        raise typer.BadParameter(f"{text!r} is not a number.") from None


def temperatures(values: list[float]) -> list[float]:
    """Return `values`, all positive and finite."""
    for value in values:
        if not 0 < value < float("inf"):
            raise ValueError(f"`temperature` must be positive and finite, got {value}.")
    return values


Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, one object a line.")]
Seed = Annotated[int, typer.Option(parser=count_from(0), help="Root of all random streams.")]
Temperatures = Annotated[
    list[float],
    typer.Option("--temperature", parser=real_number, help="Temperature τ, such as 0.01 or 1/100; may be repeated."),
]
