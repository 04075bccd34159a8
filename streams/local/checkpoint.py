"""What a commit holds of a run, and how a run goes on from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import polars as pl

from operators.lookups import vanished
from streams.leaps import Seen  # noqa: TC001  # msgspec reads the annotations
from streams.local.dataflow import Plain  # noqa: TC001  # msgspec reads the annotations
from streams.local.feed import Place
from streams.local.outbox import Outbox
from streams.local.snapshot import Snapshot
from tocsin.errors import StateError
from tocsin.model.display import display
from tocsin.model.keys import HASH_VERSION
from tocsin.model.types import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.local.runner import Runner

FEED = "feed"
"""The first part of the names of frames that belong to feeds; the others are the dataflow's."""
COUNTED = ("quality",)
"""The frame of what was counted of the streams and not given yet."""


class Meta(msgspec.Struct, frozen=True):
    """A run beside its frames and feeds.

    `start`: its `emit_from`. `keep`: whether it leaves windows open at the end, for a later run. `through`: whether all
    sources had been read to their ends. `quality`: the minute and the end of what is counted. `key`: the fingerprint of
    the key of its pseudonyms, "" where it has none. `leaps`: what was seen of records that make others late, by feed.
    """

    flow: Plain
    tally: dict[str, list[tuple[str, str, int]]]
    brakes: dict[str, tuple[int, int, int]]
    start: int | None
    keep: bool
    through: bool
    quality: tuple[int, int | None] | None = None
    key: str = ""
    leaps: dict[str, Seen] = {}


def take(run: Runner) -> Snapshot:
    """Give all that a run needs to go on; references only, nothing is copied."""
    frames, plain = run.flow.snapshot()
    for name, feed in run.feeds.items():
        frames |= {(FEED, name, key): frame for key, frame in feed.frames.items()}
    through = all(feed.ended for feed in run.feeds.values())
    brakes = {name: brake.counts for name, brake in run.brakes.items()}
    settings, outbox = run.settings, run.publisher.outbox
    counted = None
    if run.quality is not None:
        frames[COUNTED] = run.quality.pending
        counted = run.quality.minute, run.quality.end
    leaps = {name: of.seen for name, of in run.leaps.items()}
    meta = Meta(
        plain, run.tally.as_meta(), brakes, settings.emit_from, settings.keep, through, counted, _key(run), leaps
    )
    return Snapshot(
        frames,
        positions={name: msgspec.to_builtins(feed.place) for name, feed in run.feeds.items()},
        outbox=outbox.chunks,
        outbox_end=outbox.end,
        sinks=run.publisher.progress,
        meta=msgspec.to_builtins(meta),
    )


def _key(run: Runner) -> str:
    feeds = run.feeds.values() if run.plan.names_persons else ()
    return next((feed.ingest.pseudonyms.fingerprint for feed in feeds), "")


def key_of(snapshot: Snapshot) -> str:
    """Give the fingerprint of the key of a commit's pseudonyms, "" where it has none."""
    return msgspec.convert(snapshot.meta, Meta).key


def resume(run: Runner, snapshot: Snapshot) -> None:
    """Put a run where a commit left it; StateError if it is of a run that goes otherwise."""
    meta = msgspec.convert(snapshot.meta, Meta)
    refused = next(_differences(run, snapshot, meta), None)
    if refused is not None:
        raise StateError(refused)
    _restore_flow(run, snapshot, meta)
    if run.quality is not None and meta.quality is not None:
        run.quality.resume(*meta.quality, snapshot.frames[COUNTED])
    run.tally.resume(meta.tally)
    run.flow.counts.update(run.tally.stages)
    for name, feed in run.feeds.items():
        if name not in snapshot.positions:
            continue  # a partition that is newer than the commit
        frames = {path[2]: frame for path, frame in snapshot.frames.items() if path[:2] == (FEED, name)}
        place = msgspec.convert(snapshot.positions[name], Place)
        held = feed.resume(place, frames, grown=meta.keep)
        run.flow.feed(feed.plan.name, held)
        run.tally.records[feed.plan.name, "outside"] -= held.height
    for name, of in run.leaps.items():
        of.go_on(run.feeds[name].state, meta.leaps.get(name))
    for name, counts in meta.brakes.items():
        if name in run.brakes:
            run.brakes[name].resume(counts)
    run.publisher.outbox = Outbox(snapshot.outbox, snapshot.outbox_end)
    run.publisher.durable = snapshot.outbox_end


def _differences(run: Runner, snapshot: Snapshot, meta: Meta) -> Iterator[str]:
    """Say why a run cannot go on from a commit."""
    buckets, settings = meta.flow["buckets"], run.settings
    other = "or take another --state folder"
    if buckets != run.flow.buckets:
        has = f"the state has its keys in {buckets} buckets, not in {run.flow.buckets}"
        yield f"{has}: run with --buckets {buckets}, {other}"
    if buckets > 1 and snapshot.hash_version != HASH_VERSION:
        yield (
            f"the state spreads keys by {snapshot.hash_version}, this program by {HASH_VERSION}: "
            f"go on with that version of Polars, {other}"
        )
    if meta.start != settings.emit_from:
        yield f"the state was made {_option('--from', meta.start)}: run so again, {other}"
    if meta.keep != settings.keep:
        yield f"the state was made {'with' if meta.keep else 'without'} --keep-state: run so again, {other}"
    reached = max(meta.flow["watermarks"][name] for name in run.plan.streams)  # `quality` goes by the clock
    if settings.until is not None and settings.until < reached:
        yield f"the state is at {display(reached, TIMESTAMP)} already, after --until: take a later one, {other}"


def _option(name: str, time: int | None) -> str:
    return f"without {name}" if time is None else f"with {name} {display(time, TIMESTAMP)}"


def _restore_flow(run: Runner, snapshot: Snapshot, meta: Meta) -> None:
    """Tables stay as they were when the run began; between two runs over growing input they may change.

    What of a table changes while the run goes on has changed meanwhile, too.
    """
    read_now = dict(run.flow.tables)
    run.flow.restore({path: frame for path, frame in snapshot.frames.items() if path[0] != FEED}, meta.flow)
    for name in run.inputs.followed:
        now, key = read_now.pop(name), run.plan.tables[name].key
        run.flow.change_table(name, pl.concat([vanished(run.flow.tables[name], now, key), now]))
    if meta.keep and meta.through:
        run.flow.tables |= read_now
        return
    for name, table in read_now.items():
        if not table.equals(run.flow.tables[name]):
            run.settings.warn(
                f"the table {name} has changed since this run began: it goes on with the rows it began with"
            )
