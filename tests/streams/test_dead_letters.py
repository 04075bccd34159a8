"""Dead letters are kept once, durably, and can be read again."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import polars as pl
import pytest

from streams.codecs.decoder import OFFSET, Decoder
from streams.codecs.reasons import Dead
from streams.codecs.record import Layout
from streams.dead_letters import STORED, DeadLetterStore, dead_frame
from streams.sources.contract import Records
from tocsin.errors import StateError
from tocsin.model.types import INT64, STRING, TIMESTAMP

if TYPE_CHECKING:
    from pathlib import Path


def letters(*offsets: int, stream: str = "payments", raw: bytes = b"\xff\x00 raw\n") -> pl.DataFrame:
    return dead_frame(stream, 0, [Dead(at, "bad-json", "", f"detail {at}", None, raw) for at in offsets])


class TestStore:
    def test_what_is_put_is_read_back_byte_for_byte(self, tmp_path: Path) -> None:
        DeadLetterStore(tmp_path / "dlq").put(letters(3, 5), recorded_at=77)
        found = DeadLetterStore(tmp_path / "dlq").letters()
        assert found.schema == dict(STORED)
        assert found.drop("recorded_at").equals(letters(3, 5))
        assert found["recorded_at"].to_list() == [77, 77]

    def test_a_key_is_kept_and_letters_of_earlier_versions_have_none(self, tmp_path: Path) -> None:
        store = DeadLetterStore(tmp_path)
        store.put(letters(1).drop("key"), 7)
        store.put(letters(2).with_columns(pl.lit(b"\xffcard").alias("key")), 7)
        assert store.letters()["key"].to_list() == [None, b"\xffcard"]

    def test_a_letter_put_again_after_a_restart_is_read_once(self, tmp_path: Path) -> None:
        store = DeadLetterStore(tmp_path)
        store.put(letters(3, 5), 77)
        store.put(letters(5, 9), 99)
        assert store.letters().select("offset", "recorded_at").rows() == [(3, 77), (5, 77), (9, 99)]

    def test_a_torn_end_is_cut_off_and_nothing_before_it_is_lost(self, tmp_path: Path) -> None:
        store = DeadLetterStore(tmp_path)
        store.put(letters(1), 7)
        (segment,) = tmp_path.iterdir()
        with segment.open("ab") as file:
            file.write(b'{"stream": "paym')
        assert store.letters()["offset"].to_list() == [1]
        store.put(letters(2), 8)
        assert store.letters()["offset"].to_list() == [1, 2]

    def test_a_full_disk_is_a_clear_error_and_leaves_no_half_letter(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = DeadLetterStore(tmp_path)
        store.put(letters(1), 7)

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StateError, match="cannot be stored: No space left"):
            store.put(letters(2), 8)
        assert store.letters()["offset"].to_list() == [1]

    def test_an_empty_store_and_an_empty_put_are_nothing_special(self, tmp_path: Path) -> None:
        store = DeadLetterStore(tmp_path / "none")
        store.put(letters(), 7)
        assert store.letters().height == 0
        assert store.show("payments", 0, 1) is None

    def test_it_can_be_asked_for_one_letter_and_for_a_summary(self, tmp_path: Path) -> None:
        store = DeadLetterStore(tmp_path)
        store.put(letters(4, 2), 7)
        store.put(letters(1, stream="calls"), 8)
        shown = store.show("payments", 0, 4)
        assert shown is not None
        assert shown["detail"] == "detail 4"
        assert store.summary().rows() == [("payments", "bad-json", "", 2, 2, 7), ("calls", "bad-json", "", 1, 1, 8)]


class TestReplay:
    LAYOUT = Layout({"id": STRING, "at": TIMESTAMP, "count": INT64}, "at", "id")

    @pytest.mark.parametrize(
        ("form", "raws"),
        [
            ("json", [b'{"id": "e", "at": 1, "count": 5}', b'{"id": "f", "at": "x"}']),
            ('csv:["at", "id", "count"]', [b'1,"e\nf",5', b"x,f,5"]),
        ],
    )
    def test_letters_go_through_the_decoder_again_with_their_offsets(
        self, tmp_path: Path, form: str, raws: list[bytes]
    ) -> None:
        store = DeadLetterStore(tmp_path)
        dead = [Dead(at, "wrong-type", "at", "", None, raw) for at, raw in zip((7, 9), raws, strict=True)]
        store.put(dead_frame("payments", 4, dead, form), 1)
        ((partition, kind, records),) = store.replay("payments")
        decoded = Decoder(self.LAYOUT, kind).decode(records)
        assert partition == 4
        assert decoded.rows.select(OFFSET, "at", "count").rows() == [(7, 1, 5)]
        assert [(letter.offset, letter.raw) for letter in decoded.dead] == [(9, raws[1])]

    def test_records_of_a_columnar_source_are_replayed_as_json(self) -> None:
        records = Records.of([b'{"id": "e", "at": 1, "count": NaN}'], [3])
        (letter,) = Decoder(self.LAYOUT).decode(records).dead
        assert (letter.offset, letter.reason) == (3, "not-finite")
