"""The JSON Schema of topology.yaml: completion and hover texts in editors.

It is generated from the same words and shapes that read the file. It is the laxer of the two: it cannot see what two
words mean together, and allows numbers where the language wants texts, since editors type scalars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.language.model import TOPOLOGY

if TYPE_CHECKING:
    from tocsin.language.shapes import Schema


def json_schema() -> Schema:
    """Give the schema, draft 2020-12, as plain data."""
    definitions: dict[str, Schema] = {}
    root = TOPOLOGY.schema(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "topology.yaml",
        "description": "A Tocsin topology: what to watch in streams of events, and whom to tell.",
        **root,
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }
