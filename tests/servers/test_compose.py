"""compose.yaml says what `make stack` does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack import SERVERS, KafkaBroker
from stack.jars import BROKER
from stack.kafka import CLUSTER_OF_ONE
from stack.places import DATA
from stack.running import WATCHING
from stack.server import find_program

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]


def test_docker_compose_takes_it() -> None:
    program = find_program("docker-compose")
    assert program is not None, "`python -m stack fetch` installs docker-compose"
    ran = subprocess.run([program, "-f", FILE, "config", "-q"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_it_has_the_servers_of_the_stack() -> None:
    assert sorted(SERVICES) == sorted(SERVERS)


@pytest.mark.parametrize("name", [name for name in SERVERS if name not in {"prometheus", "flink"}])
def test_each_listens_on_its_usual_port_of_this_machine(name: str) -> None:
    ports = SERVICES[name]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert f"127.0.0.1:{SERVERS[name].default_port}:{SERVERS[name].default_port}" in ports


def test_prometheus_has_the_network_of_this_machine_and_the_configuration_that_is_shipped() -> None:
    prometheus = SERVICES["prometheus"]
    assert prometheus["network_mode"] == "host"
    assert f"--web.listen-address=127.0.0.1:{SERVERS['prometheus'].default_port}" in prometheus["command"]
    assert f"./{WATCHING.relative_to(ROOT)}:/etc/prometheus:ro" in prometheus["volumes"]


class TestFlink:
    """It has no image of its own that would do."""

    DOCKERFILE = ROOT / SERVICES["flink"]["build"]["dockerfile"]

    def test_it_has_the_network_of_this_machine_and_is_the_cluster_of_the_stack(self) -> None:
        assert SERVICES["flink"]["network_mode"] == "host"
        assert 'from stack.running import up; up([\\"flink\\"])' in self.DOCKERFILE.read_text(encoding="utf-8")

    def test_its_data_is_where_the_stack_keeps_it(self) -> None:
        (volume,) = SERVICES["flink"]["volumes"]
        assert volume == f"flink:/opt/tocsin/{DATA.relative_to(ROOT)}"
        assert f'VOLUME ["{volume.removeprefix("flink:")}"]' in self.DOCKERFILE.read_text(encoding="utf-8")

    def test_what_is_copied_exists_and_nothing_else_is_sent_to_the_builder(self) -> None:
        lines = re.findall(r"^COPY (.*)$", self.DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
        copied = {word.rstrip("/") for line in lines for word in line.split()[:-1]}
        ignored = self.DOCKERFILE.with_name("flink.Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        assert {line[1:] for line in ignored if line.startswith("!")} == copied
        assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", SERVERS)
def test_each_is_asked_whether_it_is_ready_and_keeps_its_data(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert any(volume.startswith(f"{name}:/") for volume in SERVICES[name]["volumes"])


def test_the_broker_is_of_the_version_of_the_jars() -> None:
    assert SERVICES["kafka"]["image"] == "apache/kafka:4.1.0"
    assert "<artifactId>kafka_2.13</artifactId>\n      <version>4.1.0</version>" in BROKER.pom.read_text(
        encoding="utf-8"
    )


def test_the_broker_has_the_settings_of_that_of_the_stack() -> None:
    told = SERVICES["kafka"]["environment"]
    spelled = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in CLUSTER_OF_ONE.items()}
    assert {name: str(told.get(name)) for name in spelled} == spelled


def test_clients_of_this_machine_are_sent_back_to_it() -> None:
    told = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"PLAINTEXT://127.0.0.1:{KafkaBroker.default_port}" in told.split(",")
