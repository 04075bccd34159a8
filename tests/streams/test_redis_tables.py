"""Tables out of Redis: hashes, sets and lists of a real server, by the decoder that reads the streams."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from operators.lookups import ALWAYS
from stack import RedisServer
from streams.dead_letters import DeadLetterStore
from streams.pseudonyms import Pseudonyms
from streams.tables import TableRead, read_table
from tocsin.cli import answer
from tocsin.errors import SourceError
from tocsin.model.rows import TIME
from tocsin.model.types import INT64, POINT, STRING, TIMESTAMP, Kind, Type, decimal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tocsin.compiler.plan import TablePlan

PSEUDONYMS = Pseudonyms(b"a key for these tests")
FIELDS = {"terminal": STRING, "place": POINT, "limit": decimal(2)}
LIMITS = {"terminal": STRING, "limit": decimal(2)}


def table(fields: Mapping[str, Type], *key: str, **words: object) -> TablePlan:
    """Stand in for what the compiler gives, without the compiler."""
    usual = {"name": "terminals", "key": key or ("terminal",), "fields": fields, "time": None, "file": "", "rows": None}
    return SimpleNamespace(**usual | words)  # type: ignore[return-value]  # the words that are read


class Lists:
    """A key of the test's own."""

    def __init__(self, url: str, key: str) -> None:
        self.key, self.uri = key, f"{url}/{key}"
        self.client: Any = Redis.from_url(url)

    def read(self, plan: TablePlan, folder: Path) -> TableRead:
        """Read it as a table."""
        return read_table(plan, self.uri, folder, PSEUDONYMS)


@pytest.fixture
def lists(redis_url: str, unique: str) -> Iterator[Lists]:
    lists = Lists(redis_url, unique)
    yield lists
    lists.client.delete(unique)
    lists.client.close()


def letters(read: TableRead) -> list[tuple[object, ...]]:
    return read.dead.select("stream", "offset", "reason", "field").rows()


class TestHashes:
    """The field is the key; the value the row."""

    def test_values_are_objects_or_the_text_of_the_only_other_field(self, lists: Lists, tmp_path: Path) -> None:
        objects = {
            "bj": '{"place":[39.9,116.4],"limit":5}',
            "a\"'\n,": "{}",
            "sh": ' {"terminal":"other","limit":"2.50"}',
        }
        lists.client.hset(lists.key, mapping=objects)
        read = lists.read(table(FIELDS), tmp_path)
        assert sorted(read.versions.select("terminal", "place", "limit").rows()) == [
            ("a\"'\n,", None, None),
            ("bj", {"lat": 39.9, "lon": 116.4}, 500),
            ("sh", None, 250),
        ]
        assert read.versions[TIME].to_list() == [ALWAYS] * 3
        lists.client.delete(lists.key)
        lists.client.hset(lists.key, mapping={"bj": "57.16", "sh": '{"limit":1}', 'x,"y': "7"})
        read = lists.read(table(LIMITS), tmp_path)
        assert sorted(read.versions.select("terminal", "limit").rows()) == [("bj", 5716), ("sh", 100), ('x,"y', 700)]

    def test_a_table_of_keys_alone_does_not_look_at_values(self, lists: Lists, tmp_path: Path) -> None:
        lists.client.hset(lists.key, mapping={"bj": "1", "sh": "yes"})
        read = lists.read(table({"terminal": STRING}), tmp_path)
        assert read.versions["terminal"].to_list() == ["bj", "sh"]

    def test_a_key_of_several_parts_stands_in_the_object(self, lists: Lists, tmp_path: Path) -> None:
        lists.client.hset(lists.key, mapping={"1": '{"type":"a","slot":3,"most":9}', "2": '{"type":"a"}', "3": "9"})
        fields = {"type": STRING, "slot": INT64, "most": INT64}
        read = lists.read(table(fields, "type", "slot"), tmp_path)
        assert read.versions.select(*fields).rows() == [("a", 3, 9)]
        assert letters(read) == [("terminals", 1, "missing", "slot"), ("terminals", 2, "bad-json", "")]

    def test_bad_values_are_dead_letters_in_the_order_of_the_fields(self, lists: Lists, tmp_path: Path) -> None:
        members = {
            "a": "1.00",
            "b": "1.234",
            "c": '{"limit":',
            "d": "2",
            b"e\xff": "3",
            b"f\xff": '{"limit":4}',
            "g": "",
        }
        lists.client.hset(lists.key, mapping=members)
        read = lists.read(table(LIMITS), tmp_path)
        assert read.versions.select("terminal", "limit").rows() == [("a", 100), ("d", 200), ("g", None)]
        assert letters(read) == [
            ("terminals", 1, "does-not-fit", "limit"),
            ("terminals", 2, "bad-json", ""),
            ("terminals", 4, "invalid-utf8", ""),
            ("terminals", 5, "invalid-utf8", ""),
        ]
        forms = dict(read.dead.select("offset", "form").rows())
        assert forms == {1: 'csv:["terminal", "limit"]', 2: "json", 4: 'csv:["terminal", "limit"]', 5: "json"}
        assert read.dead["raw"][0] == b'"b","1.234"'


