"""`kafka`: every transition on the topic once and in order, against a real broker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from alert_topic import headers, ids, key, messages, transitions, value
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
)
from confluent_kafka.admin import ResourceType as Resource
from confluent_kafka.cimpl import NewTopic
from transition_rows import bring, frame, log, transition

from sinks import ndjson
from sinks.backoff import Backoff
from sinks.contract import Batching
from sinks.delivery import Delivery
from sinks.kafka import KafkaSink
from sinks.opening import make_sink, open_sink
from stack import KafkaBroker
from stack.ports import free_port
from tests.waiting import wait_until
from tocsin.errors import SinkError, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from tests.servers.fixtures import Topics

ROOT = Path(__file__).parents[2]
NOBODY = "127.0.0.1:1"


def deliver(servers: str, topic: str, *batches: pl.DataFrame, bookmark: str = "") -> str:
    """Deliver, and give the bookmark."""
    return bring(KafkaSink(f"kafka://{servers}/{topic}"), *batches, bookmark=bookmark)


def numbered(alerts: int, sequences: int) -> pl.DataFrame:
    """Give transitions of many alerts, round by round."""
    return frame(*(transition(f"a{alert}", number + 1) for number in range(sequences) for alert in range(alerts)))


def make_topic(servers: str, topic: str, partitions: int = 1, **config: str) -> str:
    """Make a topic on a broker of the test's own."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(60)
    return topic


def set_of_topic(servers: str, topic: str, name: str, value: str) -> None:
    """Change a setting of a topic."""
    admin = AdminClient({"bootstrap.servers": servers})
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(60)


def allow(servers: str, topic: str, user: str) -> list[AclBinding]:
    """Allow a user to write and read a topic."""
    may = [
        AclBinding(
            Resource.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW
        )
        for operation in (AclOperation.READ, AclOperation.WRITE)
    ]
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.create_acls(may).values():
        done.result(60)
    return may


