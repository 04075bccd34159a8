"""No raw identifier of a person leaves the ingest stage: all that a run writes is searched, but for dead letters."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from confluent_kafka.admin import AdminClient

from sinks.clickhouse_address import parse_address
from sinks.clickhouse_connection import Connection
from stack.ports import free_port
from tests.chaos import material as materials
from tests.chaos.cases import HOSTS, Case
from tests.chaos.processes import Processes
from tests.chaos.searching import found, in_folder
from tests.chaos.staging import Stage
from tests.sinks.alert_topic import messages
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from confluent_kafka import Message

    from tests.chaos.material import Material

PERSONS: Final = {
    "calls": ("caller", "callee", "device", "sim"),
    "signaling": ("subscriber",),
    "payments": ("card",),
}
"""Fields of the city that hold raw identifiers."""
OF_EACH: Final = 12
"""How many of each field are looked for: those with the most records."""
UNTIL: Final = 3_600_000
"""ms of the city that are carried out."""
FEWEST: Final = 15
"""Alerts after which there is something to look at."""
HELD = {host.name: host for host in HOSTS}


@dataclass(frozen=True)
class PlainMaterial(materials.Material):
    """A topology whose fields are plain strings: pseudonyms off."""

    def write_topology(self, folder: Path, *, idle: str, direct: bool) -> Path:
        """Take the shipped one, with strings instead of persons."""
        path = super().write_topology(folder, idle=idle, direct=direct)
        for file in (path, *(folder / "topologies").glob("*.yaml")):
            file.write_text(re.sub(r"person\(\w+\)", "string", file.read_text(encoding="utf-8")), encoding="utf-8")
        return path


def first_hour() -> Material:
    city = materials.city()
    begin = min(stream.rows["arrival"][0] for stream in city.streams.values())
    streams = {
        name: replace(stream, rows=stream.rows.filter(pl.col("arrival") < begin + UNTIL))
        for name, stream in city.streams.items()
    }
    return replace(city, streams=streams)


def planted(material: Material) -> set[str]:
    """Name persons of the input: those with the most records, and those that alerts are about."""
    names: set[str] = set()
    for stream, fields in PERSONS.items():
        records = material.streams[stream].rows.drop_nulls("at")["line"]
        for field in fields:
            values = records.str.json_path_match(f"$.{field}").drop_nulls().value_counts(sort=True)
            names.update(values.to_series(0).head(OF_EACH))
    return names


@dataclass
class Looked:
    """What a run has written, by place."""

    places: dict[str, bytes]

    def raw(self, names: set[str]) -> dict[str, set[str]]:
        """Give the raw identifiers of each place that has some."""
        hits = {place: found(data, names) for place, data in self.places.items()}
        return {place: hit for place, hit in hits.items() if hit}


@contextmanager
def dropped(store: str) -> Iterator[None]:
    yield
    address = parse_address(store)
    with Connection(address) as connection:
        connection.run(f"DROP DATABASE IF EXISTS {address.database}")


def look(stage: Stage) -> Looked:
    """Carry a run out until it has given alerts and read everything, ask it for its metrics, stop it, take it all."""
    pages = f"127.0.0.1:{free_port()}"
    words = stage.words()
    if "--http" in words:
        words[words.index("--http") + 1] = pages
    else:
        words += ["--http", pages]
    stage.feed_all(to_the_end=False)
    with Processes(words, stage.folder) as run:
        wait_until(lambda: stage.told() >= FEWEST or not run.running, run.said)
        wait_until(lambda: read(pages) == len(stage.records) or not run.running, run.said)
        assert run.running, run.said()
        metrics = page(pages)
        assert run.process is not None
        run.process.terminate()
        assert run.wait() == 143, run.said()
    places = {
        "metrics": metrics,
        "stdout and stderr": run.out.read_bytes() + run.log.read_bytes(),
        "state folder": in_folder(stage.folder / "state", but="dead"),
        "file": stage.file.read_bytes(),
        "clickhouse": kept(stage.store),
    }
    sources = {stage.topic(stream) for stream in stage.material.streams}
    topics = AdminClient({"bootstrap.servers": stage.servers}).list_topics(timeout=30).topics
    for topic in sorted(topics):
        if topic.startswith(stage.name) and topic not in sources:
            places[topic.removeprefix(stage.name)] = b"\n".join(map(content, messages(stage.servers, topic)))
    return Looked(places)


def page(address: str) -> bytes:
    """Give the page of metrics; empty while nobody answers."""
    try:
        with urlopen(f"http://{address}/metrics", timeout=10) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def read(address: str) -> int:
    """Count the records that a run has read, as it says itself."""
    numbers = re.findall(rb"^tocsin_records_read_total\{.*\} ([0-9.e+]+)$", page(address), re.MULTILINE)
    return int(sum(map(float, numbers)))


def kept(store: str) -> bytes:
    """Give all that ClickHouse was given."""
    address = parse_address(store)
    with Connection(address, inside=True) as connection:
        return repr([connection.rows(f"SELECT * FROM {name}") for name in ("transitions", "alerts")]).encode()  # noqa: S608  # names of ours


def content(message: Message) -> bytes:
    """Give key, headers and value."""
    return b"\n".join([_bytes(message.key()), repr(message.headers()).encode(), _bytes(message.value())])


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


ROWS: Final = {
    "local8": {"state folder", "file", "clickhouse", ".alerts"},
    "faust1-rekeyed": {"file", "clickhouse", ".alerts", "-exchange"},
}
"""Places where persons are in rows."""
CHANGELOG: Final = "-exchange-changelog"
"""And this one of the group's changelogs, whose name has that of the group in it."""


