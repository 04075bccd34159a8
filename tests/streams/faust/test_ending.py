"""The end of a worker that takes too long is cut short, and says what it is for, as any other."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from streams.faust import ending
from streams.faust.worker import REFUSED, Failure
from tests.waiting import wait_until
from tocsin.errors import SinkUnavailable, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def cut_short(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception | None], int]:
    """Give what lets a worker fail whose end takes too long, and its exit code then."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)

    def fail(error: Exception | None) -> int:
        failure = Failure(2)
        failure.ending = ending.Ending(failure._code, 0.01)
        if error is None:
            failure.ending.begin()
        else:
            asyncio.run(failure(error))
        wait_until(lambda: codes)
        return codes.pop()

    return fail


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [
        (SourceError("a card is in two partitions"), REFUSED, "tocsin: worker 2: a card is in two partitions"),
        (SinkUnavailable("away"), 1, "tocsin: worker 2: away"),
        (ValueError("a mistake of ours"), 1, "is durable"),
        (None, 0, "is durable"),
    ],
)
def test_what_it_ends_with_is_its_last_word_and_its_exit_code(
    error: Exception | None,
    code: int,
    last: str,
    cut_short: Callable[[Exception | None], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cut_short(error) == code
    assert last in capsys.readouterr().err.strip().splitlines()[-1]
