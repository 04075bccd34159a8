"""The one contract of every sink.

A sink takes batches of transitions (the columns of `tocsin.model.alerts.TRANSITIONS`, in the order of the outbox) and
makes them durable. A `Delivery` calls it, always from one thread at a time:

    open(bookmark) → deliver(batch)* → close()

*Idempotent.* A batch may come again after a crash, alone or cut differently: together with rows before or after it.
Afterwards the target must say the same as if every transition had come once, told apart by (`alert_id`, `sequence`).

*Early copies* (`early` is true) may come, be missing or come twice. The transition with the same id and `early` false
replaces them in whatever the target shows as current, whichever of the two comes first.

*Durable.* When `deliver` returns, the batch survives `kill -9`; its position is then written into the next commit, and
the transitions leave the outbox. Of early copies a sink may say so before.

*Back pressure.* `deliver` takes as long as it takes and must not queue. While it works or is tried again the queue of
its `Delivery` fills; then `offer` says no, the host keeps the transitions in its outbox and, when that is full too,
stops reading. Nothing is dropped and nothing grows without bound. One sink never waits for another.

*Errors.* `SinkUnavailable`: nothing durable is known to be wrong, the same batch is tried again. `SinkError`: it would
fail for ever; the delivery stops and the host ends with the message. A failed `deliver` may have written a part: the
batch comes again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import polars as pl


HERE = "here"
"""A bookmark that no sink gives: begin where the target stands now, what is there is of others.

Where their work goes on here, `look_back` tells of it. A sink that cannot begin there reads all.
"""


@dataclass(frozen=True, slots=True)
class Batching:
    """How transitions are gathered before a delivery: until there are `rows`, or the oldest has waited `seconds`.

    No delivery has more than `rows` rows. With 0 seconds a delivery takes what has come while the one before was busy.
    """

    rows: int = 50_000
    seconds: float = 0.0


class Sink(ABC):
    """Where transitions go. What it names and needs are constructor arguments; nothing is touched before `open`."""

    batching: ClassVar[Batching] = Batching()

    @abstractmethod
    def open(self, bookmark: str = "") -> None:
        """Get ready; `bookmark` is what the property said after the last delivery that the state knows, "" or HERE."""

    @abstractmethod
    def deliver(self, batch: pl.DataFrame) -> None:
        """Make a batch durable; raise SinkUnavailable to be tried again, SinkError for good."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; also after errors, also twice."""

    def look_back(self, bookmark: str) -> None:
        """Learn what another process wrote since its `bookmark`: what it did goes on here, and may be offered again.

        Between deliveries; the next one may do it, for several at once. Nothing to do where the target tells copies
        apart by itself.
        """
        del bookmark

    @property
    def bookmark(self) -> str:
        """Where the target stands after the last delivery, to find what is already there after a restart."""
        return ""
