"""Redis: what is current, by entity and area, and a stream; each transition once, whatever crashed in between."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from transition_rows import bring, frame, log, transition

from sinks import redis_script
from sinks.backoff import Backoff
from sinks.delivery import Delivery
from sinks.ndjson import encode
from sinks.opening import make_sink
from sinks.pending import Limits
from sinks.redis import DAY, Keeping, RedisSink
from sinks.redis_address import PREFIX, RedisAddress, parse_address
from stack import RedisServer
from tests.waiting import wait_until
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.model.alerts import CLOSED_AT_BIRTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


WITHIN = 60.0
"""Seconds; the machines are shared."""
PASSWORD = "correct horse"  # noqa: S105  # of a server of this test


def silent(_: str) -> None:
    """Hear nothing."""


class Place:
    """A topology of the test's own in a Redis, and what is in it."""

    def __init__(self, url: str, topology: str) -> None:
        self.url, self.topology = url, topology
        self.client: Any = Redis.from_url(url, decode_responses=True)

    def __enter__(self) -> Self:
        """Give the place."""
        return self

    def __exit__(self, *_: object) -> None:
        """Empty it."""
        for key in self.client.keys(f"{self.prefix}*"):
            self.client.delete(key)
        self.client.close()

    @property
    def prefix(self) -> str:
        """What keys begin with."""
        return f"tocsin:{self.topology}:"

    def deliver(self, *batches: pl.DataFrame, **options: Any) -> list[str]:  # noqa: ANN401  # those of RedisSink
        """Deliver batches; give what the sink had to say."""
        said: list[str] = []
        bring(RedisSink(self.url, say=said.append, **options), *map(self.own, batches))
        return said

    def own(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Give a batch as if of the topology."""
        return batch.with_columns(topology=pl.lit(self.topology))

    def members(self, name: str) -> list[str]:
        """Give the alerts of a sorted set that are current, as readers ask for them."""
        seconds, micros = self.client.time()
        now = seconds * 1000 + micros // 1000
        return sorted(self.client.zrange(f"{self.prefix}{name}", now, "+inf", byscore=True))

    def alert(self, alert_id: str) -> dict[str, str]:
        """Give the hash of an alert."""
        found: dict[str, str] = self.client.hgetall(f"{self.prefix}alert:{alert_id}")
        return found

    def stream(self) -> list[str]:
        """Give the names of the entries of the stream."""
        marks = {("clear", "0"): "-", ("red", "1"): "*"}
        entries = [entry for _, entry in self.client.xrange(f"{self.prefix}stream")]
        return [f"{e['alert_id']}{e['sequence']}{marks.get((e['level'], e['early']), '')}" for e in entries]

    def lives(self, name: str) -> int:
        """Give the ms that a key has left; -1: for ever, -2: there is none."""
        left: int = self.client.pttl(f"{self.prefix}{name}")
        return left


@pytest.fixture
def place(redis_url: str, unique: str) -> Iterator[Place]:
    with Place(redis_url, unique) as place:
        yield place


class TestWhatIsCurrent:
    """Alerts that are open, by entity and by area."""

    def test_open_alerts_stay_cleared_ones_leave(self, place: Place) -> None:
        place.deliver(log("a1", "b1", "b2-", "c1"), frame(transition("a", 2, "blue")))
        assert place.members("current") == ["a", "c"]
        assert place.members('entity:{"card":"a"}') == ["a"]
        assert place.lives('entity:{"card":"b"}') == -2
        assert (place.alert("a")["level"], place.alert("a")["sequence"]) == ("blue", "2")
        assert place.alert("b")["state"] == "cleared"

    def test_the_transition_is_the_line_of_ndjson(self, place: Place) -> None:
        batch = frame(transition("a", 1, says='{"en":"ü \\"x\\""}', evidence=[]), transition("b", 1, says='"\n\0'))
        place.deliver(batch)
        lines = encode(place.own(batch)).decode().splitlines()
        assert [place.alert(alert_id)["transition"] for alert_id in ("a", "b")] == lines
        assert [entry["transition"] for _, entry in place.client.xrange(f"{place.prefix}stream")] == lines

    def test_an_area_is_a_field_of_the_entity_or_else_a_label(self, place: Place) -> None:
        by_entity = transition("a", 1, entity='{"area":"north","kind":"x"}', labels='{"area":"south"}')
        by_label = transition("b", 1, labels='{"area":"south"}')
        place.deliver(frame(by_entity, by_label, transition("c", 1, entity='{"area":7}')))
        assert place.members("area:north") == ["a"]
        assert place.members("area:south") == ["b"]
        assert place.members("area:7") == ["c"]
        place.deliver(frame(transition("b", 2, labels='{"area":"west"}')))
        assert place.members("area:south") == []
        assert place.members("area:west") == ["b"]
        place.deliver(frame(transition("b", 3, "clear", labels='{"area":"west"}')))
        assert place.members("area:west") == []

    def test_what_is_an_area_may_be_said(self, place: Place) -> None:
        place.url += "?area=card"
        place.deliver(log("a1"))
        assert place.members("area:a") == ["a"]

    def test_an_alert_closed_at_birth_is_shown_for_a_while(self, place: Place) -> None:
        birth = transition("a", 1, reason=CLOSED_AT_BIRTH)
        place.deliver(frame(birth), keeping=Keeping(shown=60_000))
        assert place.members("current") == ["a"]
        assert 0 < place.lives('entity:{"card":"a"}') <= 60_000
        place.deliver(frame(birth | {"alert_id": "b"}), keeping=Keeping(shown=1))
        wait_until(lambda: place.members('entity:{"card":"b"}') == [])
        place.deliver(log("c1"), keeping=Keeping(shown=1))
        assert place.members("current") == ["a", "c"]
        assert place.client.zcard(f"{place.prefix}current") == 2

    def test_everything_expires_open_alerts_late(self, place: Place) -> None:
        place.deliver(log("a1", "b1", "b2-"))
        assert 399 * DAY < place.lives("alert:a") <= 400 * DAY
        assert 6 * DAY < place.lives("alert:b") <= 7 * DAY
        assert 399 * DAY < place.lives("current") <= 400 * DAY
        assert 399 * DAY < place.lives('entity:{"card":"a"}') <= 400 * DAY

    def test_the_stream_is_bounded(self, place: Place) -> None:
        place.url += "?stream=100"
        place.deliver(log(*(f"a{number}" for number in range(1, 1001))))
        assert 100 <= len(place.stream()) <= 200
        assert place.stream()[-1] == "a1000"


HISTORIES = {"a": ["a1*", "a1", "a2", "a3-"], "b": ["b1", "b2-"], "c": ["c1*"], "d": ["d1"]}
LOG = ["a1*", "b1", "a1", "c1*", "a2", "d1", "b2-", "a3-"]


class TestSecondDeliveries:
    """Told apart by (alert_id, sequence); the older never overwrites the newer."""

    @settings(max_examples=25)
    @given(begin=st.lists(st.integers(0, len(LOG)), max_size=3), most=st.integers(1, 5))
    def test_whatever_comes_again_from_wherever_changes_nothing(
        self, redis_url: str, begin: Sequence[int], most: int
    ) -> None:
        with Place(redis_url, f"t{time.monotonic_ns()}") as place:
            place.deliver(log(*LOG), most=most)
            before = self._all(place)
            assert place.stream() == LOG
            for start in begin:
                place.deliver(log(*LOG[start:]), most=most)
                assert self._all(place) == before

    @settings(max_examples=25)
    @given(kills=st.lists(st.tuples(st.integers(0, len(LOG)), st.integers(0, len(LOG))), max_size=4))
    def test_crashes_in_between_end_as_if_there_had_been_none(
        self, redis_url: str, kills: Sequence[tuple[int, int]]
    ) -> None:
        """A crash: delivery goes on from a confirmed position, and gets some way beyond what came before, or not."""
        with Place(redis_url, f"t{time.monotonic_ns()}") as place:
            confirmed = 0
            for back, on in kills:
                end = min(len(LOG), confirmed + on)
                place.deliver(log(*LOG[confirmed:end]))
                confirmed = max(0, end - back)
            place.deliver(log(*LOG[confirmed:]))
            assert place.stream() == LOG
            assert place.members("current") == ["c", "d"]
            assert {key: place.alert(key)["sequence"] for key in HISTORIES} == {"a": "3", "b": "2", "c": "1", "d": "1"}

    @staticmethod
    def _all(place: Place) -> dict[str, object]:
        kinds = {"hash": place.client.hgetall, "stream": place.client.xrange}
        dump = {key: place.client.type(key) for key in place.client.keys(f"{place.prefix}*")}
        return {
            key: kinds[kind](key) if kind in kinds else place.client.zrange(key, 0, -1, withscores=True)
            for key, kind in dump.items()
        }

    def test_the_truth_replaces_its_early_copy_whichever_comes_first(self, place: Place) -> None:
        birth = {"reason": CLOSED_AT_BIRTH}
        early, truth = transition("a", 1, early=True, **birth), transition("a", 1, says="truth", **birth)
        place.deliver(frame(early), frame(truth), frame(early))
        assert msgspec.json.decode(place.alert("a")["transition"])["says"] == "truth"
        assert place.stream() == ["a1*", "a1"]
        place.deliver(frame(truth | {"alert_id": "b"}), frame(early | {"alert_id": "b"}))
        assert place.alert("b")["early"] == "0"


class TestAServerThatIsAway:
    """Killed in the middle and back: nothing is lost, nothing doubles, nothing grows meanwhile."""

    def test_what_comes_meanwhile_waits_bounded_and_arrives_once(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "server") as server, Place(server.url, "city") as place:
            delivery = Delivery("s", RedisSink(server.url), limits=Limits(rows=50), backoff=Backoff(most=0.1))
            delivery.start()
            assert delivery.offer(log(*(f"a{number}" for number in range(1, 21))), 20)
            wait_until(lambda: delivery.delivered == 20)
            server.kill()
            assert delivery.offer(log("b1", "a20"), 22)
            wait_until(lambda: delivery.trouble is not None)
            assert "cannot be reached" in str(delivery.trouble)
            taken = 22
            while delivery.offer(log(f"c{taken}"), taken + 1):
                taken += 1
            assert taken == 22 + 50
            server.start()
            wait_until(lambda: delivery.delivered == taken)
            assert delivery.close(WITHIN)
            assert place.stream() == [f"a{n}" for n in range(1, 21)] + ["b1"] + [f"c{n}" for n in range(22, taken)]
            assert place.members("current") == ["a", "b", "c"]

    def test_killed_in_the_midst_of_batches_it_has_everything_once(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "server") as server, Place(server.url, "city") as place:
            delivery = Delivery("s", RedisSink(server.url, most=7), backoff=Backoff(most=0.1))
            delivery.start()
            for number in range(1, 1001):
                assert delivery.offer(log(f"a{number}"), number, wait=WITHIN)
                if number % 300 == 0:  # others wait or are under way
                    wait_until(lambda: delivery.delivered > 0)
                    server.restart()
            assert delivery.close(WITHIN)
            assert place.stream() == [f"a{number}" for number in range(1, 1001)]

    def test_one_that_is_not_there_yet_is_waited_for(self, tmp_path: Path) -> None:
        server = RedisServer(tmp_path / "server")
        delivery = Delivery("s", RedisSink(server.url), backoff=Backoff(most=0.1))
        delivery.start()
        assert delivery.trouble is not None
        assert delivery.offer(log("a1"), 1)
        with server:
            assert delivery.close(WITHIN)

    def test_one_without_memory_is_tried_again_and_has_no_half_of_it(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "server") as server, Place(server.url, "city") as place:
            sink = RedisSink(server.url)
            sink.open()
            place.client.config_set("maxmemory", "1mb")
            with pytest.raises(SinkUnavailable, match=r"no memory left \(maxmemory\); make room"):
                sink.deliver(log("a1", "b1"))
            assert place.client.keys("*") == []
            place.client.config_set("maxmemory", "0")
            sink.deliver(log("a1", "b1"))
            assert place.stream() == ["a1", "b1"]
            sink.close()


class TestWhatIsRefused:
    """Each with a sentence that says what to do."""

    def test_a_replica_at_the_start_and_in_the_midst(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "server") as server, Place(server.url, "city") as place:
            sink = RedisSink(server.url)
            sink.open()
            place.client.replicaof("127.0.0.1", 1)
            with pytest.raises(SinkUnavailable, match="read-only replica now; it is tried again"):
                sink.deliver(log("a1"))
            with pytest.raises(SinkError, match="is a read-only replica: name its master") as error:
                place.deliver()
            assert not isinstance(error.value, SinkUnavailable)
            place.client.replicaof("NO", "ONE")
            sink.deliver(log("a1"))
            sink.close()

    def test_a_server_that_keeps_nothing_is_told_of(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "server") as server, Place(server.url, "city") as place:
            assert place.deliver(log("a1")) == []
            place.client.config_set("appendonly", "no")
            (said,) = place.deliver(log("b1"))
            assert "keeps no log of its writes (appendonly no)" in said

    def test_a_key_that_holds_something_else_is_named_and_left_alone(self, place: Place) -> None:
        place.client.set(f"{place.prefix}alert:a", "mine")
        with pytest.raises(SinkError, match=rf"a key of ours holds something else.*{place.prefix}alert:a") as error:
            place.deliver(log("a1"))
        assert not isinstance(error.value, SinkUnavailable)
        assert place.client.keys(f"{place.prefix}*") == [f"{place.prefix}alert:a"]

    def test_logins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with RedisServer(tmp_path / "server") as server, Place(server.url, "city") as place:
            place.client.acl_setuser("ann", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], commands=["+@all"])
            place.client.acl_setuser("bob", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], commands=["+@read"])
            place.client.config_set("requirepass", PASSWORD)
            with pytest.raises(SinkError, match=r"refuses the login.*TOCSIN_REDIS_USER") as error:
                place.deliver(log("a1"))
            assert not isinstance(error.value, SinkUnavailable)
            secret = tmp_path / "password"
            secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
            monkeypatch.setenv("TOCSIN_REDIS_PASSWORD_FILE", str(secret))
            place.deliver(log("a1"))
            sink = RedisSink(server.url)
            sink.open()
            place.client.config_set("requirepass", PASSWORD[::-1])
            secret.write_text(PASSWORD[::-1], encoding="utf-8")
            place.client.client_kill_filter(_type="normal", skipme=True)
            wait_until(lambda: self._takes(sink, place.own(log("a1"))))
            sink.close()
            place.client.config_set("requirepass", PASSWORD)
            secret.write_text(PASSWORD, encoding="utf-8")
            monkeypatch.setenv("TOCSIN_REDIS_USER", "ann")
            place.deliver(log("a2"))
            assert place.stream() == ["a1", "a2"]
            monkeypatch.setenv("TOCSIN_REDIS_USER", "bob")
            with pytest.raises(SinkError, match="the user may not do that: allow it in its ACL"):
                place.deliver(log("a3"))
            monkeypatch.setenv("TOCSIN_REDIS_PASSWORD", "wrong")
            with pytest.raises(SinkError, match="refuses the login"):
                place.deliver(log("a3"))

    def test_a_user_needs_no_more_rights_than_the_documentation_says(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands = [f"+{word.lower()}" for word in ("PING", "EVAL", *re.findall(r"call\('(\w+)'", redis_script.SCRIPT))]
        with RedisServer(tmp_path / "server") as server, Place(server.url, "city") as place:
            place.client.acl_setuser(
                "cat", enabled=True, passwords=[f"+{PASSWORD}"], keys=["tocsin:*"], commands=commands
            )
            monkeypatch.setenv("TOCSIN_REDIS_USER", "cat")
            monkeypatch.setenv("TOCSIN_REDIS_PASSWORD", PASSWORD)
            assert place.deliver(*([log("a1")] * 2), log("a2-")) == []
            assert place.stream() == ["a1", "a2-"]

    @staticmethod
    def _takes(sink: RedisSink, batch: pl.DataFrame) -> bool:
        try:
            sink.deliver(batch)
        except SinkUnavailable:
            return False
        return True

    def test_tls_wants_a_certificate_that_it_trusts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pair = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1"]
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
        subprocess.run([*words, *pair], cwd=tmp_path, check=True, capture_output=True)
        with SecureServer(tmp_path / "server", tmp_path) as server, Place(server.url, "city") as place:
            secure = f"rediss://127.0.0.1:{server.tls_port}/0"
            with pytest.raises(SinkError, match="CERTIFICATE_VERIFY_FAILED") as error:
                RedisSink(secure, say=silent).open()
            assert not isinstance(error.value, SinkUnavailable)
            monkeypatch.setenv("TOCSIN_REDIS_CA_FILE", str(tmp_path / "cert.pem"))
            sink = RedisSink(secure)
            sink.open()
            sink.deliver(log("a1"))
            sink.close()
            assert place.stream() == ["a1"]
            monkeypatch.setenv("TOCSIN_REDIS_CA_FILE", str(tmp_path / "none.pem"))
            with pytest.raises(SinkError, match=r"TOCSIN_REDIS_CA_FILE: there is no file .*none\.pem"):
                RedisSink(secure).open()

    @pytest.mark.parametrize(
        ("target", "says"),
        [
            ("redis://ann:pw@host/0", "holds a name or password: put them into TOCSIN_REDIS_USER"),
            ("redis://ann:p/pw@host/0", "holds a name or password: put them into TOCSIN_REDIS_USER"),
            ("redis://host:port/0", "is no Redis address"),
            ("redis:///0", "is no Redis address"),
            ("redis://host/0/key", "is no Redis address"),
            ("redis://host/first", "is no Redis address"),
            ("redis://host/0?keep=1d", "has no option 'keep': expected area, closed, shown, stream"),
            ("redis://host/0?closed=long", "'long' is no duration"),
            ("redis://host/0?stream=0", "stream=0 is no number of entries"),
            ("redis://host/0?area=a.b", "area=a.b names no field"),
        ],
    )
    def test_addresses(self, target: str, says: str) -> None:
        with pytest.raises(SinkError, match=says) as error:
            make_sink("redis", target)
        assert "pw" not in str(error.value)

    def test_what_an_address_means(self) -> None:
        assert parse_address("//db") == RedisAddress("db")
        assert parse_address("rediss://db:1/2") == RedisAddress("db", 1, 2, secure=True)
        assert str(parse_address("redis://db/1/a%20key", of_key=True)) == "redis://db:6379/1/a key"
        assert RedisSink("//db?closed=1h&stream=5")._keeping == Keeping(closed=3_600_000, stream=5)


class SecureServer(RedisServer):
    """Speaks TLS, too, with the certificate in `pair`."""

    def __init__(self, folder: Path, pair: Path) -> None:
        super().__init__(folder)
        self.tls_port = RedisServer(folder).port
        self._pair = pair

    def command(self) -> list[str]:
        """Add the second port."""
        own = ["--tls-cert-file", str(self._pair / "cert.pem"), "--tls-key-file", str(self._pair / "key.pem")]
        return [*super().command(), "--tls-port", str(self.tls_port), "--tls-auth-clients", "no", *own]


class TestTheDocumentation:
    """docs/redis.md says what is there."""

    def test_it_names_keys_options_and_variables(self) -> None:
        page = (Path(__file__).parents[2] / "docs/redis.md").read_text(encoding="utf-8")
        for name in ("alert:ID", "current", "entity:JSON", "area:AREA", "stream"):
            assert f"`tocsin:TOPOLOGY:{name}`" in page
            assert f"`tocsin:TOPOLOGY:{name}`" in str(redis_script.__doc__)
        for option in ("area", *(field.name for field in fields(Keeping))):
            assert f"`{option}`" in page
        for variable in ("USER", "PASSWORD", "USER_FILE", "PASSWORD_FILE", "CA_FILE", "CERTIFICATE_FILE", "KEY_FILE"):
            assert f"`{PREFIX}{variable}`" in page
