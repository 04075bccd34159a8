"""Cases of wrong topologies, as they stand in files: a title, the text with its places marked, what must be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "t.yaml"
PLACE = "▶"


@dataclass(frozen=True)
class Wrong:
    """A topology with its places marked, and what must be said of them."""

    title: str
    marked: str
    messages: tuple[str, ...]

    @property
    def text(self) -> str:
        """The topology."""
        return self.marked.replace(PLACE, "")

    @property
    def expected(self) -> list[str]:
        """The messages, each with the place of its mark."""
        parts = self.marked.split(PLACE)
        before = ["".join(parts[: number + 1]) for number in range(len(parts) - 1)]
        places = [f"{NAME}:{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}" for text in before]
        return [f"{place}: {message}" for place, message in zip(places, self.messages, strict=True)]


def read_cases(path: Path) -> list[Wrong]:
    """Read the cases of a file."""
    cases = []
    for block in path.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, *lines = block.rstrip("\n").split("\n")
        messages = tuple(line.removeprefix("=> ") for line in lines if line.startswith("=> "))
        marked = "\n".join(line for line in lines if not line.startswith("=> "))
        cases.append(Wrong(title, marked if marked.endswith(PLACE) else f"{marked}\n", messages))
    return cases
