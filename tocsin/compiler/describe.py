"""A plan in words and numbers: stages, keys, exchanges, gates, buffers, estimated state (`tocsin plan`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from operators.occupancy.presence import Presence
from tocsin.model.display import display
from tocsin.model.quality import QUALITY
from tocsin.model.types import DURATION

if TYPE_CHECKING:
    from operators.dedup import Dedup
    from operators.stage import Input, Stage
    from tocsin.compiler.plan import Plan

_ROW_BYTES = 24
_COLUMN_BYTES = 16


class InputInfo(TypedDict):
    """How rows come to a stage: from where, exchanged or not, how long they wait to be put in order."""

    reads: str
    exchange: str
    buffer: str


class StageInfo(TypedDict):
    """One stage of a plan."""

    stage: str
    key: list[str]
    inputs: list[InputInfo]
    gates: list[str]
    operators: list[str]
    state: str
    memory: str
    gives: list[str]


def describe(plan: Plan) -> list[StageInfo]:
    """Describe the stages, in the order in which rows flow."""
    stages = {stage.name: stage for stage in plan.stages}
    return [_stage(stage, plan, stages) for stage in plan.stages]


def _stage(stage: Stage, plan: Plan, stages: dict[str, Stage]) -> StageInfo:
    memory = max([plan.memory.get(stage.name, 0), *(operator.forget for operator in _presences(stage))])
    return StageInfo(
        stage=stage.name,
        key=list(stage.key),
        inputs=[_input(item, stage, plan, stages) for item in stage.inputs],
        gates=[*(item.upstream for item in stage.inputs), *(_table(name, plan) for name in stage.tables)],
        operators=[operator.name for operator in (*_dedups(stage), *stage.chain)],
        state=_state(stage, memory),
        memory=display(memory, DURATION),
        gives=list(stage.output.columns),
    )


def _table(name: str, plan: Plan) -> str:
    """Name a table that is looked up; in one process a keyed one is whole, too."""
    return f"table {name} (keyed; whole in one process)" if plan.tables[name].keyed else f"table {name}"


def _exchange(stage: Stage) -> str:
    return f"by hash of {', '.join(stage.key)}" if stage.key else "all to one: no key"


def _input(item: Input, stage: Stage, plan: Plan, stages: dict[str, Stage]) -> InputInfo:
    stream = plan.streams.get(item.upstream)
    if stream is not None:
        late, skew = display(stream.lateness, DURATION), display(stream.skew, DURATION)
        buffer = f"rows of the last {late} (lateness), up to {skew} of skew"
        exchange = _exchange(stage)
        if stage.key and stage.key == stream.partitioned_by and not item.key:
            exchange += ", as the topic is partitioned"
        return InputInfo(reads=item.upstream, exchange=exchange, buffer=buffer)
    if item.upstream == QUALITY:
        return InputInfo(reads=item.upstream, exchange=_exchange(stage), buffer="counts of the minute of the clock")
    same = stages[item.upstream].key == stage.key and not item.key
    exchange = "none: same key" if same else _exchange(stage)
    return InputInfo(reads=item.upstream, exchange=exchange, buffer="rows ahead of the slowest gate")


def _dedups(stage: Stage) -> list[Dedup]:
    return [item.dedup for item in stage.inputs if item.dedup is not None]


def _presences(stage: Stage) -> list[Presence]:
    return [operator for operator in stage.chain if isinstance(operator, Presence)]


def _state(stage: Stage, memory: int) -> str:
    """Say what the state grows with. Bytes are columns times their width; text keys cost their length more."""
    ids = (
        f", {_ROW_BYTES + _COLUMN_BYTES * (len(dedup.key) + 1)} B per id of the last {display(dedup.horizon, DURATION)}"
        for dedup in _dedups(stage)
    )
    return _of_chain(stage, memory) + "".join(ids)


def _of_chain(stage: Stage, memory: int) -> str:
    row = _ROW_BYTES + _COLUMN_BYTES * len(stage.output.columns)
    kinds = {type(operator).__name__ for operator in stage.chain}
    if any("Trailing" in kind for kind in kinds):
        return f"{row} B per event of the last {display(memory, DURATION)}"
    if "Sequence" in kinds:
        return f"{row} B per key and step, and per chain that waits, of the last {display(memory, DURATION)}"
    if any("Machine" in kind for kind in kinds):
        return "about 1 KB per open or pending alert"
    if _presences(stage):
        return f"{row} B per {stage.key[0]} heard of within {display(memory, DURATION)}"
    if memory:
        return f"{row} B per key and pane within {display(memory, DURATION)}"
    return "rows that wait"
