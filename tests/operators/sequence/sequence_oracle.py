"""Sequences in plain Python, straight from the words: every earlier row is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.model.rows import ID, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Row = dict[str, Any]


def earlier(one: Row, other: Row) -> bool:
    """Whether a row comes before another; an event never before itself."""
    return in_order(one) < in_order(other)


def in_order(row: Row) -> tuple[int, bytes, int]:
    """By time, then id; an id is one of its stream."""
    return row[TIME], row[ID].encode(), row["stream"]


class Oracle:
    """`tests`: per step name, whether a row is it, given the steps before it."""

    def __init__(self, rows: Sequence[Row], tests: Mapping[str, Any], within: int, absent: str | None) -> None:
        self.rows = sorted(rows, key=in_order)
        self.names, self.tests, self.within, self.absent = list(tests), tests, within, absent
        self.present = [name for name in self.names if name != absent]

    def can_be(self, name: str, row: Row, chain: Mapping[str, Row]) -> bool:
        return row["step"] == name and self.tests[name](row, chain)

    def chains(self, upto: int) -> list[dict[str, Row]]:
        """The chains of the first steps: one per row that ends one."""
        name = self.present[upto - 1]
        if upto == 1:
            return [{name: row} for row in self.rows if self.can_be(name, row, {})]
        shorter, found = self.chains(upto - 1), []
        for row in self.rows:
            before = [chain for chain in shorter if earlier(chain[self.present[upto - 2]], row)]
            chain = before[-1] if before else None  # the latest earlier step counts, and no other
            if chain is None or row[TIME] - chain[self.present[0]][TIME] > self.within:
                continue
            if self.can_be(name, row, chain) and not self.broken(chain, upto, row):
                found.append({**chain, name: row})
        return found

    def broken(self, chain: Mapping[str, Row], upto: int, row: Row) -> bool:
        """Whether the absent step lies between two steps."""
        if self.absent is None or self.names.index(self.absent) != upto - 1:
            return False
        last = chain[self.present[upto - 2]]
        return any(
            earlier(last, other) and earlier(other, row) and self.can_be(self.absent, other, chain)
            for other in self.rows
        )

    def matches(self, until: int) -> list[tuple[int, dict[str, Row]]]:
        """All matches up to a time: when, and the rows of the steps."""
        found = []
        for chain in self.chains(len(self.present)):
            first, last = chain[self.present[0]], chain[self.present[-1]]
            others = [row for row in self.rows if self.absent and self.can_be(self.absent, row, chain)]
            if self.absent == self.names[0]:
                if any(earlier(row, first) and last[TIME] - row[TIME] <= self.within for row in others):
                    continue
                found.append((last[TIME], chain))
            elif self.absent == self.names[-1]:
                due = first[TIME] + self.within
                if due <= until and not any(earlier(last, row) and row[TIME] <= due for row in others):
                    found.append((due, chain))
            else:
                found.append((last[TIME], chain))
        return found
