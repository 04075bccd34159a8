"""The ClickHouse server: over the wire to a real one (18.16), and what the driver writes read by a current engine."""

# names are put together here, values never

from __future__ import annotations

import socket
import socketserver
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner
from clickhouse_driver.errors import ServerException
from engine_client import EngineClient
from polars.testing import assert_frame_equal
from transition_rows import BASE, bring, frame, log, names, transition

from sinks.backoff import Backoff
from sinks.clickhouse_address import PREFIX, ClickHouseAddress, parse_address
from sinks.clickhouse_connection import Connection, refusal
from sinks.clickhouse_ddl import NAMES, Dialect, columns, statements
from sinks.clickhouse_read import ClickHouseReader, Filter
from sinks.clickhouse_server import COLUMNS, ClickHouseServerSink, insertable
from sinks.clickhouse_session import Engine
from sinks.contract import Batching
from sinks.delivery import Delivery
from sinks.opening import make_sink, open_sink
from sinks.pending import Limits
from stack import ClickHouseServer
from tests.waiting import wait_until
from tocsin.cli.alerts import command as alerts
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.model.alerts import CLOSED_AT_BIRTH, TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

WITHIN = 120.0
"""Seconds; the machines are shared."""
PASSWORD = "correct horse"  # noqa: S105  # of a server of this test

USERS = f"""<yandex>
  <profiles><default/><readonly><readonly>1</readonly></readonly></profiles>
  <users>
    <default><password>{PASSWORD}</password><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>default</quota></default>
    <reader><password>{PASSWORD}</password><networks><ip>127.0.0.1</ip></networks>
      <profile>readonly</profile><quota>default</quota></reader>
  </users>
  <quotas><default/></quotas>
</yandex>
"""


class GuardedServer(ClickHouseServer):
    """Wants a password, and knows a user who may only read."""

    def prepare(self) -> None:
        """Write who may log in."""
        super().prepare()
        (self.folder / "users.xml").write_text(USERS, encoding="utf-8")


class Eager(ClickHouseServerSink):
    """Does not wait a second for more."""

    batching = Batching(rows=50_000, seconds=0.0)


def deliver(uri: str, *batches: pl.DataFrame) -> list[str]:
    """Deliver batches; give what the sink had to say."""
    said: list[str] = []
    bring(ClickHouseServerSink(uri, say=said.append), *batches)
    return said


@pytest.fixture
def uri(clickhouse_server: tuple[str, int], unique: str) -> Iterator[str]:
    """Give a database of the test's own."""
    host, port = clickhouse_server
    yield f"clickhouse://{host}:{port}/{unique}"
    with Connection(ClickHouseAddress(host, port)) as connection:
        connection.run(f"DROP DATABASE IF EXISTS {unique}")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    server = GuardedServer(tmp_path_factory.mktemp("guarded"))
    server.launch()
    wait_until(server.answers)
    yield server
    server.kill()


