"""A batch that a disk or a producer has spoilt ends a run with its place; nothing is passed over in silence."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stack import KafkaBroker
from streams.local.running import carry_out
from tests.streams.local.local_runs import BEGIN, MINUTE, House, entry
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = 100
"""Records before the batch that is spoilt."""
CHECKSUM, ATTRIBUTES, RECORDS = 17, 21, 61
"""Where these begin in a batch: CRC-32C of all that follows it, two bytes whose last three bits are the codec, data."""
UNKNOWN_CODEC = 7


def flip(batch: bytearray) -> None:
    """Change a bit of the data, as a disk does."""
    batch[RECORDS + 20] ^= 1


def name_an_unknown_codec(batch: bytearray) -> None:
    """Make it one of a producer that is newer than all that we know."""
    batch[ATTRIBUTES + 1] |= UNKNOWN_CODEC
    struct.pack_into(">I", batch, CHECKSUM, crc32c(batch[ATTRIBUTES:]))


def break_compression(batch: bytearray) -> None:
    """Make it one of a producer that compresses wrongly."""
    batch[RECORDS:] = bytes(len(batch) - RECORDS)
    struct.pack_into(">I", batch, CHECKSUM, crc32c(batch[ATTRIBUTES:]))


SPOILT = {"flipped": flip, "codec": name_an_unknown_codec, "compression": break_compression}


def crc32c(content: bytes) -> int:
    """Give the CRC-32C (Castagnoli) of RFC 3720, bit by bit."""
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def spoil(segment: Path, how: str) -> None:
    """Change the last batch of a segment."""
    content = bytearray(segment.read_bytes())
    begins = [0]
    while (end := begins[-1] + 12 + struct.unpack_from(">i", content, begins[-1] + 8)[0]) < len(content):
        begins.append(end)
    batch = content[begins[-1] :]
    assert struct.unpack_from(">q", batch)[0] == GOOD
    SPOILT[how](batch)
    segment.write_bytes(content[: begins[-1]] + batch)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker with a topic of each kind, which it found on its disk."""
    assert crc32c(b"123456789") == 0xE3069283
    with KafkaBroker(tmp_path_factory.mktemp("spoilt")) as broker:
        admin = AdminClient({"bootstrap.servers": broker.servers})
        for done in admin.create_topics([NewTopic(topic, 1, 1) for topic in SPOILT]).values():
            done.result(60)
        producer = Producer({"bootstrap.servers": broker.servers, "compression.codec": "gzip", "linger.ms": 100})
        for first in (0, GOOD):
            for topic in SPOILT:
                for number in range(first, first + GOOD):
                    producer.produce(topic, json.dumps(entry(number, number, 5)))
            assert producer.flush(60) == 0
        broker.stop()
        for topic in SPOILT:
            spoil(broker.folder / "data" / f"{topic}-0" / f"{0:020}.log", topic)
        broker.start()
        yield broker


@pytest.mark.parametrize(
    ("topic", "why"), [("flipped", "CRC"), ("codec", "codec 0x7"), ("compression", r"codec 0x1.* failed")]
)
def test_a_batch_that_cannot_be_read_ends_the_run(broker: KafkaBroker, tmp_path: Path, topic: str, why: str) -> None:
    uri = f"kafka://{broker.servers}/{topic}"
    order = House(tmp_path).order(until=BEGIN + 60 * MINUTE)
    with pytest.raises(SourceError, match=rf"{topic}/0: the batch from offset {GOOD} on cannot be read: .*{why}"):
        carry_out(replace(order, sources={"entries": uri, "alarms": uri}))
