"""Real servers for tests: started by the first test that wants one, shared by all workers, ended with the run.

Their content is shared, too: names of topics, keys and databases must be a test's own (`unique`, `kafka_topics`). A
test that kills or restarts a server takes one of its own: `with KafkaBroker(tmp_path) as broker`.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Protocol

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stack import FlinkCluster
from stack.shared import USERS, shared

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def kafka() -> str:
    """Give `bootstrap.servers` of a broker; topics do not arise by themselves."""
    return str(shared("kafka")["servers"])


@pytest.fixture(scope="session")
def kafka_secured() -> tuple[str, str, str]:
    """Give servers, name and password of the same broker's listener for SASL/PLAIN; ACLs say what the user may."""
    (user,) = USERS.items()
    return str(shared("kafka")["secured"]), *user


@pytest.fixture(scope="session")
def redis_url(worker_id: str) -> str:
    """Give the URL of a Redis database that no other worker uses."""
    return (
        f"redis://{shared('redis')['address']}/{int(worker_id.removeprefix('gw') or 0) if worker_id != 'master' else 0}"
    )


@pytest.fixture(scope="session")
def clickhouse_server() -> tuple[str, int]:
    """Give host and port of the native protocol; user `default` without a password."""
    return "127.0.0.1", int(shared("clickhouse")["port"])


@pytest.fixture(scope="session")
def flink_cluster() -> str:
    """Give where the REST API of a Flink cluster is, as `127.0.0.1:23456`; its slots are for all tests of the run."""
    if FlinkCluster.lacking():
        pytest.skip(FlinkCluster.lacking())
    return str(shared("flink")["address"])


@pytest.fixture
def unique() -> str:
    """Give a name that nothing else has: letters and digits, usable for topics, keys, tables."""
    return f"t{uuid.uuid4().hex[:12]}"


def delete_topics(admin: AdminClient, names: list[str]) -> None:
    """Delete topics; one that is gone already is as good."""
    for done in admin.delete_topics(names).values() if names else ():
        try:
            done.result(30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise


class Topics(Protocol):
    """Makes topics."""

    def __call__(self, name: str = "", partitions: int = 1, **settings: str) -> str:
        """Make a topic and give its name, by default one of the test's own. Settings: `cleanup_policy="compact"`."""


@pytest.fixture
def kafka_topics(kafka: str, unique: str) -> Iterator[Topics]:
    """Make topics that go with the test."""
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    made: list[str] = []

    def make(name: str = "", partitions: int = 1, **settings: str) -> str:
        topic = name or f"{unique}.{len(made)}"
        wanted = NewTopic(
            topic, partitions, 1, config={key.replace("_", "."): value for key, value in settings.items()}
        )
        for done in admin.create_topics([wanted]).values():
            done.result(30)
        made.append(topic)
        until = time.monotonic() + 30
        while topic not in admin.list_topics(timeout=30).topics:
            assert time.monotonic() < until, f"the broker does not show {topic}"
            time.sleep(0.02)
        return topic

    yield make
    delete_topics(admin, made)
