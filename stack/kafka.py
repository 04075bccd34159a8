"""A Kafka broker that is its own controller (KRaft), from the jars of pom.xml."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from stack.asking import kafka_brokers
from stack.jars import BROKER
from stack.java import QUICK_START, java, logging, write_logging
from stack.ports import free_port
from stack.server import Server, StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARCHIVE = "classes.jsa"
CLUSTER_OF_ONE = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A broker that was killed may come back only when its own session has run out.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "auto.create.topics.enable": "false",
}


def archive() -> Path:
    """Say where the classes of a broker lie as the JVM wants them (class data sharing), once `warm_up` was called."""
    return BROKER.folder / _ARCHIVE


def warm_up() -> None:
    """Start and stop a broker once, so that every later one starts in half the time."""
    if archive().exists():
        return
    with TemporaryDirectory() as scratch, KafkaBroker(Path(scratch), writes=archive().with_suffix(".part")) as broker:
        broker.stop()
    archive().with_suffix(".part").rename(archive())


class KafkaBroker(Server):
    """One broker. `users`: name to password; `settings`: more lines of server.properties; `heap`: as for `java -Xmx`.

    `listeners`: further ones, each a name and its protocol (SSL, SASL_SSL, …), which `settings` have to set up; `at`
    says where they are. `writes`: a file that is to hold the loaded classes when it ends (`warm_up`).

    Topics do not arise by themselves. Whoever connects to `port` may do everything. With `users` a second listener,
    `secured`, wants SASL/PLAIN over plain text, and its users may do what an ACL allows them: nothing at first.
    """

    name = "kafka"
    default_port = 9092
    programs = ("java",)

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        users: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        heap: str = "384m",
        writes: Path | None = None,
    ) -> None:
        super().__init__(folder, port=port)
        self.users = dict(users or {})
        self.settings = dict(settings or {})
        self.heap = heap
        self._writes = writes
        self._controller = port + 3 if port == self.default_port else free_port()
        self._secured = free_port() if self.users else 0
        self._protocols = dict(listeners or {})
        self._ports = {name: free_port() for name in self._protocols}

    @property
    def servers(self) -> str:
        """What clients call `bootstrap.servers`."""
        return self.address

    @property
    def secured(self) -> str:
        """The same for the listener that wants a name and a password."""
        return f"127.0.0.1:{self._secured}"

    def at(self, listener: str) -> str:
        """Give `bootstrap.servers` of one of `listeners`."""
        return f"127.0.0.1:{self._ports[listener]}"

    def prepare(self) -> None:
        """Write server.properties; format the folder of the log the first time."""
        write_logging(self.folder, "WARN")
        lines = [f"{name}={value}\n" for name, value in {**self._properties(), **self.settings}.items()]
        self._config.write_text("".join(lines), encoding="utf-8")
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        """Made for a quick start and little memory, not for the highest throughput."""
        memory = [
            "-Xms64m",
            f"-Xmx{self.heap}",
            *([f"-XX:ArchiveClassesAtExit={self._writes}"] if self._writes else []),
        ]
        return [*self._java(memory), "kafka.Kafka", str(self._config)]

    def ready(self) -> bool:
        """Ask for metadata: a broker that may not serve yet does not count itself."""
        return kafka_brokers(self.port) == 1

    @property
    def _config(self) -> Path:
        return self.folder / "server.properties"

    def _java(self, memory: list[str]) -> list[str]:
        shared = [f"-XX:SharedArchiveFile={archive()}"] if archive().exists() else []
        return [java(), *QUICK_START, *shared, *memory, logging(self.folder), "-cp", BROKER.classpath()]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        words = [
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster}",
            "--standalone",
            "-c",
            str(self._config),
        ]
        ran = subprocess.run([*self._java([]), *words], capture_output=True, text=True, check=False)
        if ran.returncode:
            raise StackError(f"kafka cannot format {self.folder / 'data'}:\n{ran.stdout}{ran.stderr}")

    def _properties(self) -> dict[str, str]:
        plain, controller = f"PLAINTEXT://{self.address}", f"CONTROLLER://127.0.0.1:{self._controller}"
        secured = [f"SASL_PLAINTEXT://{self.secured}"] if self.users else []
        secured += [f"{name}://{self.at(name)}" for name in self._protocols]
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", "SASL_PLAINTEXT": "SASL_PLAINTEXT"}
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self._controller}",
            "listeners": ",".join([plain, controller, *secured]),
            "advertised.listeners": ",".join([plain, *secured]),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in (protocols | self._protocols).items()
            ),
            "log.dirs": str(self.folder / "data"),
            **CLUSTER_OF_ONE,
            **(self._security() if self.users else {}),
        }

    def _security(self) -> dict[str, str]:
        users = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        plain = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
        return {
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": plain,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
