"""Keys that Flink spreads evenly, the same ones whatever else there is."""

from __future__ import annotations

from streams.flink.order import layout_of, rows_of
from streams.flink.spreading import GROUPS, groups_for, spread
from tests.streams.faust.shop_runs import TOPOLOGY
from tocsin.compiler import compile_topology
from tocsin.language import loads


def group_of(key: int) -> int:
    return key * 2_654_435_761 % (1 << 32) >> 25


def subtasks(rows: dict[str, list[str]], parallelism: int) -> list[list[int]]:
    """Say on which subtask each task of each row is, as Flink cuts its key groups into ranges."""
    keys = spread(rows, group_of, GROUPS)
    assert len(set(keys.values())) == len(keys)
    return [[group_of(keys[task]) * parallelism // GROUPS for task in tasks] for tasks in rows.values()]


def tasks_of(row: str, number: int) -> list[str]:
    return [f"{row}/{at}" for at in range(number)]


class TestTheTasksOfAStream:
    def test_are_spread_evenly_over_the_subtasks_that_host_streams(self) -> None:
        rows = {"payments": tasks_of("payments", 4), ">/0": tasks_of(">", 4)}
        for parallelism in (1, 2, 4):
            for found in subtasks(rows, parallelism):
                assert sorted(found) == sorted(at % parallelism for at in range(4))

    def test_do_not_all_begin_at_the_same_subtask(self) -> None:
        rows = {f"s{number}": [f"s{number}/0"] for number in range(20)}
        first = [at for (at,) in subtasks(rows, 2)]
        assert 5 <= sum(first) <= 15

    def test_keep_their_keys_where_others_come_and_go(self) -> None:
        here = {"a": tasks_of("a", 3), "b": tasks_of("b", 2)}
        more = {"0": tasks_of("0", 5), **here, ">/0": tasks_of(">", 4)}
        found = spread(more, group_of, GROUPS)
        assert spread(here, group_of, GROUPS) == {task: found[task] for tasks in here.values() for task in tasks}

    def test_are_those_of_the_layout(self) -> None:
        layout = layout_of(compile_topology(loads(TOPOLOGY, "shop.yaml")), {"payments": 2}, 3)
        assert rows_of(layout) == {"payments": tasks_of("payments", 2), ">/0": tasks_of(">", 3)}


def test_there_are_no_fewer_groups_than_tasks_of_a_row() -> None:
    assert (groups_for(1), groups_for(128), groups_for(129)) == (GROUPS, 128, 256)
    assert len(spread({"a": tasks_of("a", 128)}, group_of, GROUPS)) == 128
