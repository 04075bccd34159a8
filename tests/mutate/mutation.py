"""What a mutation is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to break the code.

    `rule`: of docs/semantics.md. `breaks`: what then no longer holds. `old` stands once in `file` and becomes `new`.
    `tests`: what pytest is given; one of them must fail.
    """

    rule: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def occurrences(self, root: Path = ROOT) -> int:
        """Count how often the text to replace stands in the file."""
        path = root / self.file
        return path.read_text().count(self.old) if path.is_file() else 0

    def apply(self, root: Path) -> None:
        """Break the copy of the tree at `root`; ValueError if the text is not there exactly once."""
        if self.occurrences(root) != 1:
            raise ValueError(f"rule {self.rule}: {self.file} does not hold {self.old!r} exactly once")
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))
