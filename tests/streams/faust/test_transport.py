"""When tasks go on with an assignment: once, when their tables are whole, not if it is revoked; and what is fetched."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.faust.transport import BatchedConsumer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pytest

HERE, OTHER = TP("stream", 0), TP("other", 0)


@dataclass
class Tasks:
    """Notes what it is told. `meanwhile`: happens while an assignment is loaded."""

    meanwhile: Callable[[], None] = lambda: None
    loaded: int = 0
    begun: dict[TP, int] = field(default_factory=dict)

    def batches(self, topic: str) -> bool:
        return topic == HERE.topic

    async def load(self, assignment: Collection[TP]) -> Mapping[TP, int]:
        self.loaded += 1
        self.meanwhile()
        return dict.fromkeys(assignment, 7)

    def begin(self, tp: TP, position: int) -> None:
        self.begun[tp] = position


def consumer(monkeypatch: pytest.MonkeyPatch, tasks: Tasks, *, recovering: bool = False) -> Any:  # noqa: ANN401  # of Faust
    """Give a consumer without a client."""

    async def nothing(*_: object) -> None:
        pass

    async def seven(*_: object) -> int:
        return 7

    for name, stub in (("perform_seek", nothing), ("seek", nothing), ("position", seven)):
        monkeypatch.setattr(driver.Consumer, name, stub)
    monkeypatch.setattr(driver.Consumer, "assignment", lambda _: {HERE, OTHER})
    made: Any = BatchedConsumer.__new__(BatchedConsumer)
    recovery = SimpleNamespace(in_recovery=recovering, active_offsets=Counter[TP]())
    made.app = SimpleNamespace(hosting=tasks, tables=SimpleNamespace(recovery=recovery))
    made.gate_open, made.held, made._revocations, made._seeking = False, frozenset(), 0, asyncio.Lock()
    made.flow_active, made._committed_offset = True, {}
    return made


class TestTasksGoOn:
    def test_once_from_where_they_stand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tasks = Tasks()
        made = consumer(monkeypatch, tasks)

        async def twice() -> None:
            await asyncio.gather(made.perform_seek(), made.perform_seek())

        asyncio.run(twice())
        assert (made.gate_open, tasks.loaded, tasks.begun) == (True, 1, {HERE: 7})

    def test_not_while_tables_are_recovered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tasks = Tasks()
        made = consumer(monkeypatch, tasks, recovering=True)
        asyncio.run(made.perform_seek())
        assert (made.gate_open, tasks.loaded) == (False, 0)

    def test_not_with_what_was_revoked_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tasks = Tasks()
        made = consumer(monkeypatch, tasks)

        def revoke() -> None:
            made._revocations += 1

        tasks.meanwhile = revoke
        asyncio.run(made.perform_seek())
        assert (made.gate_open, tasks.begun) == (False, {})


class TestWhatIsFetched:
    def test_other_topics_always_and_batched_ones_while_the_gate_is_open_and_they_are_not_held(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = consumer(monkeypatch, Tasks())
        assert (made.wants(OTHER), made.wants(HERE)) == (True, False)
        made.gate_open = True
        assert made.wants(HERE)
        made.held = frozenset({HERE})
        assert (made.wants(OTHER), made.wants(HERE)) == (True, False)
