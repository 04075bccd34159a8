"""When a job that is watched over has come to its end: also where it begins anew just then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from streams.flink.words import Word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.flink.submitting import Submitted
    from streams.flink.words import Listener

TASKS = ["payments/0", "payments/1"]
THROUGH = [Word("r", through=task) for task in TASKS]


class Said:
    """Gives what is said, piece by piece."""

    def __init__(self, *pieces: list[Word]) -> None:
        self.pieces = list(pieces)

    def hear(self, seconds: float) -> Iterator[Word]:
        """Give the next piece."""
        del seconds
        yield from self.pieces.pop(0) if self.pieces else []


def watched(monkeypatch: pytest.MonkeyPatch, folder: Path, said: Said, stops: list[str | None]) -> bool:
    """Watch over a job; `stops`: why it could not be stopped, for each time that is tried."""
    environment = pytest.importorskip("streams.flink.environment", reason="the runtime flink is an extra")
    from streams.flink.running import Watch  # noqa: PLC0415  # as above
    from streams.flink.submitting import Run  # noqa: PLC0415  # as above

    monkeypatch.setattr(environment, "stop_with_savepoint", lambda *_: stops.pop(0))
    monkeypatch.setattr(environment, "ended", lambda _: None)
    run = Run(cast("Any", SimpleNamespace(name="shop")), folder / "shop.yaml", folder)
    job: Any = SimpleNamespace(order=SimpleNamespace(layout=SimpleNamespace(tasks=TASKS)), client=None, job="j")
    return Watch(run, cast("Submitted", job), cast("Listener", said)).watch()


def test_all_tasks_are_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert watched(monkeypatch, tmp_path, Said(THROUGH[:1], [], THROUGH[1:]), [None])


def test_a_job_that_begins_anew_while_it_is_stopped_is_not_through(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not watched(monkeypatch, tmp_path, Said(THROUGH, [Word("r", 1)]), [None])


def test_a_job_that_cannot_be_stopped_and_begins_anew_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    again = [Word("r", 1), *(Word("r", 1, through=task) for task in TASKS)]
    stops: list[str | None] = ["it is restarting", None]
    assert watched(monkeypatch, tmp_path, Said(THROUGH, again[:2], [], again[2:]), stops)
    assert stops == []


def test_what_was_said_before_it_began_anew_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stops: list[str | None] = [None]
    late = [Word("r", 1), *THROUGH]
    assert watched(monkeypatch, tmp_path, Said(late, [Word("r", 1, through=task) for task in TASKS]), stops)
