"""What a Flink job lacks is told by the command before it asks a broker, and before a JVM starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from shop import TOPOLOGY

from streams.flink.jars import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said

    Say = Callable[..., Said]

pytest.importorskip("pyflink", reason="the runtime flink is an extra")
NOBODY = "127.0.0.1:1"


@pytest.fixture
def job(say: Say, tmp_path: Path) -> Callable[..., Said]:
    """Run the shop as a job on brokers that are not there."""
    (tmp_path / "shop.yaml").write_text(TOPOLOGY)
    words = ("--runtime", "flink", "--kafka", NOBODY, "--sink", f"kafka://{NOBODY}/alerts")
    return lambda *more: say("run", "shop.yaml", *words, *more)


def test_no_java(job: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    said = job()
    assert said.code == 2
    assert f"the runtime flink needs Java, and {tmp_path}/bin/java cannot be run" in said.err
    assert "install Java 11, 17 or 21" in said.err


def test_no_connector(job: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    said = job()
    assert said.code == 2
    assert f"the runtime flink needs flink-sql-connector-kafka-5.0.0-2.2.jar, which is not in {tmp_path}" in said.err


def test_no_cluster(job: Callable[..., Said]) -> None:
    said = job("--cluster", NOBODY)
    assert said.code == 2
    assert f"no Flink cluster answers at {NOBODY}" in said.err
