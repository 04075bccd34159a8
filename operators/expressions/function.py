"""What a scalar function is: its signature, meaning, example, an equal in DuckDB, and how to build it.

Argument kinds are checked before `build` is called. One letter-free word per argument stands in `takes`: `number`,
`text`, `time`, `duration`, `place`, `condition`, `any`, `constant` (a number) and `literal` (a text constant).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.expressions.term import Term, fail
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.expressions.scope import Scope

    Build = Callable[[Sequence[Term], Scope], Term]

_KINDS = {
    "number": frozenset({Kind.INT64, Kind.FLOAT64, Kind.DECIMAL}),
    "text": frozenset({Kind.STRING}),
    "time": frozenset({Kind.TIMESTAMP}),
    "place": frozenset({Kind.POINT}),
    "condition": frozenset({Kind.BOOLEAN}),
    "any": frozenset(Kind) - {Kind.LIST},
}


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function. `least` arguments are required; the last of `takes` repeats if `repeats`."""

    name: str
    signature: str
    meaning: str
    example: str
    takes: tuple[str, ...]
    build: Build
    least: int = -1
    repeats: bool = False

    def call(self, arguments: Sequence[Term], scope: Scope, at: int) -> Term:
        """Check the arguments and build the term."""
        least = len(self.takes) if self.least < 0 else self.least
        most = 10_000 if self.repeats else len(self.takes)
        if not least <= len(arguments) <= most:
            fail("arguments", f"{self.name} with {len(arguments)} arguments", self.signature, at=at)
        for index, argument in enumerate(arguments):
            self._check(argument, self.takes[min(index, len(self.takes) - 1)])
        return self.build(arguments, scope).at(at)

    def _check(self, argument: Term, wanted: str) -> None:
        if wanted == "constant":
            if argument.number is None or argument.number.denominator != 1:
                fail("constant", f"{self.name} needs a whole number written out", self.signature, at=argument.offset)
        elif wanted == "literal":
            if argument.literal is None:
                fail("constant", f"{self.name} needs a text written out", self.signature, at=argument.offset)
        elif wanted == "extent":
            if not argument.type.numeric and argument.type.kind is not Kind.DURATION:
                fail("types", f"{self.name} of {argument.type}", "a number or a duration", at=argument.offset)
        elif argument.type.kind not in _KINDS[wanted] and not argument.null:
            fail("types", f"{self.name} of {argument.type}", f"a {wanted}: {self.signature}", at=argument.offset)