def take_away(servers: str, allowed: list[AclBinding]) -> None:
    """Take rights away."""
    admin = AdminClient({"bootstrap.servers": servers})
    filters = [
        AclBindingFilter(
            one.restype,
            one.name,
            one.resource_pattern_type,
            one.principal,
            one.host,
            one.operation,
            one.permission_type,
        )
        for one in allowed
    ]
    for done in admin.delete_acls(filters).values():
        assert done.result(60)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that these tests may kill, and that has a listener for TLS with a certificate of its own."""
    folder = tmp_path_factory.mktemp("own")
    words = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", *words, "-keyout", folder / "key.pem", "-out", folder / "ca.pem"],  # noqa: S607  # wherever it is
        check=True,
        capture_output=True,
    )
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "ca.pem").read_text())
    broker = KafkaBroker(folder / "kafka")
    tls = free_port()
    plain, secret = f"PLAINTEXT://{broker.address}", f"SSL://127.0.0.1:{tls}"
    broker.settings = {
        "listeners": f"{plain},CONTROLLER://127.0.0.1:{broker._controller},{secret}",
        "advertised.listeners": f"{plain},{secret}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL",
        "listener.name.ssl.ssl.keystore.type": "PEM",
        "listener.name.ssl.ssl.keystore.location": str(folder / "both.pem"),
    }
    with broker:
        yield broker


class User(NamedTuple):
    """Who one is, and where one has to say it."""

    name: str
    servers: str


@pytest.fixture
def user(kafka_secured: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> User:
    """Log in as somebody who may nothing, with a password that lies in a file."""
    servers, name, password = kafka_secured
    (tmp_path / "password").write_text(f"{password}\n")
    monkeypatch.setenv("TOCSIN_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("TOCSIN_KAFKA_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("TOCSIN_KAFKA_SASL_USERNAME", name)
    monkeypatch.setenv("TOCSIN_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))
    return User(name, servers)


class TestMessages:
    """What a consumer reads."""

    def test_a_transition_is_a_message_with_its_key_and_headers(self, kafka: str, kafka_topics: Topics) -> None:
        topic, batch = kafka_topics(), log("a1", "b1*")
        deliver(kafka, topic, batch)
        first, early = messages(kafka, topic)
        assert first.key() == b'{"card":"a"}'
        assert headers(first)["ce_id"] == "a/1"
        assert headers(early)["ce_early"] == "true"
        assert [value(first), value(early)] == ndjson.encode(batch).splitlines()

    def test_transitions_of_a_fingerprint_are_in_order_in_one_partition(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics(partitions=5)
        deliver(kafka, topic, numbered(40, 25))
        found = messages(kafka, topic)
        places = dict(zip(transitions(found), ((m.partition(), m.offset()) for m in found), strict=True))
        assert len(places) == 1000
        for (alert, number), place in places.items():
            if number > 1:
                before = places[alert, number - 1]
                assert before[0] == place[0]
                assert before[1] < place[1]

    def test_a_key_lies_where_clients_in_java_expect_it(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics(partitions=3)
        deliver(kafka, topic, numbered(30, 1))
        assert murmur2(b"foobar") == -790332482 & 0x7FFFFFFF  # of Kafka's own tests
        for message in messages(kafka, topic):
            assert message.partition() == murmur2(key(message)) % 3

    def test_an_alert_of_ten_megabytes_is_shortened_and_stops_nothing(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        big = transition("b", 1, values='{"x":"' + "y" * 10_000_000 + '"}')
        deliver(kafka, topic, frame(transition("a", 1), big, transition("c", 1)))
        first, second, third = messages(kafka, topic)
        assert headers(second)["ce_shortened"] == "values"
        assert msgspec.json.decode(value(second))["values"] is None
        assert [headers(first)["ce_id"], headers(third)["ce_id"]] == ["a/1", "c/1"]

    def test_a_topic_that_takes_large_messages_gets_them_whole(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics(max_message_bytes="20000000")
        big = frame(transition("b", 1, values='{"x":"' + os.urandom(5_000_000).hex() + '"}'))
        deliver(kafka, topic, big)
        (message,) = messages(kafka, topic)
        assert value(message) == ndjson.encode(big).strip()

    def test_a_topic_that_takes_small_messages_gets_many_of_them(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics(max_message_bytes="10000")
        rows = [transition(f"a{n}", 1, says=os.urandom(3000).hex()) for n in range(200)]
        deliver(kafka, topic, frame(*rows))
        assert len(ids(kafka, topic)) == 200


def murmur2(key: bytes) -> int:
    """Hash as Kafka's DefaultPartitioner does, from org.apache.kafka.common.utils.Utils, made positive."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for begin in range(0, whole, 4):
        k = int.from_bytes(key[begin : begin + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if key[whole:]:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


class TestChanges:
    """What is done to a topic while alerts are written to it."""

    def test_a_topic_that_takes_smaller_messages_from_now_on(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        sink = KafkaSink(f"kafka://{kafka}/{topic}")
        sink.open()
        sink.deliver(log("a1"))
        set_of_topic(kafka, topic, "max.message.bytes", "8000")
        batch = frame(transition("b", 1), transition("c", 1, says=os.urandom(10_000).hex()), transition("d", 1))
        with pytest.raises(SinkUnavailable, match="too large"):
            sink.deliver(batch)
        sink.deliver(batch)
        sink.close()
        found = messages(kafka, topic)
        assert [headers(message)["ce_id"] for message in found] == ["a/1", "b/1", "c/1", "d/1"]
        assert headers(found[2])["ce_shortened"] == "says"

    def test_a_right_that_is_taken_away_stops_it_for_good(self, kafka: str, kafka_topics: Topics, user: User) -> None:
        topic = kafka_topics()
        allowed = allow(kafka, topic, user.name)
        sink = KafkaSink(f"kafka://{user.servers}/{topic}")
        sink.open()
        sink.deliver(log("a1"))
        take_away(kafka, allowed)
        with pytest.raises(SinkError, match=r"[Aa]uthorization failed") as error:
            sink.deliver(log("b1"))
        assert not isinstance(error.value, SinkUnavailable)
        sink.close()


class TestRestarts:
    """What is there is not sent again."""

    def test_a_batch_that_comes_again_cut_differently_is_sent_once(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics(partitions=2)
        bookmark = deliver(kafka, topic, log("a1", "b1"))
        deliver(kafka, topic, log("c1", "c2"), bookmark=bookmark)
        deliver(kafka, topic, log("b1", "c1"), log("c2", "d1"), bookmark="")
        assert ids(kafka, topic) == ["a/1", "b/1", "c/1", "c/2", "d/1"]

    def test_only_what_is_behind_the_bookmark_is_read_back(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        bookmark = deliver(kafka, topic, log("a1"))
        deliver(kafka, topic, log("b1"), bookmark=bookmark)
        sink = KafkaSink(f"kafka://{kafka}/{topic}")
        sink.open(bookmark)
        assert "b/1" in sink._known
        assert "a/1" not in sink._known
        sink.close()

    def test_a_crash_soon_after_a_crash_leaves_no_copies(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        bookmark = deliver(kafka, topic, log("a1"))
        deliver(kafka, topic, log("b1", "c1", "d1"), bookmark=bookmark)
        bookmark = deliver(kafka, topic, log("b1"), bookmark=bookmark)
        deliver(kafka, topic, log("c1", "d1", "e1"), bookmark=bookmark)
        assert ids(kafka, topic) == ["a/1", "b/1", "c/1", "d/1", "e/1"]

    def test_the_bookmark_stays_before_messages_that_are_still_to_come_again(
        self, kafka: str, kafka_topics: Topics
    ) -> None:
        topic = kafka_topics()
        bookmark = deliver(kafka, topic, log("a1"))
        deliver(kafka, topic, log("b1", "c1", "d1*", "d1"), bookmark=bookmark)
        bookmark = deliver(kafka, topic, log("b1", "e1"), bookmark=bookmark)
        assert bookmark == '{"0": 2}'
        bookmark = deliver(kafka, topic, log("d1", "e1"), bookmark=bookmark)
        assert bookmark == '{"0": 2}'
        deliver(kafka, topic, log("c1", "f1"), bookmark=bookmark)
        assert ids(kafka, topic) == ["a/1", "b/1", "c/1", "d/1", "d/1/early", "e/1", "f/1"]

    def test_the_bookmark_is_at_the_end_once_all_messages_have_come_again(
        self, kafka: str, kafka_topics: Topics
    ) -> None:
        topic = kafka_topics()
        deliver(kafka, topic, log("a1", "b1*", "b1"))
        assert deliver(kafka, topic, log("a1", "c1")) == '{"0": 2}'
        assert deliver(kafka, topic, log("a1"), log("b1", "c1"), log("d1")) == '{"0": 5}'

    def test_messages_of_another_run_hold_the_bookmark_for_one_batch_of_new_ones(
        self, kafka: str, kafka_topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        topic = kafka_topics()
        deliver(kafka, topic, log("a1", "b1"))
        monkeypatch.setattr(KafkaSink, "batching", Batching(rows=3))
        assert deliver(kafka, topic, log("c1", "d1")) == '{"0": 0}'
        assert deliver(kafka, topic, log("c1", "d1", "e1"), log("f1", "g1")) == '{"0": 7}'

    def test_own_messages_do_not_hold_the_bookmark_after_a_look_back(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        sink = KafkaSink(f"kafka://{kafka}/{topic}")
        sink.open()
        sink.deliver(log("a1", "b1"))
        sink.look_back('{"0": 0}')
        sink.deliver(log("c1"))
        assert sink.bookmark == '{"0": 3}'
        sink.close()

    @pytest.mark.parametrize("bookmark", ["x", "17", '{"0": 999, "7": 3}', "[1]", '{"a": "b"}'])
    def test_a_bookmark_of_something_else_is_not_believed(
        self, bookmark: str, kafka: str, kafka_topics: Topics
    ) -> None:
        topic = kafka_topics()
        deliver(kafka, topic, log("a1", "b1"))
        deliver(kafka, topic, log("a1", "b1"), bookmark=bookmark)
        assert ids(kafka, topic) == ["a/1", "b/1"]

    def test_work_that_moves_from_another_process_is_not_told_again(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics(partitions=2)
        ours, theirs = (KafkaSink(f"kafka://{kafka}/{topic}") for _ in range(2))
        for sink in (ours, theirs):
            sink.open()
        ours.deliver(log("o1"))
        theirs.deliver(log("a1", "b1"))
        bookmark = theirs.bookmark
        ours.deliver(log("p1"))
        theirs.deliver(log("c1", "d1", "e1"))
        theirs.close()
        ours.look_back(bookmark)
        ours.deliver(log("c1", "q1"))
        bookmark = ours.bookmark
        ours.close()
        deliver(kafka, topic, log("d1", "e1", "f1"), bookmark=bookmark)
        assert ids(kafka, topic) == [f"{name}/1" for name in "abcdefopq"]

    def test_early_copies_and_the_truth_come_once_each(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        deliver(kafka, topic, log("a1*"), log("a1", "a1"), log("a1*"))
        assert ids(kafka, topic) == ["a/1", "a/1/early"]

    def test_without_looking_back_everything_is_sent(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics(partitions=2)
        deliver(kafka, topic, log("a1", "b1"))
        bookmark = deliver(kafka, f"{topic}?from=latest", log("a1"))
        assert ids(kafka, topic) == ["a/1", "a/1", "b/1"]
        deliver(kafka, f"{topic}?from=latest", log("c1"), bookmark=bookmark)
        deliver(kafka, f"{topic}?from=latest", log("c1"), bookmark=bookmark)
        assert ids(kafka, topic) == ["a/1", "a/1", "b/1", "c/1"]

    def test_messages_of_others_are_passed_over(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        other = Producer({"bootstrap.servers": kafka})
        other.produce(topic, b"\xff", headers=[("ce_id", None), ("x", b"\xff")])
        other.produce(topic, None)
        assert other.flush(60) == 0
        deliver(kafka, topic, log("a1"))
        assert len(messages(kafka, topic)) == 3

    @pytest.mark.parametrize("seed", range(3))
    def test_a_process_that_is_killed_while_it_delivers_leaves_no_copies(
        self, seed: int, kafka: str, kafka_topics: Topics
    ) -> None:
        topic = kafka_topics(partitions=3)
        program = (
            "import sys; from sinks.kafka import KafkaSink; from test_kafka_sink import numbered\n"
            "sink = KafkaSink(sys.argv[1]); sink.open()\n"
            "batch = numbered(50, 200); print('open', flush=True)\n"
            "for begin in range(0, batch.height, 100): sink.deliver(batch[begin:begin + 100]); print(begin, flush=True)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, f"kafka://{kafka}/{topic}"],
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(4 + 7 * seed):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        deliver(kafka, topic, numbered(50, 200))
        found = transitions(messages(kafka, topic))
        assert len(found) == len(set(found)) == 10_000


class TestAwayBrokers:
    """Nothing is lost, nothing doubled, and order is kept."""

    def test_a_broker_that_is_not_there_is_worth_another_try(self) -> None:
        sink = KafkaSink(f"kafka://{NOBODY}/alerts", seconds=1)
        with pytest.raises(SinkUnavailable, match=f"alerts at {NOBODY} cannot be reached"):
            sink.open()
        sink.close()

    def test_a_broker_that_is_killed_again_and_again_while_alerts_come(self, own: KafkaBroker, unique: str) -> None:
        batch, topic = numbered(20, 300), make_topic(own.servers, unique, 3)
        delivery = Delivery(
            "kafka", InSmallBatches(f"kafka://{own.servers}/{topic}", seconds=2), backoff=Backoff(most=0.5)
        )
        delivery.start()
        for begin in range(0, batch.height, 50):
            assert delivery.offer(batch[begin : begin + 50], begin + 50)
        for part in (1, 2):
            wait_until(partial(reached, delivery, part * 1500))
            own.restart()
        assert delivery.close(120)
        found = transitions(messages(own.servers, topic))
        assert len(found) == len(set(found)) == batch.height
        for alert in range(20):
            numbers = [number for name, number in found if name == f"a{alert}"]
            assert all(after == before + 1 for before, after in pairwise(numbers))

    def test_what_a_hanging_broker_did_not_confirm_is_confirmed_later_once(self, own: KafkaBroker, unique: str) -> None:
        topic = make_topic(own.servers, unique)
        sink = KafkaSink(f"kafka://{own.servers}/{topic}", seconds=1)
        sink.open()
        delivered_at_last(sink, log("a1"))
        before = sink.bookmark
        own.pause()
        for _ in range(2):
            with pytest.raises(SinkUnavailable, match=r"does not confirm.*what waits is kept"):
                sink.deliver(log("b1", "c1"))
            assert sink.bookmark == before
        own.resume()
        delivered_at_last(sink, log("b1", "c1"))
        sink.close()
        assert ids(own.servers, topic) == ["a/1", "b/1", "c/1"]


class InSmallBatches(KafkaSink):
    batching = Batching(rows=50)


def reached(delivery: Delivery, position: int) -> bool:
    return delivery.delivered >= position


def delivered_at_last(sink: KafkaSink, batch: pl.DataFrame) -> None:
    for _ in range(60):
        try:
            sink.deliver(batch)
        except SinkUnavailable:
            continue
        return
    raise AssertionError("the broker is back, and nothing is confirmed")


class TestWhatIsRefused:
    """For good, with a sentence that says what to do."""

    def test_a_topic_that_is_not_there(self, kafka: str, unique: str) -> None:
        with pytest.raises(SinkError, match=f"{unique} at .* does not exist, .* create it first") as error:
            deliver(kafka, unique)
        assert not isinstance(error.value, SinkUnavailable)

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("kafka://host", "no Kafka address: expected kafka://HOST:PORT/TOPIC"),
            ("kafka://user:word@host/alerts", "holds a name or password: put them into TOCSIN_KAFKA_SASL_USERNAME"),
            ("kafka://host/a/b", "'a/b' is no name of a Kafka topic"),
            (
                "kafka:alerts",
                "no servers: set TOCSIN_KAFKA_BOOTSTRAP_SERVERS=HOST:PORT or write kafka://HOST:PORT/alerts",
            ),
            ("kafka://host/alerts?form=latest", "unknown option 'form': expected from; did you mean 'from'?"),
            ("kafka://host/alerts?from=now", "expected from=earliest or from=latest"),
        ],
    )
    def test_a_wrong_target(self, target: str, message: str) -> None:
        with pytest.raises(SinkError, match=message.replace("?", r"\?")):
            open_sink(target)

    @pytest.mark.parametrize("name", ["ACKS", "ENABLE_IDEMPOTENCE", "PARTITIONER"])
    def test_settings_that_would_lose_alerts(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"TOCSIN_KAFKA_{name}", "0")
        with pytest.raises(SinkError, match=f"TOCSIN_KAFKA_{name}=0 cannot be chosen"):
            KafkaSink("kafka://host/alerts")

    def test_a_missing_package_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "confluent_kafka", None)
        with pytest.raises(SinkError, match=r"pip install 'tocsin\[kafka\]'"):
            open_sink("kafka://host/alerts")

    def test_a_topology_names_the_topic_and_the_environment_its_servers(
        self, kafka: str, kafka_topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        topic = kafka_topics()
        monkeypatch.setenv("TOCSIN_KAFKA_BOOTSTRAP_SERVERS", kafka)
        sink = make_sink("kafka", topic)
        sink.open()
        sink.deliver(log("a1"))
        sink.close()
        assert ids(kafka, topic) == ["a/1"]


class TestLoggingIn:
    """Who one is stands in the environment or in files."""

    def test_the_right_name_and_password_may_deliver(self, kafka: str, kafka_topics: Topics, user: User) -> None:
        topic = kafka_topics()
        allow(kafka, topic, user.name)
        deliver(user.servers, topic, log("a1"))
        deliver(user.servers, topic, log("a1", "b1"))
        assert ids(kafka, topic) == ["a/1", "b/1"]

    def test_a_wrong_password_is_refused_for_good(
        self, kafka_topics: Topics, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TOCSIN_KAFKA_SASL_PASSWORD_FILE")
        monkeypatch.setenv("TOCSIN_KAFKA_SASL_PASSWORD", "guessed")
        with pytest.raises(SinkError, match=r"[Aa]uthentication failed") as error:
            deliver(user.servers, kafka_topics(), log("c1"))
        assert not isinstance(error.value, SinkUnavailable)
        assert "guessed" not in str(error.value)

    def test_a_topic_that_one_may_not_write_is_refused_for_good(self, kafka_topics: Topics, user: User) -> None:
        topic = kafka_topics()
        with pytest.raises(SinkError, match=rf"{topic} at .*[Aa]uthorization failed") as error:
            deliver(user.servers, topic, log("c1"))
        assert not isinstance(error.value, SinkUnavailable)


class TestEncryption:
    """TLS with the certificate of an authority that a file holds."""

    @pytest.fixture
    def secret(self, own: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("TOCSIN_KAFKA_SECURITY_PROTOCOL", "SSL")
        monkeypatch.setenv("TOCSIN_KAFKA_SSL_CA_LOCATION", str(own.folder.parent / "ca.pem"))
        return own.settings["listeners"].rpartition("SSL://")[2]

    def test_an_authority_that_signed_the_certificate_is_enough(
        self, own: KafkaBroker, secret: str, unique: str
    ) -> None:
        deliver(secret, make_topic(own.servers, unique), log("a1"))
        assert ids(own.servers, unique) == ["a/1"]

    def test_an_unknown_authority_is_refused_for_good(
        self, secret: str, unique: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TOCSIN_KAFKA_SSL_CA_LOCATION")
        with pytest.raises(SinkError, match=r"certificate verif\w+ failed") as error:
            deliver(secret, unique, log("a1"))
        assert not isinstance(error.value, SinkUnavailable)
