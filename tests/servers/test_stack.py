"""The servers of the stack: each starts, answers a real client, and has its data after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from clickhouse_driver import Client
from confluent_kafka import Producer
from redis import Redis

from stack import (
    Alertmanager,
    ClickHouseServer,
    KafkaBroker,
    Prometheus,
    RedisServer,
    StackError,
    packages,
    running,
    shared,
)
from stack.jars import BROKER, LOCKED, TESTED, Jars, hashes
from stack.ports import free_port
from streams.flink.jars import OURS
from streams.kafka.cluster import Cluster
from streams.kafka.topic_changes import Change, Step
from streams.kafka.writer import TopicWriter
from tests.sinks.alert_topic import messages, value
from tests.waiting import wait_until
from tocsin import jars as kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.fixtures import Topics

ROOT = Path(__file__).parents[2]


def send(servers: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(topic, value)
    assert producer.flush(60) == 0


def get(url: str) -> Any:  # noqa: ANN401  # JSON
    with urlopen(url) as answer:  # noqa: S310  # ours
        return json.load(answer)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


class TestShared:
    """One of each for the whole run."""

    def test_what_is_sent_is_read(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        send(kafka, topic, b"hello")
        assert [value(one) for one in messages(kafka, topic)] == [b"hello"]

    def test_redis(self, redis_url: str, unique: str) -> None:
        with Redis.from_url(redis_url) as redis:
            redis.set(unique, "here", ex=60)
            assert redis.get(unique) == b"here"

    def test_clickhouse(self, clickhouse_server: tuple[str, int], unique: str) -> None:
        client = Client(*clickhouse_server)
        client.execute(f"create table {unique} (n UInt8) engine = Memory")
        client.execute(f"insert into {unique} values", [(1,), (2,)])
        assert client.execute(f"select sum(n) from {unique}") == [(3,)]  # noqa: S608  # a name of ours
        client.execute(f"drop table {unique}")
        client.disconnect()

    def test_they_end_with_the_process_that_claimed_them(self, tmp_path: Path) -> None:
        script = (
            "from stack import shared; import json, os, sys; shared.claim(); "
            "print(json.dumps([shared.shared('redis')['port'], os.environ[shared.VARIABLE]]), flush=True); "
            "sys.stdin.read()"
        )
        environment = {name: value for name, value in os.environ.items() if name != shared.VARIABLE}
        owner = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**environment, "TMPDIR": str(tmp_path)},
        )
        assert owner.stdin is not None
        assert owner.stdout is not None
        port, folder = json.loads(owner.stdout.readline())
        with Redis(port=port) as redis:
            assert redis.ping()
            owner.kill()
            owner.wait()
            wait_until(lambda: not Path(folder).exists())
        owner.stdin.close()
        owner.stdout.close()


class TestOnesOwn:
    """Free ports, a folder of their own."""

    def test_a_killed_redis_comes_back_with_its_data(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path) as server, Redis.from_url(server.url) as redis:
            redis.set("kept", "yes")
            before = server.pid
            server.restart()
            assert server.pid != before
            assert redis.get("kept") == b"yes"

    def test_a_killed_broker_comes_back_with_its_data_and_its_port(self, tmp_path: Path) -> None:
        with KafkaBroker(tmp_path) as broker, TopicWriter(broker.servers) as writer:
            port = broker.port
            Cluster(broker.servers).carry_out(Change(Step.CREATE, "kept", partitions=1))
            writer.put("kept", ["before"])
            writer.settle()
            broker.kill()
            writer.put("kept", ["while it is away"])
            broker.start()
            assert broker.port == port
            writer.settle()
            assert [value(one) for one in messages(broker.servers, "kept")] == [b"before", b"while it is away"]

    def test_a_killed_clickhouse_comes_back_with_its_data(self, tmp_path: Path) -> None:
        with ClickHouseServer(tmp_path) as server:
            client = Client("127.0.0.1", server.port)
            client.execute("create table kept (n UInt8) engine = MergeTree order by n")
            client.execute("insert into kept values", [(7,)])
            client.disconnect()
            server.restart()
            assert client.execute("select n from kept") == [(7,)]
            client.disconnect()

    def test_prometheus_watches_what_its_configuration_says(self, tmp_path: Path) -> None:
        def watched() -> list[str]:
            targets = get(f"{server.url}/api/v1/targets?state=active")["data"]["activeTargets"]
            return [target["labels"]["instance"] for target in targets if target["health"] == "up"]

        with Prometheus(tmp_path) as server:
            wait_until(lambda: watched() == [server.address])

    def test_alertmanager_takes_alerts(self, tmp_path: Path) -> None:
        with Alertmanager(tmp_path) as server:
            alerts = json.dumps([{"labels": {"alertname": "here"}}]).encode()
            headers = {"Content-Type": "application/json"}
            with urlopen(Request(f"{server.url}/api/v2/alerts", alerts, headers)):  # noqa: S310  # ours
                pass
            wait_until(lambda: [one["labels"] for one in get(f"{server.url}/api/v2/alerts")] == [{"alertname": "here"}])

    def test_it_ends_with_the_block(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path) as server:
            pid = server.pid
        assert not runs(pid)

    def test_a_paused_server_hangs_and_goes_on(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path) as server, Redis.from_url(server.url) as redis:
            server.pause()
            assert not server.answers()
            server.resume()
            assert redis.ping()

    def test_a_server_that_cannot_start_shows_the_end_of_its_log(self, tmp_path: Path) -> None:
        with (
            pytest.raises(StackError, match=r"ended with code 2(.|\n)*nonsense"),
            Prometheus(tmp_path, config="nonsense: 1"),
        ):
            pass


class TestUpAndDown:
    """`make stack`: servers that go on by themselves."""

    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Take another folder and another port than `make stack`."""
        monkeypatch.setattr(running, "DATA", tmp_path)
        monkeypatch.setattr(RedisServer, "default_port", free_port())
        yield
        running.down(["redis"])

    def up(self) -> list[int]:
        """Give the processes that were started; nobody waits for them here, as for those of the command."""
        started = running.up(["redis"])
        pids = [server.pid for server in started]
        for server in started:
            assert server.process is not None
            server.process.returncode = 0
        return pids

    def test_twice_is_once(self) -> None:
        (pid,) = self.up()
        assert self.up() == []
        assert running.running(running.configured("redis")) == pid

    def test_what_was_killed_is_started_again_with_its_data(self) -> None:
        (pid,) = self.up()
        with Redis(port=RedisServer.default_port) as redis:
            redis.set("kept", "yes")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not runs(pid))
            (again,) = self.up()
            assert again != pid
            assert redis.get("kept") == b"yes"

    def test_down_ends_it(self) -> None:
        (pid,) = self.up()
        assert running.down(["redis"]) == ["redis"]
        assert not runs(pid)
        assert running.down(["redis"]) == []

    def test_the_data_stays_unless_it_is_to_be_forgotten(self, tmp_path: Path) -> None:
        self.up()
        running.down(["redis"])
        assert (tmp_path / "redis/appendonlydir").exists()
        running.down(["redis"], forget=True)
        assert not (tmp_path / "redis").exists()

    def test_somebody_elses_server_on_the_port_is_told_and_left(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "other", port=RedisServer.default_port) as other:
            with pytest.raises(StackError, match="it is none of ours"):
                running.up(["redis"])
            assert other.answers()


