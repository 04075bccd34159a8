"""Python's search for cycles, made rare: batches of messages look like a leak to it, and it walks over all modules.

A consumed batch is some ten thousand objects that live for a moment. With the usual threshold the search runs many
times per batch, and every so often over everything that was imported: a quarter of the thread that fetches from Kafka.
"""

from __future__ import annotations

import gc

THRESHOLDS = (100_000, 20, 20)
"""Objects made between two searches of the youngest, searches between two of the next older generation, and again."""


def search_rarely() -> None:
    """Leave out what lives already, which is imported code for the most part, and look at the rest less often."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
