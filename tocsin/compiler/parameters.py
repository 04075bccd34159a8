"""Parameters and bounds: `10 payments`, `80%`, `50 km` become typed constants; those that nothing reads are typos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from operators.expressions.scope import Constant
from tocsin.errors import UnitError
from tocsin.model.types import BOOLEAN, STRING
from tocsin.model.units import misspelt_unit, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.compiler.report import Report
    from tocsin.language.model import ParameterWord, Text


class Parameters(Mapping[str, Constant]):
    """The parameters that expressions of a feature or rule may name, those of the features it reads among them.

    It remembers which were asked for, there where they are declared.
    """

    def __init__(self, own: Mapping[str, Constant], above: tuple[Parameters, ...] = ()) -> None:
        self._own = dict(own)
        self._above = above
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Constant:
        """Give a constant, the nearest one of that name; it counts as used."""
        if name in self._own:
            self.used.add(name)
            return self._own[name]
        for parameters in self._above:
            if name in parameters:
                return parameters[name]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        """Look for a name without using it."""
        return name in self._own or any(name in parameters for parameters in self._above)

    def __iter__(self) -> Iterator[str]:
        """Give all names that authors know."""
        names = dict.fromkeys([*self._own, *(name for parameters in self._above for name in parameters)])
        return (name for name in names if not name.startswith("__"))

    def __len__(self) -> int:
        """Count the names."""
        return len(list(iter(self)))

    def define(self, name: str, constant: Constant) -> None:
        """Add one of the compiler's own."""
        self._own[name] = constant


def constants(words: Mapping[Text, ParameterWord], report: Report) -> dict[str, Constant]:
    """Give the constants of a `parameters` map."""
    return {str(name): _constant(name, word.value, report) for name, word in words.items()}


def _constant(name: Text, text: Text, report: Report) -> Constant:
    """Give what a value means: a quantity with its unit, true or false, or a text."""
    if (quantity := quantity_of(text)) is not None:
        if meant := misspelt_unit(quantity.type.unit):
            what = f"the unit of {name}, {quantity.type.unit!r}, is a noun that counts things"
            report.add(text, "unit", what, expected="a unit as it is written, or another noun", nearest=meant)
        return quantity
    if text in {"true", "false"}:
        return Constant(text == "true", BOOLEAN, str(text))
    return Constant(str(text), STRING, str(text))


def quantity_of(text: str) -> Constant | None:
    """Give a whole value that is a number with or without a unit; None if it is something else."""
    try:
        quantity = parse_quantity(text)
    except UnitError:
        return None
    return Constant(quantity.value, quantity.type, str(text))


def check_parameters(
    words: Mapping[Text, ParameterWord], parameters: Parameters, columns: Mapping[str, object], report: Report
) -> None:
    """Note parameters that nothing reads: one that is called like a column never is, another is a typo."""
    for name in words:
        if str(name) in columns:
            what = f"{name} is a parameter and a column, which comes first"
            report.add(name, "name-twice", what, expected="a name of its own")
        elif str(name) not in parameters.used:
            report.add(name, "unused", f"nothing reads the parameter {name}", expected="its name in an expression")
