"""Tables out of topics: all partitions from their beginning, and what comes later (semantics 20).

A record's value is a row; it holds from the record's timestamp on, or from the time in the field that the table names.
A record without a value deletes, from its timestamp on, the row that its key names: by the text of the one field of the
table's key, or by a JSON array of the texts of several. What is no row is a dead letter with its partition and offset.

Whoever calls does all the work: librdkafka fetches beside it, and no other thread may call it.
"""

from __future__ import annotations

import json
from contextlib import closing
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec
import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from operators.lookups import ALWAYS, GONE
from streams.codecs.decoder import INGESTED, OFFSET, Decoder
from streams.codecs.reasons import Dead, Reason, shown
from streams.codecs.record import Layout
from streams.dead_letters import NO_LETTERS, dead_frame
from streams.kafka.payloads import records_of, stamps_of
from streams.kafka.reader import SETTINGS, TAKEN_ROWS
from streams.sources.contract import Records
from streams.tables import TableRead, layout_of, versions_of
from tocsin.errors import SourceError
from tocsin.kafka import client_settings, hopeless, make_client, parse_address
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.pseudonyms import Pseudonyms
    from tocsin.compiler.plan import TablePlan

FORMATS = ("json", "ndjson")
"""What a message's value may be."""
PATIENCE_SECONDS = 30.0
"""How long a broker may say nothing while a table is read."""
WAIT_SECONDS = 0.1
_GROUP = "tocsin-tables"
"""The client asks for one; nothing is committed to it."""
_PARTS = msgspec.json.Decoder(list[str])


class TopicRows(NamedTuple):
    """What records became: the table's fields, `__time`, `__gone`, by partition and offset; dead letters by DEAD.

    Identifiers of persons are raw. `ends`: the offset of the next record, by partition.
    """

    rows: pl.DataFrame
    dead: pl.DataFrame
    ends: Mapping[int, int]


