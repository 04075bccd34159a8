"""PyFlink's environments and clients: where a job runs, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENDED = ("FAILED", "CANCELED", "FINISHED")
LINES = 20
"""Of what Java says of a failure, how many are told."""


def make_environment(
    settings: Mapping[str, str], cluster: str
) -> tuple[StreamExecutionEnvironment, StreamTableEnvironment]:
    """Make the environment of a job on a cluster (HOST:PORT of its REST), or on a mini-cluster in this process."""
    host, _, port = cluster.partition(":")
    remote = {"execution.target": "remote", "rest.address": host, "rest.port": port or "8081"}
    configuration = Configuration()
    for name, value in {**({} if not cluster else remote), **settings}.items():
        configuration.set_string(name, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    return env, StreamTableEnvironment.create(env)


def stop_with_savepoint(client: Any, folder: Path) -> str:  # noqa: ANN401  # PyFlink's client
    """Let a job commit what it did and end; give where its state is now.

    PyFlink's own method calls one that Java's client no longer has.
    """
    form = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.NATIVE
    return str(client._j_job_client.stopWithSavepoint(False, folder.as_uri(), form).get())  # noqa: FBT003, SLF001  # see above


def ended(client: Any) -> str | None:  # noqa: ANN401
    """Say how a job has ended; None while it runs."""
    try:
        status = str(client._j_job_client.getJobStatus().get())  # noqa: SLF001  # PyFlink's does not know all of them
    except Exception as error:  # noqa: BLE001  # Py4J has none of its own for a mini-cluster that is gone
        return "\n".join(str(error).splitlines()[:LINES])
    if status not in ENDED:
        return None
    try:
        client.get_job_execution_result().result()
    except Exception as error:  # noqa: BLE001  # as above
        return "\n".join(str(error).splitlines()[:LINES])
    return status.lower()
