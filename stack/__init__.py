"""Real servers as plain processes, for development and tests: no Docker needed.

    python -m stack up|down|status|fetch [NAMES]

In tests each server is a context manager on a free port, with a data folder of its own:

    with KafkaBroker(folder) as broker:
        broker.servers   # "127.0.0.1:23456"
        broker.kill()    # SIGKILL
        broker.start()   # the same ports, the same data

`stack.shared` gives one server of a kind to several processes of a test run.
"""

from __future__ import annotations

from stack.alertmanager import Alertmanager
from stack.clickhouse import ClickHouseServer
from stack.flink import FlinkCluster
from stack.kafka import KafkaBroker
from stack.prometheus import Prometheus
from stack.redis import RedisServer
from stack.server import Server, StackError

__all__ = [
    "SERVERS",
    "Alertmanager",
    "ClickHouseServer",
    "FlinkCluster",
    "KafkaBroker",
    "Prometheus",
    "RedisServer",
    "Server",
    "StackError",
]

SERVERS: dict[str, type[Server]] = {
    server.name: server
    for server in (KafkaBroker, RedisServer, ClickHouseServer, Prometheus, Alertmanager, FlinkCluster)
}
