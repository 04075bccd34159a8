"""Whether a process lives and whether it does its work, as an orchestrator asks: `/healthz` and `/readyz`.

The host tells: `beat` in every round of its main loop, also while it waits; `ready` when something opens, fails or
comes back, or `watch` where it can be asked; `drain` when it has begun to end. Others ask from threads of their own.

It *lives* while the last beat is younger than a limit. A host that drains does not beat: how long that may take is said
by whoever ends it. It is *ready* when everything it needs has said so and it is not draining.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT_SECONDS = 60.0
"""The age of the last beat at which a process counts as stuck; a step over a large state takes seconds."""
SOURCES, TABLES, SINKS = "sources", "tables", "sinks"
NEEDED = (SOURCES, TABLES, SINKS)
NOT_YET = "not open yet"


@dataclass(frozen=True, slots=True)
class Report:
    """An answer: whether it is good, and what is wrong, by the name of the check."""

    good: bool
    checks: dict[str, str]

    @property
    def text(self) -> str:
        """The answer as a line of JSON; whether it drains is told only where it does."""
        checks = {name: why or "good" for name, why in self.checks.items() if why or name != "draining"}
        return json.dumps({"good": self.good, "checks": checks}) + "\n"


@dataclass(slots=True)
class Health:
    """What a host says of itself. `needed`: checks that are not good before they say so. `clock`: monotonic seconds.

    Reasons are read by anybody: they name streams, tables and sinks, never addresses with secrets or keys of rows.
    """

    limit: float = BEAT_SECONDS
    needed: tuple[str, ...] = NEEDED
    clock: Callable[[], float] = time.monotonic
    _beaten: float = field(init=False)
    _wrong: dict[str, Callable[[], str]] = field(init=False)
    _draining: str = field(init=False, default="")
    _lock: Lock = field(init=False, default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        """Nothing is open; the first beat is due within the limit."""
        self._beaten = self.clock()
        self._wrong = {name: lambda: NOT_YET for name in self.needed}

    def beat(self) -> None:
        """Say that the main loop goes round."""
        self._beaten = self.clock()

    def ready(self, name: str, ok: bool, why: str = "") -> None:  # noqa: FBT001  # reads as a sentence
        """Say whether something works, and in a sentence why not."""
        sentence = "" if ok else why or NOT_YET
        self.watch(name, lambda: sentence)

    def watch(self, name: str, why: Callable[[], str]) -> None:
        """Let those who ask ask on: `why` says what is wrong in a sentence, "" for nothing, to any thread."""
        with self._lock:
            self._wrong[name] = why
        self.beat()

    def drain(self, why: str) -> None:
        """Say that it has begun to end: it is not ready any more."""
        self._draining = why

    @property
    def alive(self) -> Report:
        """Whether it lives."""
        age = self.clock() - self._beaten
        good = bool(self._draining) or age <= self.limit
        return Report(good, {"beat": "" if good else f"the main loop has not moved for {age:.0f} s"})

    @property
    def at_work(self) -> Report:
        """Whether it is ready."""
        with self._lock:
            wrong = dict(self._wrong)
        checks = {name: why() for name, why in wrong.items()} | {"draining": self._draining}
        return Report(not any(checks.values()), checks)
