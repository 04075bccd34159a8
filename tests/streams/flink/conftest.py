"""What tests of subtasks share."""

from __future__ import annotations

import pytest

from streams.kafka.dead_letters import DeadLettersByStream


@pytest.fixture
def without_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep dead letters in the folder, without asking a broker for topics of them."""
    monkeypatch.setattr(
        DeadLettersByStream, "of", classmethod(lambda kind, _uris, otherwise, _warn: kind({}, otherwise))
    )
