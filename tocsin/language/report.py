"""What was found wrong so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.errors import Problem, TopologyError

if TYPE_CHECKING:
    from tocsin.errors import Mark


class Refused(Exception):  # never leaves this package: it only ends the reading of one value
    """A value was wrong; its problem is in the report already."""


class Wrong(ValueError):
    """What a parser of texts says of a wrong one; the place is added by its caller."""

    def __init__(self, what: str, expected: str = "", nearest: str = "") -> None:
        """Keep the parts of the problem; without `expected`, the shape's own words stand there."""
        super().__init__(what)
        self.what, self.expected, self.nearest = what, expected, nearest


@dataclass(slots=True)
class Report:
    """All problems of one topology: reading goes on after each, so that one run shows them all."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, mark: Mark, code: str, what: str, expected: str = "", nearest: str = "") -> None:
        """Note a problem and go on."""
        self.problems.append(Problem(mark, code, what, expected, nearest))

    def refuse(self, mark: Mark, code: str, what: str, expected: str = "", nearest: str = "") -> Refused:
        """Note a problem, and give what to raise to leave the value unread."""
        self.add(mark, code, what, expected, nearest)
        return Refused()

    def forget_line(self, mark: Mark) -> None:
        """Drop the problems of a line where something worse explains them."""
        self.problems = [each for each in self.problems if (each.mark.file, each.mark.line) != (mark.file, mark.line)]

    def finish(self) -> None:
        """Raise `TopologyError` with all problems, if there are any."""
        if self.problems:
            raise TopologyError(tuple(dict.fromkeys(self.problems)))
