"""The command line in this process, and topics that a command made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest
from confluent_kafka.admin import AdminClient

from tests.servers.fixtures import delete_topics
from tocsin.cli import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Say(Protocol):
    """Runs `tocsin` with some words in the folder of the project."""

    def __call__(self, *words: object) -> Said:
        """Give what it said."""


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Say:
    """Give a function that runs `tocsin` with some words."""
    monkeypatch.chdir(ROOT)

    def tocsin(*words: object) -> Said:
        monkeypatch.setattr("sys.argv", ["tocsin", *map(str, words)])
        code = answer([])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)

    return tocsin


@pytest.fixture
def cleared(kafka: str, unique: str) -> Iterator[None]:
    """Remove the topics whose names begin with the test's own name."""
    yield
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    delete_topics(admin, [name for name in admin.list_topics(timeout=30).topics if name.startswith(unique)])
