"""`file`: lines of JSON that survive crashes and second deliveries."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from transition_rows import bring, frame, log, names, transition

from sinks import ndjson
from sinks.contract import Batching
from sinks.file import FileSink
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    import polars as pl

ROOT = Path(__file__).parents[2]


def written(path: Path) -> list[str]:
    return names(ndjson.decode(path.read_bytes().splitlines()))


def deliver(path: Path, *batches: pl.DataFrame, bookmark: str = "") -> str:
    return bring(FileSink(path), *batches, bookmark=bookmark)


class TestLines:
    """One transition per line, exact."""

    def test_a_line_is_what_the_documentation_says(self) -> None:
        row = transition("a", 1, time=1_577_836_800_007, says='Card "ü"')
        assert ndjson.encode(frame(row)).decode() == (
            '{"alert_id":"a","sequence":1,"kind":"raised","level":"red","time":"2020-01-01T00:00:00.007Z",'
            '"topology":"city","rule":"card-velocity","rule_version":"v1","entity":{"card":"a"},'
            '"values":{"amount":12.30,"parameters":{"limit":{"value":5}}},'
            '"evidence":[{"id":"e1","position":281474976710656}],"says":"Card \\"ü\\"","labels":{"team":"fraud"},'
            '"runbook":"https://example.org/velocity","reason":"","early":false}\n'
        )

    def test_the_keys_are_the_columns_of_the_log_in_order(self) -> None:
        assert list(msgspec.json.decode(ndjson.encode(log("a1")))) == list(TRANSITIONS)

    def test_a_number_keeps_its_digits(self) -> None:
        number = "12345678901234567890.123456789012345678900"
        line = ndjson.encode(frame(transition("a", 1, values=f'{{"sum":{number}}}')))
        assert f'"values":{{"sum":{number}}}'.encode() in line

    def test_a_sentence_in_several_languages_is_an_object(self) -> None:
        line = ndjson.encode(frame(transition("a", 1, says='{"en":"often","zh":"经常"}')))
        assert msgspec.json.decode(line)["says"] == {"en": "often", "zh": "经常"}

    @pytest.mark.parametrize("says", ["{", "{n} payments", '{"a":1}', ""])
    def test_a_sentence_that_looks_like_json_stays_text(self, says: str) -> None:
        assert msgspec.json.decode(ndjson.encode(frame(transition("a", 1, says=says))))["says"] == says

    @given(
        text=st.text(max_size=20),
        time=st.integers(0, 4_102_444_800_000),
        evidence=st.none()
        | st.lists(st.fixed_dictionaries({"id": st.text(max_size=3), "position": st.integers(0, 2**62)})),
    )
    @settings(max_examples=30, deadline=None)
    def test_reading_gives_back_what_was_written(self, text: str, time: int, evidence: list[dict[str, object]]) -> None:
        labels = msgspec.json.encode({"text": text}).decode()
        batch = frame(transition("a", 1, says=text, time=time, evidence=evidence, labels=labels), transition("b", 2))
        lines = ndjson.encode(batch)
        assert lines.count(b"\n") == 2
        assert_frame_equal(ndjson.decode(lines.split(b"\n")[:-1]), batch)


class TestRestarts:
    """What is there is not written again."""

    def test_a_batch_that_comes_again_cut_differently_is_written_once(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        bookmark = deliver(path, log("a1", "b1"))
        deliver(path, log("c1", "c2"), bookmark=bookmark)
        deliver(path, log("b1", "c1"), log("c2", "d1"), bookmark="")
        assert written(path) == ["a1", "b1", "c1", "c2", "d1"]

    def test_only_the_lines_from_the_bookmark_on_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        bookmark = deliver(path, log("a1"))
        deliver(path, log("b1"), bookmark=bookmark)
        sink = FileSink(path)
        sink.open(bookmark)
        assert sink._known["alert_id"].to_list() == ["b"]
        sink.close()

    def test_a_bookmark_of_another_file_is_not_believed(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        deliver(path, log("a1", "b1"))
        for bookmark in ("3", "999999", "x"):
            deliver(path, log("a1", "b1"), bookmark=bookmark)
        assert written(path) == ["a1", "b1"]

    def test_a_batch_that_comes_twice_in_a_row_is_written_once(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        deliver(path, log("a1", "a1"), log("a1"))
        assert written(path) == ["a1"]

    def test_the_bookmark_stays_before_lines_that_are_still_to_come_again(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        bookmark = deliver(path, log("a1"))
        deliver(path, log("b1", "c1", "d1*", "d1"), bookmark=bookmark)
        bookmark = deliver(path, log("b1", "e1"), bookmark=bookmark)
        bookmark = deliver(path, log("d1", "e1"), bookmark=bookmark)
        deliver(path, log("c1", "f1"), bookmark=bookmark)
        assert written(path) == ["a1", "b1", "c1", "d1*", "d1", "e1", "f1"]

    def test_the_bookmark_is_at_the_end_once_all_lines_have_come_again(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        deliver(path, log("a1", "b1*"))
        assert int(deliver(path, log("a1"), log("b1"))) == path.stat().st_size

    def test_lines_of_another_run_hold_the_bookmark_for_one_batch_of_new_ones(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "alerts.ndjson"
        deliver(path, log("a1", "b1"))
        monkeypatch.setattr(FileSink, "batching", Batching(rows=3))
        assert deliver(path, log("c1", "d1")) == "0"
        assert int(deliver(path, log("c1", "d1", "e1"), log("f1", "g1"))) == path.stat().st_size

    def test_the_truth_follows_its_early_copy(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        deliver(path, log("a1*"), log("a1"), log("a1*"))
        assert written(path) == ["a1*", "a1"]

    @pytest.mark.parametrize("cut", [1, 5, 40, 300])
    def test_a_truncated_last_line_is_removed(self, cut: int, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        deliver(path, log("a1", "b1"))
        path.write_bytes(path.read_bytes() + ndjson.encode(log("c1"))[:cut])
        deliver(path, log("c1"))
        assert written(path) == ["a1", "b1", "c1"]

    def test_a_last_line_that_only_lacks_its_newline_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        path.write_bytes(ndjson.encode(log("a1")).rstrip(b"\n"))
        deliver(path, log("a1", "b1"))
        assert written(path) == ["a1", "b1"]

    def test_a_file_that_could_not_be_repaired_is_opened_at_the_next_try(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "alerts.ndjson"
        path.write_bytes(ndjson.encode(log("a1")).rstrip(b"\n"))
        sink = FileSink(path)

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as disk:
            disk.setattr(os, "pwrite", full)
            with pytest.raises(SinkUnavailable, match="No space left"):
                sink.open()
        bring(sink, log("a1", "b1"))
        assert written(path) == ["a1", "b1"]

    def test_lines_longer_than_a_block_are_found(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        deliver(path, frame(transition("a", 1, says="x" * (3 << 20))))
        content = path.read_bytes()
        path.write_bytes(content + content[: 2 << 20])
        deliver(path, log("b1"))
        assert written(path) == ["a1", "b1"]


class TestWhatIsRefused:
    """A wrong target is refused before anything is written to it."""

    @pytest.mark.parametrize("content", ["my notes", "my notes\n", '{"alert_id":1}\n', "\n"])
    def test_a_file_that_holds_something_else_is_not_touched(self, content: str, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text(content)
        with pytest.raises(SinkError, match="no transitions: choose another file"):
            deliver(path, log("a1"))
        assert path.read_text() == content

    def test_a_missing_folder_is_an_error_for_good(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="No such file or directory") as error:
            deliver(tmp_path / "none" / "alerts.ndjson")
        assert not isinstance(error.value, SinkUnavailable)

    def test_a_file_that_another_sink_writes_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.ndjson"
        first = FileSink(path)
        first.open()
        with pytest.raises(SinkError, match="is being written by another process"):
            deliver(path)
        first.close()
        deliver(path, log("a1"))

    def test_a_full_disk_is_tried_again_and_leaves_no_half_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "alerts.ndjson"
        sink = FileSink(path)
        sink.open()
        sink.deliver(log("a1"))
        write = os.write

        def half(file: int, content: bytes) -> int:
            if len(content) > 100:
                return write(file, content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr(os, "write", half)
            with pytest.raises(SinkUnavailable, match="No space left on device; make room"):
                sink.deliver(log("b1"))
        assert written(path) == ["a1"]
        sink.deliver(log("b1"))
        sink.close()
        assert written(path) == ["a1", "b1"]


class TestStandardOutput:
    """`ndjson:-` is a filter's output."""

    def test_lines_go_to_standard_output(self) -> None:
        program = (
            "from sinks.opening import open_sink; from transition_rows import log\n"
            "sink = open_sink('ndjson:-'); sink.open(); sink.deliver(log('a1')); sink.close(); print('end')"
        )
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
        output = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, check=True
        ).stdout
        line, end = output.splitlines()
        assert names(ndjson.decode([line])) == ["a1"]
        assert end == b"end"
