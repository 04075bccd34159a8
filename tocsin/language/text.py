"""The scalars of a topology: texts that know where they stood."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.errors import Mark

NOWHERE = Mark("", 0, 0)


class Text(str):
    """A scalar of the file, with its place."""

    __slots__ = ("mark",)
    mark: Mark

    def __new__(cls, text: str, mark: Mark = NOWHERE) -> Text:  # noqa: PYI034  # `Self` breaks str's typing
        """Keep `text` and where it stood."""
        self = super().__new__(cls, text)
        self.mark = mark
        return self


class Expression(Text):
    """A text that must be an SQL expression."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time, `10m` or `1d 12h`; milliseconds."""

    ms: int
    text: Text
