"""The job manager and task manager of the compose form as plain processes of this machine, in Flink's own scripts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from stack.asking import http_json, http_ok
from stack.flink import home
from stack.java import QUICK_START
from stack.ports import free_port
from stack.server import Server
from streams.flink.jars import VARIABLE, connector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/flink"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose/compose.yaml").read_text(encoding="utf-8"))["services"]
SETTINGS: dict[str, Any] = yaml.safe_load((FOLDER / "compose/config.yaml").read_text(encoding="utf-8"))
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
_QUICK = {
    "execution.checkpointing.interval": "1 s",
    "execution.checkpointing.min-pause": "0 s",
    "env.java.opts.all": f"{SETTINGS['env.java.opts.all']} {' '.join(QUICK_START)}",
}


class _Role(Server):
    """A service of the compose form, with the paths of the image put into a folder of this machine."""

    default_port = 0
    programs = ("java", "bash")

    def __init__(self, application: Application, name: str, port: int) -> None:
        super().__init__(application.folder / name, port=port)
        self.name = name  # type: ignore[misc]  # one of two
        self._application = application

    def prepare(self) -> None:
        """Say where Flink is and how it is set."""
        self.environment |= self._application.environment

    def command(self) -> list[str]:
        """Give the words of the service."""
        service = SERVICES[self.name]
        words = [*service["entrypoint"], *service.get("command", []), *self._application.words.get(self.name, [])]
        return [str(self._application.home / "bin" / words[0]), *map(self._application.here, words[1:])]

    def ready(self) -> bool:
        """Ask the job manager, which knows its task managers, too."""
        if self.name == "jobmanager":
            return http_ok(self.port, "/overview")
        return bool(http_json(self.port, "/taskmanagers").get("taskmanagers"))


class Application:
    """Both services over one folder. `words`: of the job, behind those of the compose form."""

    def __init__(self, folder: Path, topology: Path, variables: Mapping[str, str], words: Sequence[str]) -> None:
        self.folder, self.home = folder, folder / "home"
        self.words = {"jobmanager": list(words)}
        self._topology, self._variables, self._port = topology, dict(variables), free_port()
        self._calls = free_port()
        subprocess.run([FOLDER / "image/home.sh", home(), self.home], check=True)
        (folder / "conf").mkdir()
        self.set(self._settings())
        shutil.copy(self.home / "conf/log4j-console.properties", folder / "conf")
        self.jobs = _Role(self, "jobmanager", self._port)
        self.tasks = _Role(self, "taskmanager", self._port)

    def set(self, settings: Mapping[str, Any]) -> None:
        """Add settings to config.yaml; processes read it as they start."""
        with (self.folder / "conf/config.yaml").open("a", encoding="utf-8") as file:
            file.writelines(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())

    @property
    def environment(self) -> dict[str, str]:
        """Variables, as the image and the compose form set them."""
        return {
            "FLINK_CONF_DIR": str(self.folder / "conf"),
            "FLINK_LOG_DIR": str(self.home / "log"),
            "FLINK_PID_DIR": str(self.folder),
            VARIABLE: str(connector().parent),
            "ROOT_LOG_LEVEL": "WARN",
            "POLARS_MAX_THREADS": "1",
            **self._variables,
        }

    def here(self, word: str) -> str:
        """Give what a word of the compose form is on this machine."""
        word = _VARIABLE.sub(lambda found: self._variables.get(found[1], found[2]), word)
        word = word.replace("/opt/tocsin/bin/python", sys.executable).replace("/data/", f"{self.folder}/")
        return word.replace("/topology/topology.yaml", str(self._topology))

    def ask(self, path: str) -> Any:  # noqa: ANN401  # JSON
        """Ask the job manager."""
        return http_json(self._port, path)

    def runs(self) -> bool:
        """Whether the job manager has not ended: it does where the program fails."""
        return self.jobs.process is not None and self.jobs.process.poll() is None

    @property
    def said(self) -> str:
        """What the job manager has written last."""
        return self.jobs.log.read_text(encoding="utf-8")[-6000:]

    def __enter__(self) -> Self:
        """Start both."""
        for role in (self.jobs, self.tasks):
            role.launch()
        for role in (self.jobs, self.tasks):
            role.await_ready()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill both."""
        self.jobs.kill()
        self.tasks.kill()

    def _settings(self) -> dict[str, Any]:
        places = {name: "127.0.0.1" for name in SETTINGS if name.endswith(("address", "bind-host"))}
        return {
            **{name: self.here(value) if isinstance(value, str) else value for name, value in SETTINGS.items()},
            **places,
            **_QUICK,
            "taskmanager.host": "127.0.0.1",
            "rest.port": self._port,
            "jobmanager.rpc.port": self._calls,
            "metrics.reporter.prometheus.port": "20000-29999",
            "taskmanager.memory.process.size": "2g",
            "io.tmp.dirs": str(self.folder),
        }
