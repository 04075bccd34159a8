"""Collects what is wrong with a topology, so that all of it is said at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from operators.expressions import bind, bind_aggregate
from tocsin.errors import ExpressionError, Mark, Problem, TopologyError, nearest
from tocsin.language.model import Text
from tocsin.language.places import place_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operators.expressions.bound import Aggregated, Bound
    from operators.expressions.scope import Scope
    from tocsin.model.types import Type


_T = TypeVar("_T")
Places = Callable[[int], Mark]
"""Gives the place in the file of a character of an expression, counted from 0."""


class Report:
    """The problems found so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, place: Text | Mark, code: str, what: str, *, expected: str = "", nearest: str = "") -> None:
        """Note a problem at a place of the file."""
        mark = place.mark if isinstance(place, Text) else place
        problem = Problem(mark, code, what, expected, nearest)
        if problem not in self.problems:
            self.problems.append(problem)

    def unknown(self, text: Text, kind: str, known: Iterable[str], *, place: Mark | None = None) -> None:
        """Note a name that is not declared, with the nearest one that is; `kind`: what it should name."""
        names = sorted(known)
        expected = f"one of {', '.join(names)}" if names else f"a declared {kind}"
        code = f"unknown-{kind.split(maxsplit=1)[0]}"
        self.add(
            place or text, code, f"no {kind} is called {str(text)!r}", expected=expected, nearest=nearest(text, names)
        )

    def bind(self, text: Text, scope: Scope, *, expect: Type | None = None, at: Places | None = None) -> Bound | None:
        """Type a scalar expression; None if it is wrong, which is noted. `at`: where its characters stand."""
        return self._try(at or partial(place_in, text), lambda: bind(text, scope, expect=expect))

    def bind_aggregate(self, text: Text, scope: Scope) -> Aggregated | None:
        """Type an aggregate expression; None if it is wrong, which is noted."""
        return self._try(partial(place_in, text), lambda: bind_aggregate(text, scope))

    def _try(self, at: Places, run: Callable[[], _T]) -> _T | None:
        try:
            return run()
        except ExpressionError as error:
            self.add(at(error.offset), error.code, error.what, expected=error.expected, nearest=error.nearest)
            return None

    def stop_if_wrong(self) -> None:
        """Raise TopologyError if anything was noted."""
        if self.problems:
            raise TopologyError(self.problems)