@contextmanager
def tls_before(server: tuple[str, int], pair: Path) -> Iterator[int]:
    """Stand before a server and speak TLS for it, with the certificate in `pair`; give the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair / "cert.pem", pair / "key.pem")

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection(server) as behind,
            ):
                back = threading.Thread(target=relay, args=(behind, client))
                back.start()
                relay(client, behind)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as relays:
        threading.Thread(target=relays.serve_forever, args=(0.01,)).start()
        yield relays.server_address[1]
        relays.shutdown()


def relay(giver: socket.socket, taker: socket.socket) -> None:
    """Pass on what comes until no more does."""
    with suppress(OSError):
        while data := giver.recv(1 << 16):
            taker.sendall(data)
    with suppress(OSError):
        taker.shutdown(socket.SHUT_RDWR)


class TestWhatIsShown:
    """What is asked of a folder can be asked of a server."""

    def test_an_alert_comes_back_exactly(self, uri: str) -> None:
        awkward = transition("a", 1, says="'\\\n\tü\0", evidence=[{"id": None, "position": None}], values='{"x":12.30}')
        batch = frame(awkward, transition("b", 1, evidence=[]), transition("c", 1, evidence=None, says=None))
        deliver(uri, batch.with_columns(pl.lit(1).alias("__time")))
        with ClickHouseReader(uri) as reader:
            found = reader.alerts()
            assert found["raised_at"].to_list() == [BASE + 1000] * 3
            clean = batch.with_columns(pl.col("says").fill_null(""), pl.col("evidence").fill_null([]))
            assert_frame_equal(found.select(list(TRANSITIONS)), clean)
            assert_frame_equal(reader.history("a"), frame(awkward))

    def test_the_last_transition_counts_and_open_alerts_come_first(self, uri: str) -> None:
        deliver(uri, log("a1", "b1", "b2-"), frame(transition("d", 1, reason=CLOSED_AT_BIRTH)))
        with ClickHouseReader(uri) as reader:
            found = reader.alerts()
            assert found["alert_id"].to_list() == ["a", "d", "b"]
            assert [bool(value) for value in found["open"]] == [True, False, False]
            assert names(reader.alerts(open_only=True)) == ["a1"]
            assert names(reader.alerts(most=1)) == ["a1"]
            assert reader.alerts(Filter(rule="it's none")).is_empty()

    def test_counts_are_per_rule_kind_level_and_minute_of_event_time(self, uri: str) -> None:
        late = transition("z", 1, "blue", time=BASE + 61_000, rule="other")
        deliver(uri, log("a1", "b1", "a2-", "c1*"), frame(late), log("a1", "c1*", "c1"))
        with ClickHouseReader(uri) as reader:
            assert reader.counts().rows() == [
                ("card-velocity", "cleared", "clear", BASE, 1),
                ("card-velocity", "raised", "red", BASE, 3),
                ("other", "raised", "blue", BASE + 60_000, 1),
            ]
            assert reader.counts(Filter(rule="other"))["transitions"].to_list() == [1]
            assert reader.counts(Filter(until=BASE + 60_000))["transitions"].to_list() == [1, 3]
            assert names(reader.alerts(Filter(since=BASE + 60_000))) == ["z1"]
            assert reader.query("SELECT count() AS n FROM transitions")["n"].to_list() == [8]

    def test_the_command_line_reads_a_server(self, uri: str) -> None:
        deliver(uri, log("a1", "b1", "b2-"))
        listed = CliRunner().invoke(alerts, ["--store", uri, "--open", "--json"])
        assert pl.read_ndjson(listed.output.encode())["alert_id"].to_list() == ["a"]
        asked = CliRunner().invoke(alerts, ["--store", uri, "--json", "--sql", "select count() as n from history"])
        assert asked.output == '{"n":3}\n'

    def test_a_database_without_alerts_is_no_empty_answer(self, uri: str) -> None:
        with pytest.raises(SinkError, match="has nothing been written to it"):
            ClickHouseReader(uri)
        with pytest.raises(SinkError, match="the database default holds no alerts"):
            ClickHouseReader(uri.rpartition("/")[0] + "/default")


class TestAnOldServer:
    """18.16 knows neither DateTime64 nor time to live: it gets what it knows, and says so."""

    def test_says_once_what_it_cannot_do(self, uri: str) -> None:
        (said,) = deliver(uri, log("a1"))
        assert "is 18.16, older than 21.12" in said
        assert deliver(uri, log("b1")) == []

    def test_what_the_tables_are_counts_not_what_the_server_could_make(self) -> None:
        batch = frame(transition("a", 1), transition("b", 1, evidence=[]), transition("c", 1, evidence=None))
        old, new = (dict(columns(Dialect(version))) for version in ((18, 16), (24, 3)))
        at = COLUMNS.index("evidence")
        assert insertable(batch, 7, old)[at] == ['[{"id":"e1","position":281474976710656}]', "[]", "[]"]
        assert insertable(batch, 7, new)[at] == [[("e1", 1 << 48)], [], []]
        assert insertable(batch, 7, new)[COLUMNS.index("recorded_at")] == [7, 7, 7]


class TestACurrentServer:
    """No server of today is on the machine, but its engine is: it gets and gives the blocks of the driver."""

    @pytest.fixture
    def today(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        with Engine(tmp_path / "house", create=True) as engine:
            assert engine._session is not None
            client = EngineClient(engine._session, tmp_path)
            monkeypatch.setattr("sinks.clickhouse_connection.Client", lambda *_, **__: client)
            yield "clickhouse://today/tocsin"

    def test_alerts_come_back_exactly(self, today: str) -> None:
        pairs = [{"id": None, "position": None}, {"id": "e", "position": 1}]
        batch = frame(
            transition("a", 2, says="'\\\n\tü", evidence=pairs, time=BASE + 7),
            transition("b", 1, evidence=[]),
            transition("c", 1, early=True, time=BASE + 1),
        )
        assert deliver(today, batch) == []
        with ClickHouseReader(today) as reader:
            found = reader.alerts()
            assert_frame_equal(found.select(list(TRANSITIONS)).sort("alert_id"), batch)
            assert sorted(found["raised_at"]) == [BASE + 1, BASE + 7, BASE + 1000]
            assert_frame_equal(reader.history("a"), batch.filter(alert_id="a"))
            assert reader.query("SELECT toTypeName(time) AS t FROM transitions")["t"][0] == "DateTime64(3, 'UTC')"

    def test_second_deliveries_and_early_copies_change_nothing(self, today: str) -> None:
        deliver(today, log("a1", "b1*", "a2-"), log("b1", "c1"), log("b1*", "a2-", "b1"), log("a1"))
        with ClickHouseReader(today) as reader:
            assert sorted(names(reader.alerts())) == ["a2-", "b1", "c1"]
            assert names(reader.alerts(Filter(since=BASE + 2000))) == ["a2-"]
            assert reader.alerts(Filter(rule="it's none")).is_empty()
            assert reader.counts()["transitions"].to_list() == [1, 3]
            assert reader.counts(Filter(since=BASE + 60_000)).is_empty()

    def test_errors_are_told_apart_by_their_codes(self, today: str) -> None:
        deliver(today)
        with ClickHouseReader(today) as reader:
            with pytest.raises(SinkError, match="Unknown expression identifier `nothing`") as error:
                reader.query("SELECT nothing")
            assert not isinstance(error.value, SinkUnavailable)
            throwing = "SETTINGS allow_custom_error_code_in_throwif = 1"
            with pytest.raises(SinkUnavailable):
                reader.query(f"SELECT throwIf(1, 'x', 252::Int16) {throwing}")


class TestAServerThatIsAway:
    """Killed in the middle and back after a while: nothing is lost, nothing doubles, nothing grows meanwhile."""

    def test_what_comes_meanwhile_waits_bounded_and_arrives_once(self, tmp_path: Path) -> None:
        with ClickHouseServer(tmp_path / "server") as server:
            uri = f"clickhouse://{server.address}/away"
            sink = Eager(uri, say=lambda _: None)
            delivery = Delivery("s", sink, limits=Limits(rows=50), backoff=Backoff(most=0.1))
            delivery.start()
            assert delivery.offer(log(*(f"a{number}" for number in range(1, 21))), 20)
            wait_until(lambda: delivery.delivered == 20)
            server.kill()
            assert delivery.offer(log("b1", "a1"), 22)
            wait_until(lambda: delivery.trouble is not None)
            assert "cannot be reached" in str(delivery.trouble)
            taken = 22
            while delivery.offer(log("c1"), taken + 1):
                taken += 1
            assert taken == 22 + 50
            assert delivery.delivered == 20
            server.start()
            wait_until(lambda: delivery.delivered == taken)
            assert delivery.trouble is None
            assert delivery.offer(log("c1"), taken + 1, wait=WITHIN)
            assert delivery.close(WITHIN)
            with ClickHouseReader(uri) as reader:
                assert names(reader.history("a")) == [f"a{number}" for number in range(1, 21)]
                assert sorted(names(reader.alerts())) == ["a20", "b1", "c1"]
                assert reader.counts()["transitions"].sum() == 22

    def test_one_that_is_not_there_yet_is_waited_for(self, tmp_path: Path) -> None:
        server = ClickHouseServer(tmp_path / "server")
        delivery = Delivery(
            "s", Eager(f"clickhouse://{server.address}/late", say=lambda _: None), backoff=Backoff(most=0.1)
        )
        delivery.start()
        assert delivery.trouble is not None
        assert delivery.offer(log("a1"), 1)
        with server:
            wait_until(lambda: delivery.delivered == 1)
            assert delivery.close(WITHIN)

    def test_one_that_hangs_is_left_and_asked_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with ClickHouseServer(tmp_path / "server") as server:
            uri = f"clickhouse://{server.address}/hanging"
            deliver(uri, log("a1"))
            monkeypatch.setattr("sinks.clickhouse_connection.ANSWER_SECONDS", 2.0)
            delivery = Delivery("s", Eager(uri), backoff=Backoff(most=0.1))
            delivery.start()
            server.pause()
            assert delivery.offer(log("a1", "b1"), 2)
            wait_until(lambda: delivery.trouble is not None)
            server.resume()
            assert delivery.close(WITHIN)
            with ClickHouseReader(uri) as reader:
                assert sorted(names(reader.alerts())) == ["a1", "b1"]
                assert reader.counts()["transitions"].sum() == 2

    def test_killed_in_the_midst_of_inserts_it_has_what_it_confirmed(self, tmp_path: Path) -> None:
        with ClickHouseServer(tmp_path / "server") as server:
            uri = f"clickhouse://{server.address}/killed"
            delivery = Delivery("s", Eager(uri, say=lambda _: None), backoff=Backoff(most=0.1))
            delivery.start()
            for number in range(1, 1501):
                assert delivery.offer(log(f"a{number}"), number, wait=WITHIN)
                if number == 300:  # inserts are under way
                    wait_until(lambda: delivery.delivered > 0)
                    server.restart()
            assert delivery.close(WITHIN)
            with ClickHouseReader(uri) as reader:
                assert names(reader.history("a")) == [f"a{number}" for number in range(1, 1501)]
                assert reader.counts()["transitions"].sum() == 1500


class TestWhatIsRefused:
    """Each with a sentence that says what to do."""

    def test_a_wrong_login_and_one_from_a_file(
        self, guarded: GuardedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        uri = f"clickhouse://{guarded.address}/login"
        with pytest.raises(SinkError, match=r"refuses the login .*: check TOCSIN_CLICKHOUSE_USER") as error:
            deliver(uri, log("a1"))
        assert not isinstance(error.value, SinkUnavailable)
        secret = tmp_path / "password"
        monkeypatch.setenv("TOCSIN_CLICKHOUSE_PASSWORD_FILE", str(secret))
        with pytest.raises(SinkError, match=r"TOCSIN_CLICKHOUSE_PASSWORD_FILE: .*password cannot be read"):
            deliver(uri, log("a1"))
        secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
        deliver(uri, log("a1"))
        with ClickHouseReader(uri) as reader:
            assert names(reader.alerts()) == ["a1"]
        monkeypatch.setenv("TOCSIN_CLICKHOUSE_USER", "nobody")
        with pytest.raises(SinkError, match="refuses the login"):
            ClickHouseReader(uri)

    def test_a_user_who_may_not_write(self, guarded: GuardedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOCSIN_CLICKHOUSE_PASSWORD", PASSWORD)
        monkeypatch.setenv("TOCSIN_CLICKHOUSE_USER", "reader")
        with pytest.raises(SinkError, match=r"does not allow it .*: grant the user CREATE, SELECT and INSERT") as error:
            deliver(f"clickhouse://{guarded.address}/rights", log("a1"))
        assert not isinstance(error.value, SinkUnavailable)

    def test_tables_that_are_there_need_no_right_to_make_any(
        self, guarded: GuardedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TOCSIN_CLICKHOUSE_PASSWORD", PASSWORD)
        uri = f"clickhouse://{guarded.address}/made"
        deliver(uri)
        monkeypatch.setenv("TOCSIN_CLICKHOUSE_USER", "reader")
        sink = ClickHouseServerSink(uri)
        sink.open()
        with pytest.raises(SinkError, match="does not allow it"):
            sink.deliver(log("a1"))
        sink.close()

    def test_only_what_is_missing_needs_rights(self, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
        deliver(uri, log("a1"))
        with Connection(parse_address(uri), inside=True) as connection:
            connection.run("DROP TABLE history")
        ran: list[str] = []
        monkeypatch.setattr(Connection, "run", lambda _, statement: ran.append(statement))
        deliver(uri)
        assert not [statement for statement in ran if "CREATE DATABASE" in statement]
        assert [statement for statement in ran if ".history AS" in statement]

    def test_a_table_of_somebody_else(self, uri: str) -> None:
        address = parse_address(uri)
        with Connection(address) as connection:
            connection.run(f"CREATE DATABASE {address.database}")
            connection.run(f"CREATE TABLE {address.database}.transitions (alert_id String, early UInt8) ENGINE = Log")
            for name in ("alert_states", "fill_alert_states", "rule_minute_states", "fill_rule_minute_states"):
                connection.run(f"CREATE TABLE {address.database}.{name} (a UInt8) ENGINE = Log")
            for name in ("alerts", "history", "rule_minutes"):
                connection.run(f"CREATE TABLE {address.database}.{name} (a UInt8) ENGINE = Log")
        with pytest.raises(SinkError, match=r"lacks the columns sequence, .*: something else made it"):
            deliver(uri, log("a1"))

    def test_too_many_parts_pass_by_themselves(self, uri: str) -> None:
        deliver(uri)
        address = parse_address(uri)
        with Connection(address) as connection:
            made = connection.rows(f"SHOW CREATE TABLE {address.database}.transitions")[0][0]
            connection.run(f"DROP TABLE {address.database}.transitions")
            throwing = "parts_to_delay_insert = 1, parts_to_throw_insert = 2"
            connection.run(f"{made}, {throwing}" if "SETTINGS" in made else f"{made} SETTINGS {throwing}")
            connection.run("SYSTEM STOP MERGES")
        sink = ClickHouseServerSink(uri)
        sink.open()
        try:
            with pytest.raises(SinkUnavailable, match="Too many parts"):
                deliver(uri, *(log(f"a{number}") for number in range(1, 9)))
        finally:
            with Connection(address) as connection:
                connection.run("SYSTEM START MERGES")
                connection.run(f"OPTIMIZE TABLE {address.database}.transitions FINAL")
        wait_until(lambda: self._takes(sink))
        sink.close()

    @staticmethod
    def _takes(sink: ClickHouseServerSink) -> bool:
        try:
            sink.deliver(log("b1"))
        except SinkUnavailable:
            return False
        return True

    def test_tls_wants_a_certificate_that_it_trusts(
        self, clickhouse_server: tuple[str, int], unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
        pair = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*words, *pair], cwd=tmp_path, check=True, capture_output=True)
        with tls_before(clickhouse_server, tmp_path) as port:
            uri = f"clickhouse://127.0.0.1:{port}/{unique}?secure=true"
            with pytest.raises(SinkError, match="CERTIFICATE_VERIFY_FAILED") as error:
                deliver(uri, log("a1"))
            assert not isinstance(error.value, SinkUnavailable)
            monkeypatch.setenv("TOCSIN_CLICKHOUSE_CA_FILE", str(tmp_path / "cert.pem"))
            deliver(uri, log("a1"))
            with ClickHouseReader(uri) as reader:
                assert names(reader.alerts()) == ["a1"]
        monkeypatch.setenv("TOCSIN_CLICKHOUSE_CA_FILE", "/none.pem")
        with pytest.raises(SinkError, match=r"TOCSIN_CLICKHOUSE_CA_FILE: there is no file /none\.pem"):
            deliver(uri)

    @pytest.mark.parametrize(
        ("code", "kind"),
        [(252, SinkUnavailable), (241, SinkUnavailable), (999, SinkUnavailable), (516, SinkError), (62, SinkError)],
    )
    def test_codes_say_what_is_worth_another_try(self, code: int, kind: type) -> None:
        assert type(refusal(ClickHouseAddress("h"), ServerException("DB::Exception: no. Stack trace: x", code))) is kind

    @pytest.mark.parametrize(
        ("target", "says"),
        [
            ("clickhouse://ann:pw@host/tocsin", "holds a name or password: put them into TOCSIN_CLICKHOUSE_USER"),
            ("clickhouse://host:port/tocsin", "is no ClickHouse address"),
            ("clickhouse:///tocsin", "is no ClickHouse address"),
            ("//host/a-b", "is no name of a database"),
            ("//host/tocsin?compress=1", "the only option"),
        ],
    )
    def test_addresses(self, target: str, says: str) -> None:
        with pytest.raises(SinkError, match=says) as error:
            make_sink("clickhouse", target)
        assert "pw" not in str(error.value)

    def test_what_an_address_means(self) -> None:
        assert parse_address("//db") == ClickHouseAddress("db", 9000, "tocsin")
        assert parse_address("clickhouse://db/x?secure=true") == ClickHouseAddress("db", 9440, "x", secure=True)
        assert isinstance(open_sink("clickhouse://db:9001/x"), ClickHouseServerSink)


class TestTheDocumentation:
    """docs/clickhouse.md says what is there."""

    def test_it_names_tables_and_variables(self) -> None:
        page = (Path(__file__).parents[2] / "docs/clickhouse.md").read_text(encoding="utf-8")
        for name in NAMES:
            assert name.startswith("fill_") != (f"`{name}`" in page)
        for variable in ("USER", "PASSWORD", "USER_FILE", "PASSWORD_FILE", "CA_FILE"):
            assert f"`{PREFIX}{variable}`" in page

    def test_the_names_are_what_the_statements_make(self) -> None:
        made = [statement.split(" tocsin.")[1].split(" ")[0] for statement in list(statements())[1:]]
        assert made == list(NAMES)
