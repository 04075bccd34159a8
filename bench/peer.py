"""The plain way: one loop over the lines with msgspec and a dict, as anybody would write it.

It keeps the same promises in the small: event time, two seconds of disorder, windows closed by the watermark, one alert
per key until the key is no longer above, or silent for a minute. No state on disk, no duplicates, no evidence.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 10_000
LATENESS = 2_000
KEEP = 60_000


class Event(msgspec.Struct):
    """A line."""

    id: str
    key: str
    at: int
    amount: float


class Alert(msgspec.Struct, frozen=True, order=True):
    """An alert as both sides tell it: when, of which key, what, and the window's numbers (0 where it cleared)."""

    time: int
    key: str
    kind: str
    payments: int = 0
    cents: int = 0


class Ran(NamedTuple):
    """What the loop took, and its alerts."""

    records: int
    seconds: float
    cpu: float
    alerts: list[Alert]


@dataclass(slots=True)
class Watch:
    """The open windows by their end, and until when each alert lasts; `most_cents`: the greatest sum that is none."""

    most_cents: int
    windows: dict[int, dict[str, list[int]]] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)

    def close(self, end: int) -> None:
        """Judge a window that nothing more comes to."""
        for key, (payments, cents) in self.windows.pop(end).items():
            if key in self.open:
                self._end(key, end - 1, above=cents > self.most_cents)
            if cents > self.most_cents:
                if key not in self.open:
                    self.alerts.append(Alert(end - 1, key, "raised", payments, cents))
                self.open[key] = end - 1 + KEEP

    def _end(self, key: str, now: int, *, above: bool) -> None:
        """End an alert whose time was up before this window, or whose key is no longer above."""
        due = self.open[key]
        if due < now or not above:
            self.alerts.append(Alert(min(due, now), key, "cleared"))
            del self.open[key]

    def finish(self, until: int) -> None:
        """Close all windows, and the alerts whose time is up by then."""
        for end in sorted(self.windows):
            self.close(end)
        self.alerts += [Alert(due, key, "cleared") for key, due in self.open.items() if due <= until]


def loop(source: Path, most: int, out: Path) -> Ran:
    """Run over a file of lines; write the alerts as lines."""
    begun, used = time.perf_counter(), time.process_time()
    watch, records, greatest = Watch(most * 100), 0, 0
    decode = msgspec.json.Decoder(Event).decode
    windows, due = watch.windows, 0
    with source.open("rb") as lines:
        for line in lines:
            event = decode(line)
            records += 1
            greatest = max(greatest, event.at)
            end = event.at // SIZE * SIZE + SIZE
            held = windows.setdefault(end, {}).setdefault(event.key, [0, 0])
            held[0] += 1
            held[1] += round(event.amount * 100)
            passed = (greatest - LATENESS) // SIZE * SIZE
            if passed > due:
                due = passed
                for ended in sorted(end for end in windows if end <= due):
                    watch.close(ended)
    watch.finish(greatest)
    out.write_bytes(msgspec.json.Encoder().encode_lines(watch.alerts))
    return Ran(records, time.perf_counter() - begun, time.process_time() - used, sorted(watch.alerts))
