"""The parts of the runtime that need no Flink: packs, states, settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from streams.flink.client_settings import java_settings
from streams.flink.keeping import Keeping
from streams.flink.packs import NO_STAMP, Pack
from streams.flink.state_folder import latest
from streams.pseudonyms import DEVELOPMENT_KEY, Pseudonyms
from streams.sources.contract import Records
from streams.tasks.layout import lay_out
from streams.tasks.making import Maker
from streams.tasks.source_task import SourceTask
from tests.streams.faust.shop_runs import SHOPS, TOPOLOGY, records
from tests.streams.flink.subtasks import MapState, pack
from tocsin.compiler import compile_topology
from tocsin.errors import SourceError, StateError
from tocsin.language import loads

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from streams.tasks.task import Task

PLAN = compile_topology(loads(TOPOLOGY, "shop.yaml"))
TABLE = pl.DataFrame({"shop": list(SHOPS), "most": list(SHOPS.values())})


class TestPacks:
    def test_come_back_with_gaps_keys_tombstones_and_records_without_a_time(self) -> None:
        keys = [b"a", None, b"", b"cd"]
        values = [b'{"n":1}', None, b'{"n":\n2}', b'{"n":3}']
        data = pack(values, np.array([3, 4, 7, 8]), np.array([1000, NO_STAMP, 1002, 1003]), keys)
        again = Pack(data)
        raw = again.records()
        assert (again.end, again.stamps.tolist()[0], raw.count) == (9, 1000, 4)
        assert [raw.offset(row) for row in range(4)] == [3, 4, 7, 8]
        assert [letter.offset for letter in raw.dead] == [4]
        assert [raw.at(row) for row in (0, 2, 3)] == [b'{"n":1}', b'{"n": 2}', b'{"n":3}']
        assert raw.ingested is not None
        assert raw.ingested.to_list() == [1000, None, 1002, 1003]
        assert [again.key(row) for row in range(4)] == keys

    def test_without_gaps_hold_no_offsets(self) -> None:
        raw = Pack(pack([b"1", b"2"], np.array([5, 6]), np.array([1, 2]), [None, None])).records()
        assert (raw.offsets, raw.starts, raw.first, raw.key_of and raw.key_of(1)) == (None, None, 5, None)

    def test_that_are_damaged_are_refused(self) -> None:
        with pytest.raises(StateError, match="records that wait in the state are damaged"):
            Pack(b"no pack")


class TestStates:
    def make(self, key: int) -> tuple[Task, tuple[str, int]]:
        layout = lay_out(PLAN, {"payments": 2}, 2, layered=True)
        partition = {5: 0, 9: 1}[key]
        tables = {"shops": TABLE.with_columns(pl.lit(0, pl.Int64).alias("valid_from"))}
        return Maker(layout, tables, Pseudonyms(DEVELOPMENT_KEY)).source("payments", partition), ("p", partition)

    def test_are_those_of_the_tasks_at_the_last_commit(self) -> None:
        stores = {5: MapState(), 9: MapState()}
        keeping = Keeping(self.make)
        for key, lines in ((5, slice(0, 50)), (9, slice(50, 80))):
            kept = keeping.of(key, stores[key])
            assert not kept.fresh, "nothing has come"
            assert isinstance(kept.task, SourceTask)
            kept.task.take(_raw(list(records())[lines]), 50)
            kept.dirty = True
            kept.waiting = [b"one", b"two"]
        keeping.write(stores.__getitem__)
        assert all(stores.values())
        ends = [key for key in stores if keeping.kept[key].dirty]
        assert ends == [], "written once"
        again = Keeping(self.make)
        for key, store in stores.items():
            kept, before = again.of(key, store), keeping.kept[key].task
            assert kept.fresh, "what had come and was not stepped waits in the state"
            assert isinstance(kept.task, SourceTask)
            assert isinstance(before, SourceTask)
            assert (kept.task.end, kept.task.watermark) == (before.end, before.watermark)
            assert kept.waiting == [b"one", b"two"]
        kept.dirty = True
        assert kept.take() == [b"one", b"two"]
        kept.waiting = [b"three"]
        again.write(stores.__getitem__)
        assert [value for name, value in stores[9].items() if name.startswith(b"waiting")] == [b"three"]
        owners = {name.split(b"|")[1] for name in stores[9] if not name.startswith(b"waiting")}
        assert len(owners) == 1, "what the subtask before wrote is gone"

    def test_of_folders_the_last_whole_one_counts(self, tmp_path: Path) -> None:
        assert latest(tmp_path) is None
        places = ["checkpoints/a/chk-1", "checkpoints/a/chk-2", "savepoints/savepoint-1", "checkpoints/b/chk-9"]
        for number, place in enumerate(places):
            (tmp_path / place).mkdir(parents=True)
            if number < 3:
                file = tmp_path / place / "_metadata"
                file.touch()
                os.utime(file, (number, number))
        assert latest(tmp_path) == tmp_path / "savepoints/savepoint-1"


def _raw(lines: Iterable[tuple[str, bytes]]) -> Records:
    values = [line for _, line in lines]
    return Records.of(values, range(len(values)))


class TestSettings:
    def test_of_log_in_and_tls_are_told_in_javas_names(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        authority = tmp_path / "ca.pem"
        authority.write_text("---")
        given = {
            "SECURITY_PROTOCOL": "sasl_ssl",
            "SASL_MECHANISM": "SCRAM-SHA-512",
            "SASL_USERNAME": "ann",
            "SASL_PASSWORD": 'open "sesame"',
            "SSL_CA_LOCATION": str(authority),
        }
        for name, value in given.items():
            monkeypatch.setenv(f"TOCSIN_KAFKA_{name}", value)
        found = java_settings("h:1")
        assert found["security.protocol"] == "SASL_SSL"
        assert 'username="ann" password="open \\"sesame\\"";' in found["sasl.jaas.config"]
        assert (found["ssl.truststore.type"], found["ssl.truststore.certificates"]) == ("PEM", "---")

    def test_that_java_does_not_know_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOCSIN_KAFKA_SSL_CRL_LOCATION", "x")
        with pytest.raises(SourceError, match="SSL_CRL_LOCATION: Kafka's Java client"):
            java_settings("h:1")

    def test_there_are_none_where_nothing_is_said(self) -> None:
        assert java_settings("h:1") == {}
