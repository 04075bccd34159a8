"""The tasks of one worker, while partitions come and go."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import TYPE_CHECKING

import pytest
from lone_worker import PAYMENTS, Cluster, LoneWorker, become, settled
from shop_runs import BEGIN, COUNTED, TOPOLOGY

from streams.faust.gathering import Gathering
from streams.pseudonyms import Pseudonyms
from streams.tasks.packets import decode
from tocsin.errors import StateError
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from streams.faust.gathering import News
    from streams.tasks.intake import Taken


class TestAWorker:
    def test_goes_on_where_another_one_has_stopped(self, tmp_path: Path) -> None:
        cluster = Cluster()

        async def life(begin: int, end: int) -> int | None:
            worker = LoneWorker(tmp_path, cluster)
            await worker.begin(PAYMENTS)
            await worker.give(PAYMENTS, 0, end)  # those before `begin` are known already
            await settled(worker, end)
            assert worker.metrics.values["tocsin_records_read_total", (("stream", "payments"),)] == end - begin
            await worker.hosting.close(1.0)
            return worker.hosting.durable(PAYMENTS)

        assert asyncio.run(life(0, 100)) == 100
        assert asyncio.run(life(100, 300)) == 300

    def test_a_batch_that_waited_while_partitions_moved_is_read_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        busy, taken = Event(), list[tuple[int, int]]()

        async def story() -> None:
            worker = LoneWorker(tmp_path, Cluster())
            take_in = Gathering.take_in

            def slowly(self: Gathering, news: Sequence[News]) -> Sequence[Taken | None]:
                busy.wait(10)
                taken.extend((batch.records[0].offset, batch.end) for one in news for batch in one.batches)
                return take_in(self, news)

            monkeypatch.setattr(Gathering, "take_in", slowly)
            monkeypatch.setattr("streams.faust.hosting.QUEUED", 80)
            await worker.begin(PAYMENTS)
            await worker.give(PAYMENTS, 0, 10)
            await become(lambda: not worker.hosting.units[PAYMENTS].queue)
            for number in range(1, 9):
                await worker.give(PAYMENTS, 10 * number, 10 * number + 10)
            one_more = asyncio.create_task(worker.give(PAYMENTS, 90, 100))
            await asyncio.sleep(0)
            released = asyncio.create_task(worker.hosting.release())
            busy.set()
            await released
            await worker.begin(PAYMENTS)
            await one_more
            end = worker.hosting.units[PAYMENTS].task.end
            await worker.give(PAYMENTS, end, 100)
            await settled(worker, 100)
            await worker.hosting.close(1.0)
            reached = 0
            for begin, after in taken:
                assert begin <= reached, "records were passed over"
                reached = after

        asyncio.run(story())


class TestTheClock:
    """Partitions whose quality is judged count by the minutes of the clock topic."""

    def test_what_was_read_in_a_minute_goes_out_when_it_is_over(self, tmp_path: Path) -> None:
        cluster = Cluster(log_ends={PAYMENTS: 200})  # more is to come

        def counted() -> list[int]:
            packets = [decode(packet) for _, packet in cluster.sent]
            parts = [rows for packet in packets for (stage, _), rows in packet.parts.items() if stage == QUALITY]
            return [rows.filter(field="")["records"].item() for rows in parts]

        async def story() -> None:
            worker = LoneWorker(tmp_path, cluster, text=TOPOLOGY + COUNTED)
            await worker.begin(PAYMENTS)
            await worker.hosting.pass_time(0)  # nobody has said yet what time it is
            await worker.give(PAYMENTS, 0, 100)
            await settled(worker, 100)
            for seconds in (1, 59):
                await worker.hosting.pass_time(BEGIN + seconds * 1_000)
            assert not counted()
            await worker.hosting.pass_time(BEGIN + 60_000)
            await become(lambda: counted() == [100])
            await worker.hosting.close(1.0)

        asyncio.run(story())


class TestAStateThatDoesNotFit:
    """A worker that goes on with it would be wrong."""

    def test_pseudonyms_of_another_key(self, tmp_path: Path) -> None:
        cluster = Cluster()
        asyncio.run(live(LoneWorker(tmp_path, cluster, pseudonyms=Pseudonyms(b"one key"))))
        with pytest.raises(StateError, match=r"made with another key.*another --group"):
            asyncio.run(live(LoneWorker(tmp_path, cluster, pseudonyms=Pseudonyms(b"another one"))))

    def test_other_stages_beside_partitions(self, tmp_path: Path) -> None:
        cluster = Cluster()
        asyncio.run(live(LoneWorker(tmp_path, cluster)))
        text = TOPOLOGY.replace("    partitioned_by: card\n", "")
        with pytest.raises(StateError, match=r"partitioned_by has changed.*another --group"):
            asyncio.run(live(LoneWorker(tmp_path, cluster, text=text)))

    def test_a_run_that_has_ended(self, tmp_path: Path) -> None:
        cluster, until = Cluster(), BEGIN + 1_000
        asyncio.run(live(LoneWorker(tmp_path, cluster, until=until)))
        asyncio.run(live(LoneWorker(tmp_path, cluster, until=until)))
        with pytest.raises(StateError, match=r"has ended at 2026-03-02.*another --group"):
            asyncio.run(live(LoneWorker(tmp_path, cluster, until=until + 1)))


async def live(worker: LoneWorker) -> None:
    """Take the first records, make them durable, end."""
    await worker.begin(PAYMENTS)
    await worker.give(PAYMENTS, 0, 500)
    await settled(worker, 500)
    await worker.hosting.close(1.0)
