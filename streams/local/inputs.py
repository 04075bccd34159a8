"""Which input is read next: files by their watermarks, streams that go on as their records come.

Of the bounded inputs the one whose watermark lags most is read, so that they stay within one batch of one another. Of
the live ones everything that waits is read, but for partitions that are more than the `skew` of their stream ahead of
the one that lags most: those are held back until it has come, or is idle (semantics 5, 8).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from monitoring import registry
from streams.local.dataflow import BEGINNING
from streams.local.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from monitoring.metrics import Metrics
    from streams.kafka.tables import FollowedTable
    from streams.local.feed import Feed
    from streams.local.intake import Early
    from streams.local.live import Topic
    from streams.local.live_steps import LiveSteps
    from streams.sources.contract import Position
    from streams.tables import TableRead

WAIT_SECONDS = 0.05
"""How long nothing may come before the clock is looked at."""
ROUND_SECONDS = 0.25
"""Time between two steps of the stages where few records come; early copies do not wait for it."""
TABLE_SECONDS = 0.5
"""Time between two looks at what tables were told: each change costs a pass over its table."""
ENOUGH_ROWS = 50_000
"""Records that are worth a step at once."""


@dataclass(slots=True)
class Inputs:
    """The feeds of a run, by name; those of `topics` may become more.

    `tables`: those that change while the run goes on, if any of its feeds does.
    """

    feeds: dict[str, Feed]
    topics: Sequence[Topic] = ()
    bell: Event = field(default_factory=Event)
    tables: Sequence[FollowedTable] = ()
    _intake: Intake | None = field(default=None, init=False)
    _first: int = field(default=BEGINNING, init=False)
    _round: float = field(default=0.0, init=False)
    _looked: float = field(default=0.0, init=False)

    def start(self, most: int, early: Early | None) -> None:
        """Begin to take in what goes on, from where the feeds stand, about `most` records at once.

        `early`: see `Intake`.
        """
        if not self.topics:
            return
        self._intake = Intake(self.bell, most, early)
        self._intake.add(self.feeds.values())
        for topic in self.topics:
            topic.start()
        for table in self.tables:
            table.start()
        self._intake.start()

    def close(self) -> None:
        """Stop fetching."""
        if self._intake is not None:
            self._intake.close()
        for topic in self.topics:
            topic.reader.close()
        for table in self.tables:
            table.close()

    def table_changes(self) -> Iterator[tuple[str, TableRead]]:
        """Give what has come of tables since the last look."""
        now = time.monotonic()
        if now - self._looked < TABLE_SECONDS:
            return
        self._looked = now
        for table in self.tables:
            read = table.changes()
            if read is not None:
                yield table.name, read

    @property
    def followed(self) -> set[str]:
        """The tables that change while the run goes on."""
        return {table.name for table in self.tables} if self.topics else set()

    @property
    def running(self) -> list[str]:
        """The feeds that are not at their end."""
        return [name for name, feed in self.feeds.items() if not feed.ended]

    @property
    def lagging(self) -> str | None:
        """The bounded input that holds the others back."""
        bounded = [name for name in self.running if self.feeds[name].live is None]
        return min(bounded, key=lambda name: self.feeds[name].watermark, default=None)

    def ready(self) -> list[str]:
        """Give the feeds to be read now; none where nothing has come."""
        lagging = self.lagging
        names = [] if lagging is None else [lagging]
        if self.topics:
            ahead = self._hold()
            if lagging is None:
                self._pace()
            names += [name for name, _ in self._live() if self.feeds[name].ready and name not in ahead]
        return names

    def _pace(self) -> None:
        """Wait a moment for more where few records have come: a step costs the same for many, and cores."""
        until = self._round + ROUND_SECONDS
        while (left := until - time.monotonic()) > 0 and sum(live.rows for _, live in self._live()) < ENOUGH_ROWS:
            time.sleep(min(left, WAIT_SECONDS))
        self._round = time.monotonic()

    def wait(self) -> None:
        """Wait a moment for records."""
        if self._intake is not None:
            self._intake.wait(WAIT_SECONDS)
            self._intake.check()

    def grown(self) -> Mapping[str, Feed]:
        """Give the feeds that are new since the last time."""
        new = {name: feed for topic in self.topics for name, feed in topic.grown().items()}
        self.feeds.update(new)
        if new and self._intake is not None:
            self._intake.add(new.values())
        return new

    def commit(self, positions: Mapping[str, Position]) -> None:
        """Note in the topics' groups how far all is durable."""
        for topic in self.topics:
            topic.commit(positions)

    @property
    def troubles(self) -> list[str]:
        """Say which brokers do not answer."""
        said = [*(topic.reader.trouble for topic in self.topics), *(table.trouble for table in self.tables)]
        return [trouble for trouble in said if trouble]

    @property
    def silent(self) -> str:
        """Say of which topics no broker answers, as anybody may read it; "" if all do."""
        names = [topic.reader.address.topic for topic in self.topics if topic.reader.trouble]
        names += [table.name for table in self.tables if table.trouble]
        return f"no broker answers for {', '.join(names)}" if names else ""

    def tell(self, metrics: Metrics) -> None:
        """Say of each topic how many partitions are read, how many are paused, and how far behind each is."""
        for topic in self.topics:
            stream, standing = topic.plan.name, topic.reader.standing()
            metrics.gauge(registry.PARTITIONS.of({"stream": stream}), len(standing))
            metrics.gauge(registry.PAUSED.of({"stream": stream}), sum(paused for _, paused in standing.values()))
            for partition, (lag, _) in standing.items():
                metrics.gauge(registry.CONSUMER_LAG.of({"stream": stream, "partition": str(partition)}), lag)

    def _live(self) -> Iterator[tuple[str, LiveSteps]]:
        return ((name, live) for name in self.running if (live := self.feeds[name].live) is not None)

    def _hold(self) -> set[str]:
        """Hold back the partitions that are too far ahead, let the others go on; give the names of the former."""
        least = self._least()
        ahead = set()
        for name, live in self._live():
            feed = self.feeds[name]
            held = least > BEGINNING and feed.watermark > least + feed.plan.skew
            live.source.hold(held)
            if held:
                ahead.add(name)
        return ahead

    def _least(self) -> int:
        """Give the least watermark; a partition that had no record yet stands where the first one began."""
        marks = [self.feeds[name].watermark for name in self.running]
        known = [mark for mark in marks if mark > BEGINNING]
        if known and self._first == BEGINNING:
            self._first = min(known)
        return min((max(mark, self._first) for mark in marks), default=BEGINNING)
