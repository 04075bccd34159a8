"""What tasks need of the Faust application, and no more: tests put something else in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, MutableMapping


class Wire(Protocol):
    """What a worker needs of its Faust app: the tables' values, ways to write, the offsets of the group."""

    def table(self, topic: str) -> MutableMapping[bytes, bytes]:
        """Give the values of the table beside a topic."""
        ...

    async def put(self, topic: str, partition: int, entries: Mapping[bytes, bytes | None]) -> None:
        """Write values (None deletes) to the table beside a topic, and wait until the broker has them."""
        ...

    async def send(self, shard: int, packet: bytes) -> asyncio.Future[Any]:
        """Send a packet to a shard; the future is done when the broker has it."""
        ...

    async def left(self, taken: Mapping[Any, int]) -> Mapping[Any, int]:
        """Ask the broker how far the logs of partitions go on behind what was taken; 0 or less where no record is."""
        ...

    def hold(self, held: frozenset[Any]) -> None:
        """Fetch nothing more of these partitions, until other ones are named; what was fetched of them still comes."""
        ...

    def seen(self, tp: Any) -> int | None:  # noqa: ANN401  # Faust's TP
        """Give where the log of a partition ended when it was last fetched; None if nothing of it was."""
        ...

    def committed(self, tp: Any) -> int | None:  # noqa: ANN401  # Faust's TP
        """Give the group's offset of a partition."""
        ...

    @property
    def generation(self) -> int:
        """The generation of the consumer group."""
        ...