@pytest.mark.parametrize("host", ROWS)
class TestAHostOnKafka:
    @pytest.fixture
    def stage(self, host: str, tmp_path: Path, kafka: str, clickhouse_server: tuple[str, int], unique: str) -> Stage:
        store = f"clickhouse://{clickhouse_server[0]}:{clickhouse_server[1]}/{unique}"
        return Stage(Case("city", HELD[host], "asis", "calm"), first_hour(), tmp_path, kafka, unique, store)

    def test_writes_no_raw_identifier_anywhere_but_to_dead_letters(self, stage: Stage, host: str) -> None:
        names = planted(stage.material)
        with dropped(stage.store):
            looked = look(stage)
        assert looked.raw(names) == {}
        assert ROWS[host] <= set(looked.places)
        for place, data in looked.places.items():
            if place in ROWS[host] or place.endswith(CHANGELOG):
                assert found(data, ["phone:", "card:"]), f"nobody is in {place}: it was not looked at"

    def test_would_be_found_out_if_there_were_no_pseudonyms(self, stage: Stage, host: str) -> None:
        stage.material = PlainMaterial(**{name: getattr(stage.material, name) for name in stage.material.__slots__})
        stage.topology = stage.material.write_topology(stage.folder, idle="10m", direct=False)
        with dropped(stage.store):
            raw = look(stage).raw(planted(stage.material))
        assert ROWS[host] <= set(raw)
        assert host == "local8" or any(place.endswith(CHANGELOG) for place in raw)


class TestTheSearch:
    @pytest.mark.parametrize("codec", ["lz4", "zstd"])
    def test_sees_what_is_compressed_between_other_bytes(self, codec: str) -> None:
        phones = [f"1390001{number:04}" for number in range(5_000)]
        sink = pa.BufferOutputStream()
        table = pa.table({"phone": phones, "number": [int(phone) for phone in phones]})
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
            writer.write_table(table)
        data = b"head" + sink.getvalue().to_pybytes() + b"tail"
        assert phones[4_000].encode() not in data
        assert found(data, [phones[4_000], "13900019999"]) == {phones[4_000]}
