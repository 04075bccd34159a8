"""The topologies that are measured."""

from __future__ import annotations

_STREAM = """\
topology: {{name: {name}}}
streams:
  payments:
    id: id
    time: {{field: at, lateness: 2s}}
    fields: {{id: string, key: string, at: timestamp, amount: decimal(2)}}
features:
  sums:
    from: payments
    by: key
    windows: {{{window}: {{payments: count(), total: sum(amount)}}}}
rules:
  big:
    from: sums
    parameters: {{most: {{value: {most}, why: "a few of a hundred windows are above it"}}}}
    levels: {{red: total > most}}
    keep: 1m
    says: "{{payments}} payments, {{total}}"
"""

STANDARD_MOST = 1_500
NEVER = 1_000_000_000


def standard(window: str = "tumbling 10s", most: int = STANDARD_MOST) -> str:
    """Give the standard job: count and sum per key and window, and a threshold on the sum."""
    return _STREAM.format(name="standard", window=window, most=most)