class TableTopic:
    """A table's topic as a client reads it. SourceError if the address is none, or the format cannot be read."""

    def __init__(self, table: TablePlan, uri: str) -> None:
        self.table = table
        self.address = parse_address(uri)
        self.address.refuse_options_but()
        if table.format not in FORMATS:
            raise SourceError(
                f"table {table.name}: values of format {table.format} cannot be read from Kafka yet, only json"
            )
        self.trouble = ""
        self.offsets: dict[int, int] = {}
        self._decoder = Decoder(layout_of(table))
        keys = {name: table.fields[name] for name in table.key}
        self._key_decoder = Decoder(Layout(keys, "", keys=table.key))
        settings = {**SETTINGS, "auto.offset.reset": "earliest", "group.id": _GROUP}
        self._consumer: Consumer = make_client(
            "Consumer", {**settings, **client_settings(self.address.servers), "error_cb": self._note}, SourceError
        )

    def bounds(self) -> dict[int, tuple[int, int]]:
        """Give the first offset of each partition and the next one to come.

        SourceError if there is no such topic, if no broker answers, or if we may not read.
        """
        try:
            found = self._consumer.list_topics(self.address.topic, timeout=PATIENCE_SECONDS).topics[self.address.topic]
            self._refuse(found.error)
            return {
                number: self._consumer.get_watermark_offsets(self._at(number), timeout=PATIENCE_SECONDS)
                for number in sorted(found.partitions)
            }
        except KafkaException as error:
            self._refuse(error.args[0])
            why = self.trouble or error.args[0].str()
            raise SourceError(f"{self._what}: the brokers do not answer: {why}") from None

    def begin(self, offsets: Mapping[int, int]) -> None:
        """Fetch from these offsets on, by partition."""
        self.offsets = dict(offsets)
        self._consumer.assign([self._at(number, offset) for number, offset in offsets.items()])

    def take(self, seconds: float = 0.0) -> TopicRows:
        """Give what has come, after waiting for at most so long; SourceError if nothing ever will."""
        messages = self._consumer.consume(TAKEN_ROWS, seconds)
        rows, dead = [self._empty()], [NO_LETTERS]
        for (number, is_event), run in groupby(messages, lambda one: (one.partition(), one.error() is not None)):
            if is_event:
                for event in run:
                    self._heed(number, event)
            else:
                found, letters = self._decoded(cast("int", number), list(run))
                rows.append(found)
                dead.append(letters)
        return TopicRows(pl.concat(rows), pl.concat(dead), dict(self.offsets))

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _decoded(self, number: int, messages: Sequence[Message]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Read consecutive messages of a partition."""
        self.offsets[number] = cast("int", messages[-1].offset()) + 1
        self.trouble = ""
        rows, dead = [self._empty().with_columns(pl.Series(OFFSET, [], pl.Int64))], list[Dead]()
        if given := [message for message in messages if message.value()]:
            decoded = self._decoder.decode(records_of(given))
            valid_from = pl.col(self.table.time) if self.table.time else pl.col(INGESTED).fill_null(ALWAYS)
            rows.append(
                self._shaped(decoded.rows.with_columns(valid_from.alias(TIME), pl.lit(value=False).alias(GONE)))
            )
            dead += decoded.dead
        if gone := [message for message in messages if not message.value()]:
            keys, refused = self._keys(gone)
            decoded = self._key_decoder.decode(keys)
            valid_from = pl.col(INGESTED).fill_null(ALWAYS)
            rows.append(self._shaped(decoded.rows.with_columns(valid_from.alias(TIME), pl.lit(value=True).alias(GONE))))
            dead += [*refused, *decoded.dead]
        letters = dead_frame(self.table.name, number, sorted(dead, key=lambda letter: letter.offset))
        return pl.concat(rows).sort(OFFSET).drop(OFFSET), letters

    def _keys(self, messages: Sequence[Message]) -> tuple[Records, list[Dead]]:
        """Give the keys of deletions as JSON objects of the key's fields, and those that are none."""
        documents, refused = list[bytes](), list[Dead]()
        for message in messages:
            read = _key_of(message.key(), self.table.key)
            if isinstance(read, Dead):
                refused.append(read._replace(offset=cast("int", message.offset())))
            documents.append(b"" if isinstance(read, Dead) else json.dumps(read).encode())
        offsets = [cast("int", message.offset()) for message in messages]
        return Records.of(documents, offsets, stamps_of(messages)), refused

    def _shaped(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give the columns of versions, and the offset; fields that are not there are null."""
        fields = self.table.fields
        return rows.select(
            *(
                pl.col(name) if name in rows.columns else pl.lit(None, of.physical).alias(name)
                for name, of in fields.items()
            ),
            *(TIME, GONE, OFFSET),
        )

    def _empty(self) -> pl.DataFrame:
        fields = {name: type_.physical for name, type_ in self.table.fields.items()}
        return pl.DataFrame(schema={**fields, TIME: pl.Int64(), GONE: pl.Boolean()})

    def _heed(self, number: int | None, event: Message) -> None:
        """Take the end of a partition, or an error; SourceError if it is one for good."""
        error = cast("KafkaError", event.error())
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's own codes are spelled so
            self.offsets[cast("int", number)] = cast("int", event.offset())
            self.trouble = ""
        else:
            self._note(error)
            self._refuse(error)

    def _note(self, error: KafkaError) -> None:
        self.trouble = f"{self.address.plain}: {error.str()}"

    def _refuse(self, error: KafkaError | None) -> None:
        """Raise SourceError for what waiting does not make good."""
        if error is None or error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return
        if error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:  # noqa: SLF001
            raise SourceError(
                f"{self._what} does not exist, or we may not see it: `tocsin topics apply` with the topology and "
                f"--kafka {self.address.servers} makes it"
            )
        if hopeless(error) or error.fatal():
            raise SourceError(f"{self._what} cannot be read: {error.str()}")

    @property
    def _what(self) -> str:
        return f"the table {self.table.name}: {self.address.plain}"

    def _at(self, number: int, offset: int = 0) -> TopicPartition:
        return TopicPartition(self.address.topic, number, offset)


class FollowedTable:
    """A table's topic while a run goes on, from the offsets at which it was read before. One thread calls it.

    `pseudonyms`: not shared with another thread.
    """

    def __init__(self, table: TablePlan, uri: str, offsets: Mapping[int, int], pseudonyms: Pseudonyms) -> None:
        self.name = table.name
        self._make: Callable[[], TableTopic] = lambda: TableTopic(table, uri)
        self._offsets = offsets
        self._pseudonyms = pseudonyms
        self._topic: TableTopic | None = None

    def start(self) -> None:
        """Begin to fetch."""
        self._topic = self._make()
        self._topic.begin(self._offsets)

    def changes(self) -> TableRead | None:
        """Give what has come, None if nothing has; SourceError if nothing ever will."""
        read = None if self._topic is None else self._topic.take()
        if self._topic is None or read is None or not (read.rows.height or read.dead.height):
            return None
        return TableRead(versions_of(read.rows, self._topic.table, self._pseudonyms), read.dead, read.ends)

    @property
    def trouble(self) -> str:
        """Say why nothing comes, "" if brokers answer."""
        return "" if self._topic is None else self._topic.trouble

    def close(self) -> None:
        """Stop fetching."""
        if self._topic is not None:
            self._topic.close()


def read_topic(table: TablePlan, uri: str) -> TopicRows:
    """Read the topic `kafka://HOST/TOPIC` from its beginning to its end as it is now.

    SourceError if there is no such topic, if we may not read it, or if brokers say nothing for PATIENCE_SECONDS.
    """
    with closing(TableTopic(table, uri)) as topic:
        bounds = topic.bounds()
        topic.begin({number: first for number, (first, _) in bounds.items()})
        read, heard = [topic.take()], monotonic()
        while any(topic.offsets[number] < end for number, (_, end) in bounds.items()):
            before = dict(topic.offsets)
            read.append(topic.take(WAIT_SECONDS))
            heard = monotonic() if topic.offsets != before else heard
            if monotonic() - heard > PATIENCE_SECONDS:
                why = topic.trouble or "nothing comes"
                raise SourceError(f"the table {table.name}: {topic.address.plain} cannot be read to its end: {why}")
        return TopicRows(pl.concat([r.rows for r in read]), pl.concat([r.dead for r in read]), dict(topic.offsets))


def require_topic(table: TablePlan, uri: str) -> None:
    """Raise SourceError if a table's topic is not there."""
    with closing(TableTopic(table, uri)) as topic:
        topic.bounds()


def _key_of(key: bytes | None, names: Sequence[str]) -> dict[str, str] | Dead:
    """Give the texts of a message's key by the fields of the table's key; a dead letter (of offset 0) if it is none."""
    if key is None:
        return Dead(0, Reason.MISSING, "", "neither value nor key: it deletes nothing", None, b"")
    try:
        text = key.decode()
        parts = [text] if len(names) == 1 else _PARTS.decode(text)
    except UnicodeDecodeError:
        return Dead(0, Reason.INVALID_UTF8, "", f"the key {shown(key)} is not UTF-8", None, b"", key)
    except msgspec.DecodeError:
        parts = []
    if len(parts) != len(names):
        expected = f"a JSON array of the texts of {', '.join(names)}"
        return Dead(0, Reason.BAD_JSON, "", f"the key {shown(key)} is not {expected}", None, b"", key)
    return dict(zip(names, parts, strict=True))
