"""The command line in this process: quick, and with everything that a user would see."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tocsin.cli import DEBUG, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever the command prints
        """Give what it printed, read as JSON."""
        return json.loads(self.out)


Say = "Callable[..., Said]"


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Give a function that runs `tocsin` with some words, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(DEBUG, raising=False)

    def run(*words: object) -> Said:
        monkeypatch.setattr("sys.argv", ["tocsin", *map(str, words)])
        code = answer([])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Said(code, out, err)

    return run
