"""`contract`: what is published is what the commands print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Said

    Say = Callable[..., Said]

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (["jsonschema"], "alert.schema.json"),
        (["avro"], "alert.avsc"),
        (["asyncapi", ROOT / "topology.yaml"], "asyncapi.json"),
    ],
)
def test_it_prints_what_is_published(say: Say, words: list[object], file: str) -> None:
    said = say("contract", *words)
    assert said.code == 0
    assert said.out == (ROOT / "docs" / "contracts" / file).read_text(encoding="utf-8")


def test_a_topology_that_is_not_there_is_told(say: Say) -> None:
    said = say("contract", "asyncapi", "none.yaml")
    assert said.code == 2
    assert "none.yaml" in said.err
