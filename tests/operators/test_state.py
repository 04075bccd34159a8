"""State as bytes and back."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from operators.state import dump, hash_version, restore
from tocsin.errors import StateError
from tocsin.model.keys import HASH_VERSION
from tocsin.model.rows import EVIDENCE_DTYPE

STATE = {
    "sums": pl.DataFrame({"k": ["a", None], "s": [2**100, -1]}, schema={"k": pl.String, "s": pl.Int128}),
    "evidence": pl.DataFrame({"e": [[{"id": "x", "position": 7}], []]}, schema={"e": EVIDENCE_DTYPE}),
    "empty": pl.DataFrame(schema={"t": pl.Int64, "p": pl.Struct({"lat": pl.Float64})}),
}


class TestRoundTrip:
    """Nothing is lost."""

    def test_every_frame_comes_back_with_its_types(self) -> None:
        back = restore(dump(STATE))
        assert list(back) == list(STATE)
        for name, frame in STATE.items():
            assert back[name].schema == frame.schema
            assert back[name].equals(frame)

    def test_no_frames_are_a_state_too(self) -> None:
        assert restore(dump({})) == {}

    def test_the_version_of_the_key_hash_stands_in_the_header(self) -> None:
        assert hash_version(dump(STATE)) == HASH_VERSION


class TestThreads:
    """A dump goes on beside other work of Polars."""

    def test_polars_is_given_a_descriptor_that_it_does_not_have_to_call_python_back_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files: list[object] = []
        write = pl.DataFrame.write_ipc_stream

        def seen(frame: pl.DataFrame, file: io.FileIO, **options: str) -> None:
            files.append(file)
            write(frame, file, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(pl.DataFrame, "write_ipc_stream", seen)
        assert restore(dump(STATE))["sums"].equals(STATE["sums"])
        assert [type(file) for file in files] == [io.FileIO] * len(STATE)

    def test_does_not_wait_for_ever_for_a_thread_that_waits_for_it(self) -> None:
        program = Path(__file__).with_name("dump_beside_polars.py")
        path = {"PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run([sys.executable, program, "3"], env={**os.environ, **path}, check=True, timeout=120)


class TestDamage:
    """Bytes that are not what was written are refused, never half read."""

    @pytest.mark.parametrize("at", range(0, len(dump(STATE)), 37))
    def test_a_flipped_bit_anywhere_is_noticed(self, at: int) -> None:
        data = bytearray(dump(STATE))
        data[at] ^= 4
        with pytest.raises(StateError):
            restore(bytes(data))

    @pytest.mark.parametrize("length", [0, 5, 14, 60, -1])
    def test_a_truncated_state_is_noticed(self, length: int) -> None:
        with pytest.raises(StateError):
            restore(dump(STATE)[:length])

    def test_bytes_after_the_last_frame_are_noticed(self) -> None:
        with pytest.raises(StateError, match="more after"):
            restore(dump(STATE) + b"x")

    def test_another_format_is_named(self) -> None:
        data = bytearray(dump({}))
        data[9] = 9
        with pytest.raises(StateError, match="format 9"):
            restore(bytes(data))
