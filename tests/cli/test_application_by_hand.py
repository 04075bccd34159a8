"""`tocsin application` is started by Flink, and says so to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Said

pytest.importorskip("confluent_kafka", reason="runtimes on Kafka are extras")


def test_by_hand_it_says_who_starts_it(say: Callable[..., Said]) -> None:
    said = say("application", "topology.yaml", "--buckets", "4")
    assert said.code == 2
    assert "Flink starts this (docs/flink-deployment.md); by hand: tocsin run --runtime flink" in said.err


def test_the_number_of_shards_has_to_be_said(say: Callable[..., Said]) -> None:
    said = say("application", "topology.yaml")
    assert said.code == 2
    assert "Missing option '--buckets'" in said.err
