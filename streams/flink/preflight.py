"""What is looked at before a job is made: packages, Java, the jars, the cluster and its free slots.

All of it is found in a second, without a JVM of Flink. What Python the task managers have, `probe.py` asks.
"""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from streams.flink.jars import jars
from streams.flink.remote import jobs
from streams.flink.rest import ask
from tocsin.errors import SourceError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OLDEST_JAVA = 11
TESTED_JAVA = (11, 17, 21)
"""With which Flink is tested: its documentation on Java compatibility, 2.x."""
JAVA_SECONDS = 60.0
SLOT_SECONDS = 10.0
"""How long slots of a job that has just ended may take to be free."""
LOOK_SECONDS = 0.5
JARS = "pipeline.jars"
"""Of `--flink`: beside ours."""
NEEDED = {"pipeline.operator-chaining.enabled": "true", "pipeline.generic-types": "true"}
"""Settings without which a record would be a row on its way from the reader to the operator that packs it."""
_JAVA_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def look(cluster: str, name: str, parallelism: int, settings: Mapping[str, str], warn: Callable[[str], None]) -> None:
    """Find out what a job named `name` would lack; SourceError or StateError says what, and what to do.

    `cluster`: HOST:PORT, "" for a mini-cluster. `settings`: further ones of Flink.
    """
    refuse_settings(settings)
    look_around(cluster, warn)
    if cluster:
        refuse_twin(cluster, name)
        require_slots(cluster, int(settings.get("parallelism.default", parallelism)), settings, warn)


def look_around(cluster: str, warn: Callable[[str], None]) -> None:
    """Find out what any job would lack here, or on the cluster."""
    require_packages()
    require_java(warn)
    jars()
    if cluster:
        require_version(cluster)


def refuse_settings(settings: Mapping[str, str]) -> None:
    """Raise SourceError if a setting stands against what the operators need."""
    for name, value in NEEDED.items():
        if (said := settings.get(name, value)).lower() != value:
            raise SourceError(f"--flink {name}={said}: a job needs {value}, or records would travel one by one")


def require_packages() -> None:
    """Raise SourceError if PyFlink is not in this environment; it is not loaded."""
    if find_spec("pyflink") is None:
        raise SourceError(
            "the runtime flink needs apache-flink in this environment: pip install 'tocsin[flink,kafka]', with a "
            "Python older than 3.13"
        )


def require_java(warn: Callable[[str], None]) -> None:
    """Look for the Java that PyFlink will start; SourceError if there is none that Flink runs on."""
    from pyflink.pyflink_gateway_server import find_java_executable  # noqa: PLC0415  # loads no other part of PyFlink

    program = find_java_executable()
    version = _java_version(program)
    if version < OLDEST_JAVA:
        raise SourceError(f"{program} is Java {version}, which Flink cannot run on; {_java_to_take()}")
    if version not in TESTED_JAVA:
        warn(f"{program} is Java {version}, with which Flink is not tested; {_java_to_take()}")


def _java_version(program: str) -> int:
    try:
        ran = subprocess.run(  # noqa: S603  # the one that PyFlink would run
            [program, "-version"], capture_output=True, text=True, timeout=JAVA_SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(
            f"the runtime flink needs Java, and {program} cannot be run: {error}; {_java_to_take()}"
        ) from error
    found = _JAVA_VERSION.search(ran.stderr + ran.stdout)
    if found is None:
        said = (ran.stderr + ran.stdout).strip()[:200] or f"nothing, and ends with code {ran.returncode}"
        raise SourceError(f"{program} does not say which Java it is, but {said}; {_java_to_take()}")
    return int(found[1])


def _java_to_take() -> str:
    *others, last = map(str, TESTED_JAVA)
    return f"install Java {', '.join(others)} or {last}, and put it on PATH or name its folder in JAVA_HOME"


def require_version(cluster: str) -> None:
    """Raise SourceError if the cluster runs another Flink than the one here: they do not understand one another."""
    from pyflink.version import __version__ as here  # noqa: PLC0415  # an extra

    there = str(_of(ask(cluster, "/overview"), "flink-version", cluster))
    if there.split(".")[:2] != here.split(".")[:2]:
        wanted = ".".join(here.split(".")[:2])
        raise SourceError(
            f"the cluster at {cluster} runs Flink {there}, and the jobs of this tocsin are of Flink {here}: take a "
            f"cluster of Flink {wanted}"
        )


def refuse_twin(cluster: str, name: str) -> None:
    """Raise StateError if the cluster runs a job of that name; a command that was killed leaves it there."""
    for job in jobs(cluster):
        if job.name == name and job.runs:
            raise StateError(
                f"{cluster} runs the job {name!r} already, as {job.id}: stop it (tocsin flink stop {job.id} --cluster "
                f"{cluster}), or take another --group and --state"
            )


def require_slots(
    cluster: str, parallelism: int, settings: Mapping[str, str], warn: Callable[[str], None], own: int = 0
) -> None:
    """Raise SourceError if the job would wait for slots in vain; all operators share them, so it needs `parallelism`.

    Where task managers are started on demand, or a job makes do with what is there, that is only a warning. `own`: how
    many a job has that ends before.
    """
    until = monotonic() + SLOT_SECONDS
    known = {**_configuration(cluster), **settings}
    elastic = _starts_task_managers(known)
    while (free := _free(cluster) + own) < parallelism and not elastic and monotonic() < until:
        sleep(LOOK_SECONDS)
    if free >= parallelism:
        return
    total = int(_of(ask(cluster, "/overview"), "slots-total", cluster))
    needs = f"--parallelism {parallelism} needs {parallelism}"
    short = f"the cluster at {cluster} has {free} of {total} slots free, and {needs}"
    if elastic:
        warn(f"{short}: it has to start more task managers first")
    elif free and known.get("jobmanager.scheduler", "").lower() == "adaptive":
        warn(f"{short}: the job begins with fewer subtasks")
    else:
        raise SourceError(
            f"{short}: take a smaller --parallelism, end other jobs, or give it more task managers or slots "
            "(taskmanager.numberOfTaskSlots)"
        )


def _free(cluster: str) -> int:
    return int(_of(ask(cluster, "/overview"), "slots-available", cluster))


def _configuration(cluster: str) -> dict[str, str]:
    return {line["key"]: line["value"] for line in ask(cluster, "/jobmanager/config")}


def _starts_task_managers(known: Mapping[str, str]) -> bool:
    """Whether the resource manager is that of Kubernetes or YARN, by what these write into the configuration."""
    return (
        "kubernetes.internal.jobmanager.entrypoint.class" in known
        or known.get("high-availability.cluster-id", "").startswith("application_")
        or any(name.startswith("yarn.") for name in known)
    )


def _of(told: Any, name: str, cluster: str) -> Any:  # noqa: ANN401  # JSON
    if not isinstance(told, dict) or name not in told:
        raise SourceError(f"what answers at {cluster} is no Flink cluster: it says nothing of {name!r}")
    return told[name]
