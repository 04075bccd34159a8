"""Collects what is wrong with a topology, so that all of it is said at once."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

from operators.expressions import bind, bind_aggregate
from tocsin.errors import ExpressionError, Mark, Problem, TopologyError
from tocsin.language.model import NOWHERE, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from operators.expressions.bound import Aggregated, Bound
    from operators.expressions.scope import Scope
    from tocsin.model.types import Type


_T = TypeVar("_T")


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

    def unknown(self, text: Text, kind: str, known: Iterable[str]) -> None:
        """Note a name that is not declared, with the nearest one that is."""
        names = sorted(known)
        expected = f"one of {', '.join(names)}" if names else f"a declared {kind}"
        nearest = next(iter(get_close_matches(text, names, 1)), "")
        self.add(text, f"unknown-{kind}", f"no {kind} is called {str(text)!r}", expected=expected, nearest=nearest)

    def bind(self, text: Text, scope: Scope, *, expect: Type | None = None) -> Bound | None:
        """Type a scalar expression; None if it is wrong, which is noted."""
        return self._try(text, lambda: bind(text, scope, expect=expect))

    def bind_aggregate(self, text: Text, scope: Scope) -> Aggregated | None:
        """Type an aggregate expression; None if it is wrong, which is noted."""
        return self._try(text, lambda: bind_aggregate(text, scope))

    def _try(self, text: Text, run: Callable[[], _T]) -> _T | None:
        try:
            return run()
        except ExpressionError as error:
            mark = getattr(text, "mark", NOWHERE)
            mark = replace(mark, column=mark.column + error.offset)
            self.add(mark, error.code, error.what, expected=error.expected, nearest=error.nearest)
            return None

    def stop_if_wrong(self) -> None:
        """Raise TopologyError if anything was noted."""
        if self.problems:
            raise TopologyError(self.problems)
