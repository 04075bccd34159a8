"""The compose form is one that Docker takes, and both of its services are of the one image."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from stack.server import find_program
from tests.deploy.applications import FOLDER, ROOT, SERVICES, SETTINGS
from tests.deploy.settings import java_options, unknown

FILE = FOLDER / "compose/compose.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def configured(*words: str) -> dict[str, Any]:
    """Give what docker-compose makes of it."""
    program = find_program("docker-compose")
    assert program is not None, "`python -m stack fetch` installs docker-compose"
    ran = subprocess.run([program, "-f", FILE, "config", *words], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    found: dict[str, Any] = yaml.safe_load(ran.stdout) or {}
    return found


def test_docker_compose_takes_it() -> None:
    assert configured("-q") == {}


class TestServices:
    def test_are_of_one_image(self) -> None:
        services = configured()["services"]
        (image,) = {service["image"] for service in services.values()}
        assert image == "localhost/tocsin-flink:latest"
        assert re.search(r"^IMAGE = tocsin\$\(if \$\(filter flink,", (ROOT / "Makefile").read_text(), re.MULTILINE)

    def test_see_the_same_settings_state_and_secrets(self) -> None:
        one, other = configured()["services"].values()
        for name in ("volumes", "environment", "secrets", "networks"):
            assert one[name] == other[name]

    def test_listen_on_this_machine_only(self) -> None:
        ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
        assert ports == ["127.0.0.1:8081:8081"]

    def test_reach_the_broker_of_the_project(self) -> None:
        broker = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["kafka"]
        told = configured()["services"]["jobmanager"]["environment"]["TOCSIN_KAFKA_BOOTSTRAP_SERVERS"]
        assert f"INSIDE://{told}" in broker["environment"]["KAFKA_ADVERTISED_LISTENERS"]

    @pytest.mark.parametrize("place", ["/opt/tocsin", "/opt/flink", "/opt/flink/bin"])
    def test_what_they_name_is_in_the_image(self, place: str) -> None:
        assert f"{place}:" in DOCKERFILE or f" {place} " in DOCKERFILE or f"{place}\n" in DOCKERFILE


class TestSettings:
    def test_are_those_that_flink_knows(self) -> None:
        assert unknown(SETTINGS) == []

    def test_java_opens_to_flink_what_its_own_configuration_says(self) -> None:
        assert SETTINGS["env.java.opts.all"] == java_options()

    def test_of_rocksdb_are_incremental(self) -> None:
        assert (SETTINGS["state.backend.type"], SETTINGS["execution.checkpointing.incremental"]) == ("rocksdb", True)
