"""The tree of a YAML file as the language sees it: texts, lists and maps, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tocsin.language.text import Text

if TYPE_CHECKING:
    from tocsin.errors import Mark


@dataclass(frozen=True, slots=True)
class ListNode:
    """`[a, b]` or lines that begin with a dash."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class MapNode:
    """`{a: b}` or lines `a: b`; keys are unique.

    `braced`: written in braces. `broken`: an entry was refused and reported, so what is missing may have been there.
    """

    entries: tuple[tuple[Text, Node], ...]
    mark: Mark
    braced: bool = False
    broken: bool = False

    def get(self, name: str) -> Node | None:
        """Give the value of a key, or nothing."""
        return next((value for key, value in self.entries if key == name), None)


Node: TypeAlias = Text | ListNode | MapNode


def kind_of(node: Node) -> str:
    """Say what a node is, in words."""
    if isinstance(node, Text):
        return "a text"
    return "a list" if isinstance(node, ListNode) else "a map"
