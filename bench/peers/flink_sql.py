"""The standard job in plain Flink SQL, exactly once, on a mini-cluster: `python -m bench.peers.flink_sql`.

Each window above the threshold is a row: that an alert is raised once and cleared is more than one statement says.
"""

from __future__ import annotations

import sys

import msgspec
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from bench.flink_job import Ordered
from streams.flink.jars import connector

_SOURCE = """
CREATE TABLE payments (
  `id` STRING, `key` STRING, `at` BIGINT, amount DECIMAL(12, 2),
  happened AS TO_TIMESTAMP_LTZ(`at`, 3), WATERMARK FOR happened AS happened - INTERVAL '2' SECOND
) WITH (
  'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{servers}', 'format' = 'json',
  'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset'
)
"""
_SINK = """
CREATE TABLE alerts (`time` BIGINT, `key` STRING, kind STRING, payments BIGINT, cents BIGINT) WITH (
  'connector' = 'kafka', 'topic' = '{alerts}', 'properties.bootstrap.servers' = '{servers}', 'format' = 'json',
  'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{alerts}',
  'properties.transaction.timeout.ms' = '900000', 'properties.compression.type' = 'lz4'
)
"""
_JOB = """
INSERT INTO alerts
SELECT UNIX_TIMESTAMP(CAST(window_end AS STRING)) * 1000 - 1, `key`, 'raised',
       COUNT(*), CAST(SUM(amount) * 100 AS BIGINT)
FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(happened), INTERVAL '10' SECOND))
GROUP BY `key`, window_start, window_end
HAVING SUM(amount) > {most}
"""


def run(order: Ordered) -> None:
    """Run the job until all records are counted."""
    configuration = Configuration()
    for name, value in order.settings.items():
        configuration.set_string(name, value)
    configuration.set_string("pipeline.jars", connector().as_uri())
    tables = StreamTableEnvironment.create(StreamExecutionEnvironment.get_execution_environment(configuration))
    words = msgspec.structs.asdict(order.order)
    tables.execute_sql(_SOURCE.format(**words))
    tables.execute_sql(_SINK.format(**words))
    tables.execute_sql(_JOB.format(**words)).wait()


if __name__ == "__main__":
    run(msgspec.json.decode(sys.stdin.buffer.read(), type=Ordered))
