"""A Flink cluster out of the package apache-flink: a job manager, and a task manager that runs the jobs' tasks."""

from __future__ import annotations

import json
import os
import re
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from stack.asking import accepts, http_json, http_ok
from stack.java import QUICK_START, java, logging, write_logging
from stack.ports import free_port
from stack.server import Server, StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

_RUNTIME = "org.apache.flink.runtime"
_MEMORY = {
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.heap.size": "768m",
    "taskmanager.memory.task.off-heap.size": "256m",
    "taskmanager.memory.network.min": "128m",
    "taskmanager.memory.network.max": "128m",
    "taskmanager.memory.managed.size": "512m",
    "taskmanager.memory.jvm-metaspace.size": "1g",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
}
"""A task manager takes no size from its JVM: each has to be said. Processes of Python come on top, some 225 MB each."""
_TASKS = ("-Xms128m", "-Xmx896m", "-XX:MaxDirectMemorySize=512m", "-XX:MaxMetaspaceSize=1g", "-XX:+UseSerialGC")
"""The same sizes for the JVM: heap and direct memory are those of framework, tasks and network together."""
_PATIENCE = {
    # A task manager that was killed is missed after two refused calls; one that hangs, on a busy machine, much later.
    "heartbeat.interval": "2000",
    "heartbeat.timeout": "30000",
    # Who is asked on such a machine answers late.
    "pekko.ask.timeout": "60 s",
}


def home() -> Path:
    """Say where Flink lies in this environment, without loading it; StackError if apache-flink is not installed."""
    found = find_spec("pyflink")
    if found is None or found.origin is None:
        raise StackError("flink needs the package apache-flink in this environment: pip install 'tocsin[flink]'")
    return Path(found.origin).parent


class _FlinkProcess(Server):
    """One JVM of a cluster. It writes config.yaml into its folder and keeps what is passing in `tmp` beside it."""

    programs = ("java",)
    main: ClassVar[str]
    virtual_machine: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path, *, port: int, metrics_port: int) -> None:
        super().__init__(folder, port=port)
        self.metrics_port = metrics_port or free_port()

    @classmethod
    def lacking(cls) -> str:
        """Look for the package."""
        try:
            home()
        except StackError as error:
            return str(error)
        return ""

    def settings(self) -> dict[str, str]:
        """Give the lines of config.yaml."""
        return {
            "io.tmp.dirs": str(self.folder / "tmp"),
            "python.executable": sys.executable,
            "metrics.reporters": "prometheus",
            "metrics.reporter.prometheus.factory.class": (
                "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
            ),
            "metrics.reporter.prometheus.port": str(self.metrics_port),
            **_PATIENCE,
        }

    def prepare(self) -> None:
        """Write config.yaml."""
        (self.folder / "tmp").mkdir(exist_ok=True)
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in self.settings().items()]
        (self.folder / "config.yaml").write_text("".join(lines), encoding="utf-8")
        write_logging(self.folder, "INFO")
        # A job that does not name an interpreter asks for `python`, whatever config.yaml says.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        self.environment |= {"FLINK_PLUGINS_DIR": str(home() / "plugins"), "PATH": path}

    def command(self) -> list[str]:
        """Run it as Flink's own scripts would, but in the foreground."""
        flink = home()
        # With what runs Python among the cluster's own classes, jobs leave none of them behind in the metaspace.
        classes = [f"{flink / 'lib'}/*", *map(str, (flink / "opt").glob("flink-python-*.jar"))]
        opened = re.findall(r"--add-\S+", (flink / "conf/config.yaml").read_text(encoding="utf-8"))
        words = [
            java(),
            *self.virtual_machine,
            logging(self.folder),
            f"-Dlog.file={self.log}",
            *opened,
            "-cp",
            ":".join(classes),
        ]
        return [*words, f"{_RUNTIME}.{self.main}", "--configDir", str(self.folder)]


class FlinkCluster(_FlinkProcess):
    """The job manager at `port` (REST, the web page), and `tasks`, one task manager with so many `slots`.

    It starts and ends with its task manager, which may be killed and started alone. It forgets jobs when it ends;
    checkpoints and savepoints stay in its folder. `settings`: more lines of config.yaml, for both.
    """

    name = "flink"
    default_port = 8081
    main = "entrypoint.StandaloneSessionClusterEntrypoint"
    virtual_machine = (*QUICK_START, "-Xms64m", "-Xmx512m")

    def __init__(
        self, folder: Path, *, port: int = 0, slots: int = 8, settings: Mapping[str, str] | None = None
    ) -> None:
        usual = port == self.default_port
        super().__init__(folder, port=port, metrics_port=9249 if usual else 0)
        self.slots = slots
        self.more = dict(settings or {})
        self._calls = 6123 if usual else free_port()
        self.tasks = FlinkTasks(self, port=FlinkTasks.default_port if usual else 0, metrics_port=9250 if usual else 0)

    @property
    def url(self) -> str:
        """Where its REST API and its page are."""
        return f"http://{self.address}"

    @property
    def parts(self) -> tuple[Server, ...]:
        """The task manager."""
        return (self.tasks,)

    def settings(self) -> dict[str, str]:
        """Listen on this machine only; keep state in the folder."""
        return {
            **super().settings(),
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": str(self.port),
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.bind-host": "127.0.0.1",
            "jobmanager.rpc.port": str(self._calls),
            "execution.checkpointing.dir": (self.folder / "checkpoints").as_uri(),
            "execution.checkpointing.savepoint-dir": (self.folder / "savepoints").as_uri(),
            **self.more,
        }

    def ready(self) -> bool:
        """Ask for /overview."""
        return http_ok(self.port, "/overview")


class FlinkTasks(_FlinkProcess):
    """The task manager of a cluster; `port` is where other parts of Flink call it."""

    name = "flink-tasks"
    default_port = 6122
    main = "taskexecutor.TaskManagerRunner"
    virtual_machine = _TASKS

    def __init__(self, cluster: FlinkCluster, *, port: int = 0, metrics_port: int = 0) -> None:
        super().__init__(cluster.folder / "tasks", port=port, metrics_port=metrics_port)
        self.cluster = cluster

    def settings(self) -> dict[str, str]:
        """Belong to the cluster, each time under another name."""
        return {
            **self.cluster.settings(),
            **super().settings(),
            **_MEMORY,
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.rpc.port": str(self.port),
            "taskmanager.resource-id": self._name.read_text(encoding="utf-8"),
            "taskmanager.numberOfTaskSlots": str(self.cluster.slots),
            "taskmanager.cpu.cores": str(self.cluster.slots),
            **self.cluster.more,
        }

    def prepare(self) -> None:
        """Choose a name: the cluster may not have missed yet the one that was killed."""
        self._name.write_text(f"tasks-{uuid.uuid4().hex[:12]}", encoding="utf-8")
        super().prepare()

    def ready(self) -> bool:
        """Ask the cluster whether it knows this one with its slots."""
        ours, slots = self._name.read_text(encoding="utf-8"), self.cluster.slots
        known = http_json(self.cluster.port, "/taskmanagers").get("taskmanagers", [])
        return accepts(self.port) and any(one["id"] == ours and one["slotsNumber"] == slots for one in known)

    @property
    def _name(self) -> Path:
        return self.folder / "name"
