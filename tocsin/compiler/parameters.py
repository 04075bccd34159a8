"""Parameters and bounds: `10 payments`, `80%`, `50 km` become typed constants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.expressions.scope import Constant
from tocsin.errors import UnitError
from tocsin.model.types import BOOLEAN, STRING
from tocsin.model.units import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.language.model import ParameterWord, Text


def constants(words: Mapping[Text, ParameterWord]) -> dict[str, Constant]:
    """Give the constants of a `parameters` map."""
    return {str(name): constant(str(word.value)) for name, word in words.items()}


def constant(text: str) -> Constant:
    """Give what a value means: a quantity with its unit, true or false, or a text."""
    if (quantity := quantity_of(text)) is not None:
        return quantity
    if text in {"true", "false"}:
        return Constant(text == "true", BOOLEAN, text)
    return Constant(text, STRING, text)


def quantity_of(text: str) -> Constant | None:
    """Give a whole value that is a number with or without a unit; None if it is something else."""
    try:
        quantity = parse_quantity(text)
    except UnitError:
        return None
    return Constant(quantity.value, quantity.type, text)
