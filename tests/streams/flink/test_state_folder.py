"""What a state folder says of its state, and who may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from streams.flink.order import STATE
from streams.flink.state_folder import DETACHED, NOTE, Detached, Note, held, known, path_of, write_detached, write_note
from streams.tasks.layout import Place
from tests.streams.flink.pages import answering
from tocsin.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

STAGES = {"pace": Place("v1", "payments"), "rule pace": Place("v2", "payments")}
BEFORE = Note("shop", {"payments": "p"}, {"payments": 3}, 4, 128, STAGES, ["kafka://h/a"])


def note(**changed: object) -> Note:
    return msgspec.structs.replace(BEFORE, **changed)


class TestWhatIsKnown:
    def test_is_found_from_a_checkpoint_and_from_a_savepoint(self, tmp_path: Path) -> None:
        for place in ("checkpoints/f00/chk-7", "savepoints/savepoint-f00-1"):
            assert known(tmp_path / place) is None
            write_note(tmp_path, BEFORE)
            assert known(tmp_path / place) == BEFORE
            (tmp_path / NOTE).unlink()

    def test_is_refused_where_it_is_damaged(self, tmp_path: Path) -> None:
        (tmp_path / NOTE).write_bytes(b"{}")
        with pytest.raises(StateError, match=r"job\.json, which says what the state there is of, cannot be read"):
            known(tmp_path / "savepoints/s")


class TestWhereOneGoesOn:
    def test_is_told_by_a_path_or_a_uri(self, tmp_path: Path) -> None:
        place = tmp_path / "my state" / "savepoint-1"
        place.mkdir(parents=True)
        with pytest.raises(StateError, match="is no whole checkpoint or savepoint of Flink: it has no _metadata"):
            path_of(str(place))
        (place / "_metadata").touch()
        assert path_of(str(place)) == path_of(place.as_uri()) == path_of(f"file:{place}") == place
        assert path_of("s3://bucket/savepoint-1") is None


class TestAStateGoesOn:
    def test_with_other_sinks_and_with_streams_that_come_and_go(self) -> None:
        more = note(topics={"payments": "p", "doors": "d"}, partitions={"payments": 3, "doors": 1}, sinks=[])
        BEFORE.refuse(more, STATE)
        more.refuse(BEFORE, STATE)

    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            (
                {"topology": "house"},
                "this state folder holds the state of another topology, shop and not house: .* another --state",
            ),
            ({"shards": 5}, "has its keys in 4 shards, not in 5: run with --buckets 4, or take another --state"),
            ({"topics": {"payments": "q"}}, "has read 3 partitions of p as payments, not 3 of q: take another --state"),
            ({"partitions": {"payments": 2}}, "has read 3 partitions of p as payments, not 2 of p"),
            ({"stages": {**STAGES, "rule pace": Place("v3", "payments")}}, "holds rule pace from before that"),
        ],
    )
    def test_but_not_as_something_else(self, changed: dict[str, object], told: str) -> None:
        with pytest.raises(StateError, match=told):
            BEFORE.refuse(note(**changed), STATE)


class TestWhoHasIt:
    def test_is_one_command_at_a_time(self, tmp_path: Path) -> None:
        with held(tmp_path), pytest.raises(StateError, match="runs a job with the state folder"), held(tmp_path):
            pass
        with held(tmp_path):
            pass

    def test_may_be_a_job_that_no_command_waits_for_until_it_ends(self, tmp_path: Path) -> None:
        job = {"jid": "f00", "name": "tocsin shop (g)", "state": "RUNNING", "start-time": 1}
        with answering({"/jobs/overview": {"jobs": [job]}}) as cluster:
            write_detached(tmp_path, Detached(cluster, "f00"))
            with pytest.raises(StateError, match=f"tocsin flink stop f00 --cluster {cluster}"), held(tmp_path):
                pass
            job["state"] = "FINISHED"
            with held(tmp_path):
                assert not (tmp_path / DETACHED).exists()

    def test_is_not_known_while_its_cluster_does_not_answer(self, tmp_path: Path) -> None:
        write_detached(tmp_path, Detached("127.0.0.1:1", "f00"))
        told = r"whether it still runs nobody knows: .*; if that cluster is gone for good, delete .*detached\.json"
        with pytest.raises(StateError, match=told), held(tmp_path):
            pass
