"""`uses`: several files read as one tree.

A used file is read before the one that uses it, and once, whatever paths lead to it. Its streams, tables, features,
rules and sinks join those of the others; its header holds where the user's own header is silent, but for its name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.errors import Mark, nearest
from tocsin.language.collections import Many
from tocsin.language.nodes import MapNode, Node, kind_of
from tocsin.language.report import Refused
from tocsin.language.scalars import TEXT
from tocsin.language.shapes import Reading
from tocsin.language.text import Text
from tocsin.language.yaml_text import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.language.report import Report

    Reader = Callable[[Path], str]
    Header = dict[Text, Node]

SECTIONS = ("streams", "tables", "features", "rules", "sinks")
OWN = frozenset({"name", "uses", "why"})
"""Words of a header that hold for its own file only."""


def read_file(path: Path) -> str:
    """Give the text of a file, UTF-8 with or without a byte order mark; raises OSError and UnicodeDecodeError."""
    return path.read_text(encoding="utf-8-sig")


@dataclass(slots=True)
class Files:
    """Reads a file and those it uses into one tree."""

    report: Report
    reader: Reader = read_file
    names: list[Text] = field(default_factory=list)
    """All files read, each under its first name; the topology's own file is the first."""
    _sections: dict[str, dict[Text, Node]] = field(default_factory=dict)
    _strange: list[tuple[Text, Node]] = field(default_factory=list)
    """Top-level words that are none; the model reports them."""
    _headers: dict[Path, Header] = field(default_factory=dict)
    """By resolved path: what holds in files read completely."""
    _open: list[Path] = field(default_factory=list)
    """The files being read: each uses the next."""

    def tree(self, path: Path, text: str | None = None) -> MapNode | None:
        """Give the tree of a topology, used files merged in; nothing if its own file cannot be read."""
        start = Mark(str(path), 1, 1)
        root = self._parse(path, start, text)
        if root is None:
            return None
        inherited = self._merge(root, path)
        entries: list[tuple[Text, Node]] = []
        if isinstance(header := root.get("topology"), MapNode):
            own = {key for key, _ in header.entries}
            held = tuple((key, value) for key, value in inherited.items() if key not in own)
            entries.append(
                (Text("topology", start), MapNode(header.entries + held, header.mark, header.braced, header.broken))
            )
        elif header is not None:
            entries.append((Text("topology", start), header))
        entries += [(Text(name, start), MapNode(tuple(found.items()), start)) for name, found in self._sections.items()]
        return MapNode(tuple(entries + self._strange), start)

    def _parse(self, path: Path, asked: Mark, text: str | None = None) -> MapNode | None:
        """Read and parse one file; `asked` is where it was named."""
        try:
            text = self.reader(path) if text is None else text
        except UnicodeDecodeError as error:
            self.report.add(Mark(str(path), 1, 1), "yaml", f"not UTF-8 at byte {error.start}", "a text file in UTF-8")
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.report.add(asked, "no-file", f"cannot read {str(path)!r}: {reason}", "a file", _neighbour(path))
            return None
        self.names.append(Text(str(path), asked))
        return parse(text, str(path), self.report)

    def _merge(self, root: MapNode, path: Path) -> Header:
        """Read the files that this one uses, then add its sections; give the header words that hold in it."""
        self._open.append(_identity(path))
        header = root.get("topology")
        own = dict(header.entries) if isinstance(header, MapNode) else {}
        used = [(use, self._used(use, path)) for use in self._uses(own.get(Text("uses")))]
        for word, node in root.entries:
            if word in SECTIONS:
                self._section(word, node)
            elif word != "topology":
                self._strange.append((word, node))
        held = self._inherit(used, own) | {key: value for key, value in own.items() if key not in OWN}
        self._headers[self._open.pop()] = held
        return held

    def _uses(self, node: Node | None) -> tuple[Text, ...]:
        """Give the files that a header uses."""
        if node is None:
            return ()
        try:
            return Many(TEXT).read(node, Reading(self.report))
        except Refused:
            return ()

    def _used(self, use: Text, user: Path) -> Header:
        """Read a used file, unless it was read already; give the header words that hold in it."""
        path = Path(os.path.normpath(user.parent / use))
        identity = _identity(path)
        if identity in self._open:
            chain = [each.name for each in self._open[self._open.index(identity) :]]
            what = f"files use each other in a circle: {' uses '.join([*chain, identity.name])}"
            self.report.add(use.mark, "uses-circle", what, "files that do not need their users")
        elif identity not in self._headers:
            self._headers[identity] = {}
            root = self._parse(path, use.mark)
            if root is not None:
                self._merge(root, path)
        return self._headers.get(identity, {})

    def _section(self, section: Text, node: Node) -> None:
        """Add the names of one section of one file."""
        if not isinstance(node, MapNode):
            what = f"{kind_of(node)} does not fit here"
            self.report.add(node.mark, "wrong-shape", what, f"a map from names to {section}")
            return
        found = self._sections.setdefault(str(section), {})
        places = {str(name): name.mark for name in found}
        for name, value in node.entries:
            if str(name) in places:
                what = f"{str(name)!r} is among the {section} already"
                self.report.add(name.mark, "duplicate-name", what, f"another name (first: {places[name]})")
            elif name != "why":
                found[name] = value

    def _inherit(self, used: list[tuple[Text, Header]], own: Header) -> Header:
        """Join the headers of used files; where two disagree, this file must say what holds."""
        held: Header = {}
        said_by: dict[Text, Text] = {}
        for use, header in used:
            for word, value in header.items():
                if word not in own and word in held and held[word] != value:
                    what = f"{str(word)!r} differs between {said_by[word]} and {use}"
                    self.report.add(use.mark, "contradiction", what, f"`{word}:` in this header")
                held[word], said_by[word] = value, use
        return held


def _identity(path: Path) -> Path:
    """Give the path without links; unlike `Path.resolve`, it does not raise on a link to itself."""
    return Path(os.path.realpath(path))


def _neighbour(path: Path) -> str:
    """Give the file beside it that was probably meant."""
    try:
        beside = [each.name for each in path.parent.iterdir() if each.suffix in {".yaml", ".yml"}]
    except (OSError, ValueError):
        return ""
    return nearest(path.name, beside)