class TestWhatIsMissing:
    """A sentence that says what to do."""

    @pytest.fixture
    def bare(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Be on a machine with nothing on it."""
        monkeypatch.setattr("stack.server._PATH", str(tmp_path))
        monkeypatch.setenv(kept.CACHE, str(tmp_path / "cache"))
        return tmp_path

    @pytest.mark.usefixtures("bare")
    def test_a_program(self, tmp_path: Path) -> None:
        with pytest.raises(StackError, match="redis needs redis-server; `make stack`"):
            RedisServer(tmp_path).start()

    @pytest.mark.usefixtures("bare")
    def test_apt(self) -> None:
        with pytest.raises(StackError, match="redis-server missing, and there is no apt here"):
            packages.install(["redis-server"])

    def test_the_right_to_install(self, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (bare / "apt-get").touch(mode=0o755)
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        with pytest.raises(StackError, match="sudo apt-get install --no-install-recommends prometheus redis-server"):
            packages.install(["redis-server", "promtool", "prometheus"])

    @pytest.mark.usefixtures("bare")
    def test_the_jars(self, tmp_path: Path) -> None:
        with pytest.raises(StackError, match="the jars of Kafka are not here"):
            KafkaBroker(tmp_path).command()

    @pytest.mark.usefixtures("bare")
    def test_maven(self) -> None:
        with pytest.raises(StackError, match="there is no mvn here"):
            BROKER.fetch()


class TestJars:
    @pytest.mark.parametrize("jars", TESTED.values(), ids=TESTED)
    def test_those_that_are_here_are_those_that_are_locked(self, jars: Jars) -> None:
        found, locked = hashes(jars.folder), kept.locked(jars.lock)
        assert found.items() >= locked.items()
        assert found.keys() - locked.keys() <= {OURS}, "which was built here"

    def test_the_lock_holds_the_versions_of_the_pom(self) -> None:
        pom = BROKER.pom.read_text(encoding="utf-8")
        for name in ("kafka_2.13", "log4j-slf4j-impl"):
            version = pom.split(f"<artifactId>{name}</artifactId>")[1].split("<version>")[1].split("<")[0]
            assert f"{name}-{version}.jar" in kept.locked(BROKER.lock)

    @pytest.mark.parametrize("jars", LOCKED, ids=lambda jars: jars.told_in.name)
    def test_no_host_is_named(self, jars: Jars) -> None:
        for path in (jars.pom, jars.lock):
            assert "//" not in path.read_text(encoding="utf-8")

    def test_a_cache_that_is_there_already_is_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(kept.CACHE, raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert kept.cache() == kept.OURS
        (tmp_path / "tocsin").mkdir()
        assert kept.cache() == tmp_path / "tocsin"
        monkeypatch.setenv(kept.CACHE, str(tmp_path / "elsewhere"))
        assert kept.cache() == tmp_path / "elsewhere"
