"""Every error that Tocsin raises on purpose.

TocsinError
├── TopologyError      the topology is wrong; carries one Problem or more
├── UnitError          a text is no quantity, or two units do not fit together
├── ExpressionError    an expression cannot be used: where in it, what was expected
├── SourceError        an input cannot be opened or read at all
├── BrakeError         nearly everything a source gives is bad: stopped before it drains into dead letters
├── StateError         the state folder cannot be used: other topology, other process, damaged
├── TopicError         topics of Kafka cannot be seen, made or changed
├── ServingError       metrics and health cannot be served over HTTP
└── SinkError          a sink refuses for good
    └── SinkUnavailable    a sink cannot be reached now; worth another try
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a text file: line and column count from 1.

    `source`: how the text that begins here is written, where that is not letter by letter (`tocsin.language.places`).
    """

    file: str
    line: int
    column: int
    source: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        """Give `file:line:column`, as editors and terminals link it."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a topology: where, what, what was expected, what was probably meant."""

    mark: Mark
    code: str
    what: str
    expected: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        """Render the problem on one line."""
        return f"{self.mark}: {_sentence(self.what, self.expected, self.nearest)} [{self.code}]"


def _sentence(what: str, expected: str, nearest: str) -> str:
    wanted = f"; expected {expected}" if expected else ""
    return f"{what}{wanted}{_meant(nearest)}"


def nearest(name: str, known: Iterable[str], least: float = 0.6) -> str:
    """Give the known name that is spelled most like `name`, small or capital letters alike; "" if none is near.

    `least`: how alike they have to be, from 0 to 1 (`difflib.SequenceMatcher.ratio`).
    """
    lower = {one.lower(): one for one in known}
    return next((lower[found] for found in get_close_matches(name.lower(), lower, n=1, cutoff=least)), "")


def did_you_mean(name: str, known: Iterable[str], least: float = 0.6) -> str:
    """Give the end of a sentence about an unknown name: the nearest that is known, "" if none is near."""
    return _meant(nearest(name, known, least))


def _meant(name: str) -> str:
    return f"; did you mean {name!r}?" if name else ""


class TocsinError(Exception):
    """The root of all errors that Tocsin raises on purpose."""


class TopologyError(TocsinError):
    """A topology is wrong; `problems` holds everything found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems, sorted by place."""
        self.problems = tuple(sorted(problems, key=lambda problem: problem.mark))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnitError(TocsinError):
    """A text is no quantity, or two units do not fit together; `nearest` is a known unit or ""."""

    def __init__(self, what: str, expected: str = "", nearest: str = "") -> None:
        """Keep the parts of the message, for the Problem that the compiler makes of it."""
        self.what, self.expected, self.nearest = what, expected, nearest
        super().__init__(_sentence(what, expected, nearest))


class ExpressionError(TocsinError):
    """An expression cannot be used.

    `offset` counts characters from the start of the expression's text; `code` is short and stable ("unknown-column").
    """

    def __init__(self, what: str, expected: str = "", nearest: str = "", offset: int = 0, *, code: str) -> None:
        """Keep the parts of the message, for the Problem that the compiler makes of it."""
        self.what, self.expected, self.nearest = what, expected, nearest
        self.offset, self.code = offset, code
        super().__init__(_sentence(what, expected, nearest))


class SourceError(TocsinError):
    """An input cannot be opened or read at all."""


class BrakeError(SourceError):
    """Nearly everything a source gives is bad; it was stopped before it drained into the dead letters."""


class StateError(TocsinError):
    """A state folder cannot be used: it belongs to another topology or process, or is damaged."""


class TopicError(TocsinError):
    """Topics of Kafka cannot be seen, made or changed: no broker answers, we may not, or the names collide."""


class ServingError(TocsinError):
    """Metrics and health cannot be served: the address is none, is taken, or what serves them is not installed."""


class SinkError(TocsinError):
    """A sink refuses for good."""


class SinkUnavailable(SinkError):
    """A sink cannot be reached now; the batch is worth another try."""
