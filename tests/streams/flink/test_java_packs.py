"""What Java lays out is what Python reads, and what the tests of tasks lay out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from stack import FlinkCluster
from stack.server import find_program
from streams.codecs.reasons import Reason
from streams.flink.jars import jars
from streams.flink.packs import NO_STAMP, Pack
from tests.streams.flink.subtasks import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

MANY = 20_000
VALUES: Sequence[bytes | None] = [
    *(b"one", None, b"", b"t\nwo", b"x" * (2 << 20)),
    *(b"v%d" % at for at in range(MANY)),
]
KEYS: Sequence[bytes | None] = [b"a", None, b"", "é".encode(), b"b", *(b"k%d" % at for at in range(MANY))]
OFFSETS = np.array([5, 6, 9, 10, 11, *range(12, 12 + MANY)])
STAMPS = np.array([1000, NO_STAMP, 1002, 1003, 1004, *([1005] * MANY)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give what `WritePack.java` writes."""
    if lacking := FlinkCluster.lacking():
        pytest.skip(lacking)
    source = Path(__file__).with_name("java") / "tocsin/flink/WritePack.java"
    classes = tmp_path_factory.mktemp("classes")
    known = ":".join(map(str, jars()))
    subprocess.run([find_program("javac") or "javac", "-d", str(classes), "-cp", known, str(source)], check=True)
    command = [find_program("java") or "java", "-cp", f"{classes}:{known}", "tocsin.flink.WritePack"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_is_the_layout_of_the_tests(written: bytes) -> None:
    assert written == pack(VALUES, OFFSETS, STAMPS, KEYS)


def test_has_every_record_with_its_key_and_what_no_decoder_takes_as_dead(written: bytes) -> None:
    read = Pack(written)
    raw = read.records()
    assert (read.first, read.end, read.count, raw.count) == (5, 12 + MANY, len(VALUES), len(VALUES))
    assert [(one.offset, one.reason, one.key) for one in raw.dead] == [
        (6, Reason.TOMBSTONE, None),
        (9, Reason.EMPTY, b""),
        (11, Reason.TOO_LONG, b"b"),
    ]
    assert [raw.at(row) for row in (0, 3, 5, len(VALUES) - 1)] == [b"one", b"t wo", b"v0", b"v19999"]
    assert [raw.offset(row) for row in (0, 1, 2, len(VALUES) - 1)] == [5, 6, 9, 11 + MANY]
    assert [read.key(row) for row in range(len(KEYS))] == list(KEYS)
    assert raw.ingested is not None
    assert raw.ingested[:3].to_list() == [1000, None, 1002]
