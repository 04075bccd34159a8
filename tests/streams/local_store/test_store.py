"""The state folder: whole commits, whatever happens."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sinks.delivery import Progress
from streams.local import manifest as manifests
from streams.local import segments
from streams.local.outbox import Chunk
from streams.local.snapshot import Snapshot
from streams.local.store import Store
from tocsin.errors import StateError
from tocsin.model.keys import HASH_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH = "a1b2c3"
ROOT = Path(__file__).parents[3]


def frame(*values: int) -> pl.DataFrame:
    return pl.DataFrame({"key": [f"k{value}" for value in values], "sum": pl.Series(values, dtype=pl.Int128)})


def snapshot(*values: int) -> Snapshot:
    return Snapshot({("stage", "0", "window", "panes"): frame(*values)})


def values(restored: Snapshot | None) -> list[int]:
    assert restored is not None
    return restored.frames["stage", "0", "window", "panes"]["sum"].to_list()


def segment_files(folder: Path) -> list[str]:
    return [path.name for path in segments.all_in(folder)]


class TestWhatIsKept:
    """A snapshot comes back as it was."""

    def test_a_new_folder_has_no_commit(self, tmp_path: Path) -> None:
        with Store.open(tmp_path / "made" / "state", HASH) as store:
            assert store.load() is None
            assert store.number == 0

    def test_everything_in_a_snapshot_comes_back(self, tmp_path: Path) -> None:
        awkward = pl.DataFrame(
            {
                "wide": pl.Series([2**100, None], dtype=pl.Int128),
                "list": [[{"id": "ü\n", "position": 2**62}], None],
                "float": [float("nan"), -0.0],
                "text": ["", None],
            }
        )
        transitions = frame(1, 2)
        given = Snapshot(
            frames={("s", "0", "o", "f"): awkward, ("s", "1", "o", "f"): awkward.clear(), ("none",): pl.DataFrame()},
            positions={"payments": {"file": "a.parquet", "row": 2**62}},
            outbox=(Chunk(7, transitions),),
            outbox_end=9,
            sinks={"file": Progress(8, pl.DataFrame({"alert_id": ["x"]}), "4711")},
            meta={"buckets": 4},
        )
        with Store.open(tmp_path, HASH) as store:
            assert store.commit(given) == 1
        with Store.open(tmp_path, HASH) as store:
            back = store.load()
        assert back is not None
        assert (back.number, back.hash_version, back.outbox_end) == (1, HASH_VERSION, 9)
        assert (back.positions, back.meta) == (given.positions, given.meta)
        assert list(back.frames) == list(given.frames)
        for name, content in given.frames.items():
            assert_frame_equal(back.frames[name], content)
        assert back.outbox[0].start == 7
        assert_frame_equal(back.outbox[0].rows, transitions)
        assert (back.sinks["file"].position, back.sinks["file"].bookmark) == (8, "4711")
        assert back.sinks["file"].passed["alert_id"].to_list() == ["x"]

    def test_the_last_of_several_commits_comes_back(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH) as store:
            for value in range(5):
                store.commit(snapshot(value))
        with Store.open(tmp_path, HASH) as store:
            assert values(store.load()) == [4]
            assert store.number == 5

    def test_a_commit_does_not_wait_for_the_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "fsync", lambda _: time.sleep(0.2))
        with Store.open(tmp_path, HASH) as store:
            flight = store.commit_async(snapshot(1))
            assert store.busy
            assert not flight.done()
            assert store.settle() == 1
            assert not store.busy


class TestIncrementalCommits:
    """A frame that did not change is written once."""

    def test_a_frame_that_is_the_same_object_is_not_written_again(self, tmp_path: Path) -> None:
        large, name = frame(*range(10_000)), ("s", "0", "o", "large")
        with Store.open(tmp_path, HASH) as store:
            store.commit(Snapshot({name: large, ("small",): frame(1)}))
            first = store.bytes_written
            store.commit(Snapshot({name: large, ("small",): frame(2)}))
            assert store.bytes_written - first < first / 10
            assert len(segment_files(tmp_path)) == 2
        with Store.open(tmp_path, HASH) as store:
            back = store.load()
            assert back is not None
            assert_frame_equal(back.frames[name], large)
            assert back.frames["small",]["sum"].to_list() == [2]

    def test_after_a_restart_loaded_frames_are_not_written_again(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH) as store:
            store.commit(snapshot(*range(1000)))
        with Store.open(tmp_path, HASH) as store:
            back = store.load()
            assert back is not None
            store.commit(back)
            assert store.bytes_written == 0
        with Store.open(tmp_path, HASH) as store:
            assert values(store.load()) == list(range(1000))

    def test_one_frame_under_many_names_is_written_once(self, tmp_path: Path) -> None:
        shared = frame(*range(1000))
        with Store.open(tmp_path, HASH) as store:
            store.commit(Snapshot({("s", str(bucket), "o", "f"): shared for bucket in range(64)}))
            once = store.bytes_written
            store.commit(Snapshot({("x",): frame(*range(1000))}))
            assert once < 2 * (store.bytes_written - once)

    def test_segments_that_nobody_needs_are_removed(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH) as store:
            for value in range(10):
                store.commit(snapshot(value))
            assert segment_files(tmp_path) == ["segment-0000000010.arrow"]

    def test_a_segment_that_is_mostly_stale_is_emptied(self, tmp_path: Path) -> None:
        """Otherwise one quiet key bucket would keep the bytes of all busy ones on disk."""
        quiet = frame(*range(100))
        with Store.open(tmp_path, HASH) as store:
            for value in range(3):
                store.commit(Snapshot({("quiet",): quiet, ("busy",): frame(*range(value, 5000))}))
                assert len(segment_files(tmp_path)) == 1
        with Store.open(tmp_path, HASH) as store:
            back = store.load()
            assert back is not None
            assert_frame_equal(back.frames["quiet",], quiet)


class TestWhatIsRefused:
    """Each error says what is wrong and what to do."""

    def test_the_folder_of_another_topology_names_both(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH, "card") as store:
            store.commit(snapshot(1))
        with pytest.raises(StateError, match=r"belongs to the topology 'card' \(a1b2c3\), not to 'meters' \(ffff\)"):
            Store.open(tmp_path, "ffff", "meters")
        with Store.open(tmp_path, HASH, "card") as store:
            assert values(store.load()) == [1]

    def test_a_folder_that_is_open_names_the_process(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH), pytest.raises(StateError, match=f"in use by process {os.getpid()}"):
            Store.open(tmp_path, HASH)
        Store.open(tmp_path, HASH).close()

    def test_a_folder_that_another_process_has_open_names_it(self, tmp_path: Path) -> None:
        program = (
            "import sys; from streams.local.store import *; Store.open(sys.argv[1], ''); print(flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(StateError, match=f"in use by process {other.pid}"):
                Store.open(tmp_path, HASH)
            other.kill()
        Store.open(tmp_path, HASH).close()

    def test_a_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("")
        with pytest.raises(StateError, match="cannot be used: File exists"):
            Store.open(tmp_path / "state", HASH)

    def test_a_missing_segment_is_named(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH) as store:
            store.commit(snapshot(1))
        (tmp_path / "segment-0000000001.arrow").unlink()
        with (
            Store.open(tmp_path, HASH) as store,
            pytest.raises(StateError, match=r"segment-0000000001.arrow is missing"),
        ):
            store.load()

    @pytest.mark.parametrize("damage", ["flip", "cut"])
    def test_a_damaged_segment_is_named(self, damage: str, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH) as store:
            store.commit(snapshot(*range(1000)))
        path = tmp_path / "segment-0000000001.arrow"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flip" else content[:-9])
        with Store.open(tmp_path, HASH) as store, pytest.raises(StateError, match=r"0001.arrow is damaged"):
            store.load()

    @pytest.mark.parametrize("content", [b"", b"{}", b"{}\n1\n", b'{"format":1}\nno number\n'])
    def test_a_damaged_manifest_is_named(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "manifest.json").write_bytes(content)
        with pytest.raises(StateError, match=r"manifest.json is damaged"):
            Store.open(tmp_path, HASH)

    def test_a_changed_number_in_the_manifest_is_damage(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH) as store:
            store.commit(Snapshot({}, positions={"s": 1234}))
        path = tmp_path / "manifest.json"
        path.write_bytes(path.read_bytes().replace(b"1234", b"1235"))
        with pytest.raises(StateError, match=r"manifest.json is damaged"):
            Store.open(tmp_path, HASH)

    def test_a_lost_manifest_is_not_a_new_folder(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH) as store:
            store.commit(snapshot(1))
            store.commit(snapshot(2))
        (tmp_path / "manifest.json").unlink()
        with pytest.raises(StateError, match=r"manifest.json is missing although there are segments"):
            Store.open(tmp_path, HASH)

    def test_an_unknown_format_is_named(self, tmp_path: Path) -> None:
        with Store.open(tmp_path, HASH) as store:
            store.commit(snapshot(1))
        written = manifests.read(tmp_path)
        assert written is not None
        manifests.write(tmp_path, msgspec.structs.replace(written, format=99))
        manifests.put_in_force(tmp_path)
        with pytest.raises(StateError, match="has the format 99, this version of Tocsin reads 4"):
            Store.open(tmp_path, HASH)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False)  # noqa: S607
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607


def incompressible(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"noise": [hashlib.shake_128(b"%d" % row).digest(100) for row in range(rows)]})


class TestAFullDisk:
    """A commit that fails leaves the one before as it was."""

    def test_the_error_surfaces_and_the_next_try_works(self, small_disk: Path) -> None:
        store = Store.open(small_disk, HASH)
        store.commit(snapshot(1))
        before = sorted(small_disk.iterdir())
        with pytest.raises(StateError, match="No space left on device; the last one, 1, stays valid; make room"):
            store.commit(Snapshot({("large",): incompressible(20_000)}))
        assert sorted(small_disk.iterdir()) == before
        assert store.commit(snapshot(2)) == 2
        store.close()
        with Store.open(small_disk, HASH) as store:
            assert values(store.load()) == [2]

    def test_after_the_failure_the_commit_before_is_there(self, small_disk: Path) -> None:
        store = Store.open(small_disk, HASH)
        store.commit(snapshot(1))
        flight = store.commit_async(Snapshot({("large",): incompressible(20_000)}))
        assert isinstance(flight.exception(), StateError)
        with pytest.raises(StateError, match="No space left"):
            store.commit_async(snapshot(2))
        store.close()
        with Store.open(small_disk, HASH) as store:
            assert values(store.load()) == [1]

    @pytest.mark.parametrize("fails_at", range(1, 5))
    def test_a_failure_at_any_fsync_leaves_a_whole_commit(
        self, fails_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = frame(*range(100))
        store = Store.open(tmp_path, HASH)
        store.commit(Snapshot({("kept",): kept, ("x",): frame(1)}))
        calls = iter(range(1, 100))

        def fsync(_: int) -> None:
            if next(calls) == fails_at:
                raise OSError(5, "Input/output error")

        with monkeypatch.context() as failing:
            failing.setattr(os, "fsync", fsync)
            with pytest.raises(StateError, match="Input/output error"):
                store.commit(Snapshot({("kept",): kept, ("x",): frame(2)}))
        store.commit(Snapshot({("kept",): kept, ("x",): frame(3)}))
        store.close()
        with Store.open(tmp_path, HASH) as store:
            back = store.load()
            assert back is not None
            assert back.frames["x",]["sum"].to_list() == [3]
            assert_frame_equal(back.frames["kept",], kept)


KILLED = textwrap.dedent("""
    import sys
    import polars as pl
    from streams.local.outbox import Chunk
    from streams.local.snapshot import Snapshot
    from streams.local.store import Store

    store = Store.open(sys.argv[1], "a1b2c3")
    loaded = store.load()
    frames = dict(loaded.frames) if loaded else {}
    for number in range(store.number + 1, 10**6):
        for bucket in range(4):
            name = ("s", str(bucket), "o", "f")
            if name not in frames or number % (bucket + 1) == 0:
                frames[name] = pl.DataFrame({"n": [number] * 200})
        outbox = (Chunk(number, pl.DataFrame({"n": [number]})),)
        store.commit(Snapshot(dict(frames), positions={"s": number}, outbox=outbox, outbox_end=number + 1))
        print(number, flush=True)
""")


class TestKillAtAnyMoment:
    """After SIGKILL the folder holds one whole commit: the last acknowledged, or a later one."""

    def test_a_killed_process_leaves_a_whole_commit(self, tmp_path: Path) -> None:
        draw = random.Random(4711)  # noqa: S311  # moments of a test
        acknowledged = 0
        for _ in range(6):
            with subprocess.Popen(
                [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
            ) as child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(draw.random() * 0.1)
                child.send_signal(signal.SIGKILL)
                said = child.stdout.read().split("\n")[:-1]
            acknowledged = int(said[-1]) if said else acknowledged
            with Store.open(tmp_path, HASH) as store:
                back = store.load()
                assert back is not None
                number = back.number
                assert number >= acknowledged
                assert back.positions == {"s": number}
                assert back.outbox[0].rows["n"].to_list() == [number]
                for bucket in range(4):
                    written = number - number % (bucket + 1) or 1
                    assert back.frames["s", str(bucket), "o", "f"]["n"].to_list() == [written] * 200
                kept = {segments.number_of(path) for path in segments.all_in(tmp_path)}
                assert kept == {ref.segment for ref in manifests.read(tmp_path).refs()}  # type: ignore[union-attr]
        assert acknowledged > 10