class TestSets:
    """A member is a key, or a row."""

    def test_members_are_keys(self, lists: Lists, tmp_path: Path) -> None:
        lists.client.sadd(lists.key, "0044", "a,b", '{"terminal":"bj","limit":3}')
        read = lists.read(table(FIELDS), tmp_path)
        rows = [("0044", None), ("a,b", None), ("bj", 300)]
        assert sorted(read.versions.select("terminal", "limit").rows()) == rows

    def test_persons_are_the_pseudonyms_that_streams_have(self, lists: Lists, tmp_path: Path) -> None:
        lists.client.sadd(lists.key, "555")
        read = lists.read(table({"phone": Type(Kind.STRING, person="phone")}, "phone"), tmp_path)
        assert read.versions["phone"].item().startswith("phone:")

    def test_a_set_without_a_good_member_is_refused(self, lists: Lists, tmp_path: Path) -> None:
        lists.client.sadd(lists.key, "x", "y")
        with pytest.raises(SourceError, match="has no good row; the first: wrong-type terminal"):
            lists.read(table({"terminal": INT64}), tmp_path)


class TestLists:
    """As a set, in order: of rows with the same key the last one counts."""

    def test_the_last_of_a_key_counts(self, lists: Lists, tmp_path: Path) -> None:
        lists.client.rpush(
            lists.key, '{"terminal":"bj","limit":1}', "sh", "bad\xff".encode("latin-1"), '{"terminal":"bj","limit":2}'
        )
        read = lists.read(table(LIMITS), tmp_path)
        assert read.versions.select("terminal", "limit").rows() == [("sh", None), ("bj", 200)]
        assert letters(read) == [("terminals", 2, "invalid-utf8", "")]

    def test_rows_with_a_time_are_versions(self, lists: Lists, tmp_path: Path) -> None:
        lists.client.rpush(lists.key, *(json.dumps({"terminal": "a", "at": at}) for at in (200, 100)))
        read = lists.read(table({"terminal": STRING, "at": TIMESTAMP}, time="at"), tmp_path)
        assert read.versions.select("terminal", TIME).rows() == [("a", 100), ("a", 200)]


class TestWhatIsRefused:
    """Before the run starts, in a sentence."""

    def test_a_key_that_is_not_there_or_no_list(self, lists: Lists, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=f"{lists.key}: there is no such key; expected a hash, a set or a list"):
            lists.read(table(LIMITS), tmp_path)
        lists.client.set(lists.key, "bj")
        with pytest.raises(SourceError, match=f"{lists.key} is a string; expected a hash, a set or a list"):
            lists.read(table(LIMITS), tmp_path)

    def test_a_server_that_is_not_there_or_refuses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        server = RedisServer(tmp_path / "server")
        uri = f"{server.url}/list"
        with pytest.raises(SourceError, match="cannot be reached"):
            read_table(table(LIMITS), uri, tmp_path, PSEUDONYMS)
        with server:
            client: Any = Redis.from_url(server.url)
            client.rpush("list", "bj")
            client.config_set("requirepass", "secret")
            client.close()
            with pytest.raises(SourceError, match="refuses the login"):
                read_table(table(LIMITS), uri, tmp_path, PSEUDONYMS)
            monkeypatch.setenv("TOCSIN_REDIS_PASSWORD", "secret")
            assert read_table(table(LIMITS), uri, tmp_path, PSEUDONYMS).versions["terminal"].to_list() == ["bj"]

    @pytest.mark.parametrize("uri", ["redis://host/0", "redis://host", "redis://host/key", "redis://u:p@host/0/key"])
    def test_addresses(self, uri: str, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"expected redis://HOST:PORT/DB/KEY|put them into TOCSIN_REDIS_USER"):
            read_table(table(LIMITS), uri, tmp_path, PSEUDONYMS)


TOPOLOGY = """
topology: {name: shop, zone: UTC}
streams:
  payments:
    id: id
    time: {field: at, lateness: 1s}
    fields: {id: int64, at: timestamp, terminal: string, amount: decimal(2)}
tables:
  limits: {key: terminal, fields: {terminal: string, most: decimal(2)}, topic: lists.shop.limit.v1}
rules:
  too-much:
    from: payments
    entity: terminal
    levels: {red: "amount > limits(terminal).most"}
    keep: 10m
    says: "{amount} is more than {limits(terminal).most}"
"""


class TestARun:
    """From the command line."""

    def test_rules_look_up_what_is_in_redis(
        self, lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lists.client.hset(lists.key, mapping={"bj": "5.00", "sh": "50.00", "hk": "much"})
        events = [
            {"id": n, "at": 1_700_000_000_000 + n, "terminal": t, "amount": 9} for n, t in enumerate(("bj", "sh"))
        ]
        (tmp_path / "payments.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
        (tmp_path / "shop.yaml").write_text(TOPOLOGY)
        monkeypatch.chdir(tmp_path)
        sources = ["--source", "payments=ndjson:payments.ndjson", "--source", f"limits={lists.uri}"]
        monkeypatch.setattr("sys.argv", ["tocsin", "run", "shop.yaml", *sources, "--sink", "ndjson:alerts.ndjson"])
        assert answer([]) == 0
        alerts = [json.loads(line) for line in (tmp_path / "alerts.ndjson").read_text().splitlines()]
        assert [alert["entity"]["terminal"] for alert in alerts] == ["bj"]
        (letter,) = DeadLetterStore(tmp_path / ".tocsin" / "shop" / "dead").letters("limits").rows(named=True)
        assert (letter["offset"], letter["reason"], letter["raw"]) == (1, "wrong-type", b'"hk","much"')
