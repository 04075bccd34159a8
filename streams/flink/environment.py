"""PyFlink's environments and clients: where a job runs, and how it ends."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import yaml
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.util.java_utils import add_jars_to_context_class_loader

from streams.flink.causes import cause_in
from streams.flink.preflight import JARS, NEEDED
from streams.flink.remote import ENDED
from streams.flink.rest import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


OURS_FIRST = frozenset(
    {
        "pipeline.max-parallelism",
        "pipeline.object-reuse",
        *NEEDED,
        "pipeline.auto-generate-uids",
        "execution.state-recovery.ignore-unclaimed-state",
    }
)
"""Settings that what a job computes, or how it goes on from its state, rests on."""
PARALLELISM = "parallelism.default"


def make_environment(
    settings: Mapping[str, str], cluster: str, given: Mapping[str, str] | None = None
) -> StreamExecutionEnvironment:
    """Make the environment of a job on a cluster (HOST:PORT of its REST), or on a mini-cluster in this process.

    `given`: the settings of the Flink that has started this process, whose own environment is taken then.
    """
    configuration = Configuration()
    for name, value in (settings if given is None else _beside(given, settings)).items():
        configuration.set_string(name, value)
    add_jars_to_context_class_loader(filter(None, configuration.get_string(JARS, "").split(";")))
    return _remote(configuration, cluster) if cluster else _local(configuration)


def given_settings() -> dict[str, str]:
    """Give the settings of the Flink that has started this process."""
    env = StreamExecutionEnvironment.get_execution_environment()
    return dict(env._j_stream_execution_environment.getConfiguration().toMap())  # noqa: SLF001  # PyFlink gives no map


def _beside(given: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Give what is to be set beside what Flink was given: most of that counts before ours."""
    found = {name: value for name, value in ours.items() if name not in given or name in OURS_FIRST}
    found.pop(PARALLELISM, None)
    there = yaml.safe_load(given.get(JARS, "[]"))  # a list as YAML writes it; an older form has ; between
    found[JARS] = ";".join([*(there.split(";") if isinstance(there, str) else there), ours[JARS]])
    return found


def _local(configuration: Configuration) -> StreamExecutionEnvironment:
    return StreamExecutionEnvironment.get_execution_environment(configuration)


def _remote(configuration: Configuration, cluster: str) -> StreamExecutionEnvironment:
    """PyFlink itself makes such an environment only for programs that `flink run` has started."""
    host, port = place_of(cluster)
    gateway = get_gateway()
    java = gateway.jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
    jars = gateway.new_array(gateway.jvm.String, 0)  # they stand in the configuration
    ours = configuration._j_configuration  # noqa: SLF001  # PyFlink hides it
    made = java.createRemoteEnvironment(host, port, ours, jars)
    made.configure(ours)  # again: it has put defaults in the place of what was said of a savepoint
    return StreamExecutionEnvironment(made)


def stop_with_savepoint(client: Any, folder: Path) -> str | None:  # noqa: ANN401  # PyFlink's client
    """Let a job commit what it did and end; None, or why that could not be.

    PyFlink's own method calls one that Java's client no longer has.
    """
    form = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.NATIVE
    try:
        client._j_job_client.stopWithSavepoint(False, folder.as_uri(), form).get()  # noqa: FBT003, SLF001  # see above
    except Exception as error:  # noqa: BLE001  # Py4J has none of its own
        return cause_of(error)
    return None


def cancel(client: Any) -> None:  # noqa: ANN401
    """End a job as it stands; one that has ended already is left alone."""
    with suppress(Exception):  # Py4J has none of its own
        client.cancel().result()


def ended(client: Any) -> str | None:  # noqa: ANN401
    """Say how a job has ended; None while it runs."""
    try:
        status = str(client._j_job_client.getJobStatus().get())  # noqa: SLF001  # PyFlink's does not know all of them
    except Exception as error:  # noqa: BLE001  # Py4J has none of its own for a mini-cluster that is gone
        return cause_of(error)
    if status not in ENDED:
        return None
    try:
        client.get_job_execution_result().result()
    except Exception as error:  # noqa: BLE001  # as above
        return cause_of(error)
    return status.lower()


def cause_of(error: Exception) -> str:
    """Give the last cause that Java names, and the last error of Python, if one is in it."""
    return cause_in(str(error))
