"""The version of a rule or feature: a hash of all that its result depends on.

What only people read is left out (`says`, `why`, `see`, `runbook`, `owner`, tests), and so are the places in the file.
A stream or table that it reads, directly or through features, is part of it.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from tocsin.compiler.log_reading import rules_read
from tocsin.compiler.order import key_of, read_by
from tocsin.language.model import StreamWord
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from tocsin.compiler.order import Reader
    from tocsin.language.model import Topology

_FOR_PEOPLE = {"mark", "says", "why", "see", "runbook", "owner", "tests", "labels", "files", "sinks", "incident"}
_OF_THE_HOST = {"skew", "broadcast", "keyed", "partitioned_by", "text"}
"""How a host carries rows, on which no result depends; and how a duration or window is written."""
_SPACE = re.compile(r"('(?:[^']|'')*')|\s+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def version_of(word: Reader, topology: Topology) -> str:
    """Give the version of a rule or feature, 16 hexadecimal digits."""
    parts = _closure(word, topology)
    header = [str(topology.header.zone), topology.header.min_group]
    return _digest([canonical(word), header, *(canonical(part) for part in parts)])


def topology_version(topology: Topology) -> str:
    """Give the version of everything that state depends on."""
    return _digest([canonical(topology)])


def canonical(value: object) -> object:
    """Give a JSON-able form of a word without what only people read."""
    if isinstance(value, str):
        return _SPACE.sub(_one_space, value.strip())
    if isinstance(value, dict):
        return {str(key): canonical(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(part) for part in value]
    cls: type = type(value)
    names = _told(cls)
    return {name: canonical(getattr(value, name)) for name in names} if names else value


@cache
def _told(cls: type) -> tuple[str, ...]:
    """Give the fields of a word that count; none of what is no word."""
    named = fields(cls) if is_dataclass(cls) else ()
    return tuple(field.name for field in named if field.name not in _FOR_PEOPLE | _OF_THE_HOST)


def _one_space(found: re.Match[str]) -> str:
    """Leave what stands in quotes; elsewhere white space is as good as a space."""
    return found[1] or " "


def _digest(parts: list[object]) -> str:
    return blake2b(msgspec.json.encode(parts, order="deterministic"), digest_size=8).hexdigest()


def _closure(word: Reader, topology: Topology) -> list[object]:
    known: dict[str, Reader | StreamWord] = {
        **{str(name): stream for name, stream in topology.streams.items()},
        **{str(name): feature for name, feature in topology.features.items()},
        **{key_of(word): word for word in topology.rules.values()},
    }
    seen: dict[str, object] = {}
    open_names = _reads(word, topology)
    while open_names:
        name = open_names.pop()
        if name in known and name not in seen:
            read = known[name]
            seen[name] = read
            open_names += [] if isinstance(read, StreamWord) else _reads(read, topology)
    return [seen[name] for name in sorted(seen)] + _tables([word, *seen.values()], topology)


def _reads(word: Reader, topology: Topology) -> list[str]:
    """Give what a word reads; behind `alerts` there are rules, behind `quality` all streams."""
    names = read_by(word)
    counted = [str(name) for name in topology.streams] if QUALITY in names else []
    return [*names, *counted, *(f"rule {name}" for name in rules_read(word, topology))]


def _tables(words: list[object], topology: Topology) -> list[object]:
    """Give the tables whose names occur in the words, and those that they name in turn."""
    tables = {str(name): word for name, word in topology.tables.items()}
    found: set[str] = set()
    pending = words
    while pending:
        text = msgspec.json.encode([canonical(word) for word in pending], order="deterministic").decode()
        new = (set(_WORD.findall(text)) & set(tables)) - found
        found |= new
        pending = [tables[name] for name in new]
    return [tables[name] for name in sorted(found)]
