"""The topologies that are measured over topics."""

from __future__ import annotations

_IMMEDIATE = """\
topology: {{name: immediate}}
streams:
  payments:
    topic: {topic}
    partitioned_by: key
    id: id
    time: {{field: at, lateness: 2s}}
    fields: {{id: string, key: string, at: timestamp, amount: decimal(2)}}
rules:
  large:
    from: payments
    entity: [key]
    parameters: {{most: {{value: {most}, why: "one event of a hundred is above it"}}}}
    levels: {{red: amount > most}}
    keep: 1s
    says: "{{amount}}"
"""


def on_topic(text: str, topic: str) -> str:
    """Let the stream of a topology come from a topic whose partitions hold a key each."""
    return text.replace(
        "  payments:\n    id: id\n", f"  payments:\n    topic: {topic}\n    partitioned_by: key\n    id: id\n"
    )


def immediate(topic: str, most: int) -> str:
    """Give a rule that judges each event as it comes."""
    return _IMMEDIATE.format(topic=topic, most=most)
