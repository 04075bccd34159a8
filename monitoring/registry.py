"""Every metric that Tocsin has, declared once: name, help, labels, unit, buckets.

Code records through these constants, so that a wrong name, a wrong label or the wrong verb for a kind fails the type
check. Names follow Prometheus: prefix `tocsin_`, base units, counters end in `_total`. Labels hold names that an author
chose (streams, rules, sinks) and never a key of a row: those would be persons, and without bound.

`OF_KAFKA` and `OF_STAGE_TOPICS` are recorded only where there are such topics; everything else by every runtime.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeVar, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Unit = Literal["", "seconds", "bytes"]
Together = Literal["sum", "least", "greatest", "oldest"]
"""What the gauges of several processes are together; "oldest": the least of those that are not 0."""
NoLabel = Literal[""]
L = TypeVar("L", bound=str)

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of duration histograms: from an early copy's milliseconds to a sink that is down for minutes."""

ROWS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0)


@dataclass(frozen=True, slots=True)
class Metric(Generic[L]):
    """What all kinds have. `labels`: the names that every recorded value must carry; `L` is their Literal type.

    `values`: of the labels, in their order; () until `of` gave them.
    """

    name: str
    help: str
    labels: tuple[L, ...] = ()
    unit: Unit = ""
    values: tuple[str, ...] = field(default=(), kw_only=True)

    def of(self, labels: Mapping[L, str]) -> Self:
        """Give this metric for one set of label values; ValueError where a label is missing or none of its own."""
        if set(labels) != set(self.labels):
            raise ValueError(f"{self.name} has the labels {list(self.labels)}, not {sorted(labels)}")
        return replace(self, values=tuple(labels[name] for name in self.labels))


@dataclass(frozen=True, slots=True)
class Counter(Metric[L]):
    """A number that only grows."""


@dataclass(frozen=True, slots=True)
class Gauge(Metric[L]):
    """A number that is as it is now; `together`: of several processes of one group."""

    together: Together = field(default="sum", kw_only=True)


@dataclass(frozen=True, slots=True)
class Histogram(Metric[L]):
    """How often a value fell at or below each of `buckets` (upper bounds, ascending; infinity is implied)."""

    buckets: tuple[float, ...] = field(default=SECONDS)


Stream = Literal["stream"]
StreamReason = Literal["stream", "reason"]
Stage = Literal["stage"]
Rule = Literal["rule"]
RuleKind = Literal["rule", "kind"]
Table = Literal["table"]
Sink = Literal["sink"]
StreamPartition = Literal["stream", "partition"]
Process = Literal["version", "runtime", "topology", "topology_version"]

_STREAM: tuple[Stream, ...] = get_args(Stream)
_STREAM_REASON: tuple[StreamReason, ...] = get_args(StreamReason)
_STAGE: tuple[Stage, ...] = get_args(Stage)
_RULE: tuple[Rule, ...] = get_args(Rule)
_RULE_KIND: tuple[RuleKind, ...] = get_args(RuleKind)
_TABLE: tuple[Table, ...] = get_args(Table)
_SINK: tuple[Sink, ...] = get_args(Sink)
_STREAM_PARTITION: tuple[StreamPartition, ...] = get_args(StreamPartition)
_PROCESS: tuple[Process, ...] = get_args(Process)

# Process
PROCESS_INFO = Gauge(
    "tocsin_process_info", "1; its labels say which program and topology run.", _PROCESS, together="greatest"
)

# Ingest
RECORDS_READ = Counter("tocsin_records_read_total", "Records read from a source, good or bad.", _STREAM)
RECORD_BYTES = Counter(
    "tocsin_record_bytes_total", "Bytes of records read, of columns as they lie in memory.", _STREAM, "bytes"
)
DEAD_LETTERS = Counter("tocsin_dead_letters_total", "Records that were put aside, by reason.", _STREAM_REASON)
LATE_RECORDS = Counter("tocsin_late_records_total", "Records that came after their watermark.", _STREAM)
DUPLICATES = Counter("tocsin_duplicate_rows_total", "Further copies (same key, id, time) that a stage dropped.", _STAGE)
OUTSIDE = Counter("tocsin_outside_rows_total", "Rows before --from or after --until that were read.", _STREAM)
NULL_KEYS = Counter("tocsin_null_key_rows_total", "Rows left out of a stage: its key was null.", _STAGE)
LOOKUP_MISSES = Counter("tocsin_lookup_misses_total", "Look-ups of stages that found no row in a table.", _TABLE)
TABLE_CHANGES = Counter("tocsin_table_changes_total", "Rows and deletions of tables that came during a run.", _TABLE)
WATERMARK_LAG = Gauge(
    "tocsin_watermark_lag_seconds", "Clock minus watermark of a stream.", _STREAM, "seconds", together="greatest"
)
WATERMARK = Gauge(
    "tocsin_watermark_timestamp_seconds",
    "Event time up to which a stream was read.",
    _STREAM,
    "seconds",
    together="least",
)

# Stages
STAGE_ROWS = Counter("tocsin_stage_rows_total", "Rows that left a stage.", _STAGE)
STEP_SECONDS = Histogram("tocsin_step_seconds", "Time of one step of a stage.", _STAGE, "seconds")
STATE_BYTES = Gauge("tocsin_state_bytes", "Estimated size of a stage's state in memory.", _STAGE, "bytes")
STATE_ROWS = Gauge("tocsin_state_rows", "Rows of a stage's state.", _STAGE)
STATE_KEYS = Gauge("tocsin_state_keys", "Keys that a stage's state knows, estimated.", _STAGE)
HEARTBEAT = Gauge(
    "tocsin_heartbeat_timestamp_seconds", "When a stage last took a step.", _STAGE, "seconds", together="greatest"
)

# Alerts
TRANSITIONS = Counter("tocsin_alert_transitions_total", "Transitions by rule and kind.", _RULE_KIND)
OPEN_ALERTS = Gauge("tocsin_open_alerts", "Episodes that are open now.", _RULE)
EARLY_COPIES = Counter("tocsin_early_copies_total", "Early copies raised by immediate rules.", _RULE)
EARLY_UNCONFIRMED = Counter("tocsin_early_unconfirmed_total", "Early copies that the truth did not confirm.", _RULE)
EVENT_TO_ALERT = Histogram(
    "tocsin_event_to_alert_seconds", "From the arrival of its event time to an alert.", _RULE, "seconds"
)

# Commits
COMMITS: Counter[NoLabel] = Counter("tocsin_commits_total", "Commits that became durable.")
COMMIT_FAILURES: Counter[NoLabel] = Counter(
    "tocsin_commit_failures_total", "Commits that failed; the one before stays valid."
)
COMMIT_SECONDS: Histogram[NoLabel] = Histogram(
    "tocsin_commit_seconds", "Time until a commit is durable.", unit="seconds"
)
COMMIT_BYTES: Counter[NoLabel] = Counter("tocsin_commit_bytes_total", "Bytes written by commits.", unit="bytes")
COMMIT_TIME: Gauge[NoLabel] = Gauge(
    "tocsin_commit_timestamp_seconds", "When the last commit became durable.", unit="seconds", together="least"
)
OUTBOX_ROWS: Gauge[NoLabel] = Gauge("tocsin_outbox_rows", "Transitions that not every sink has confirmed.")

# Sinks
SINK_ROWS = Counter("tocsin_sink_rows_total", "Transitions that a sink has confirmed.", _SINK)
SINK_BATCHES = Counter("tocsin_sink_batches_total", "Batches that a sink has confirmed.", _SINK)
SINK_RETRIES = Counter("tocsin_sink_retries_total", "Deliveries that failed and were tried again.", _SINK)
SINK_FAILURES = Counter("tocsin_sink_failures_total", "Deliveries that a sink refused for good.", _SINK)
SINK_REFUSED = Counter("tocsin_sink_refused_offers_total", "Offers put off because a sink's queue was full.", _SINK)
SINK_EARLY_LOST = Counter("tocsin_sink_early_lost_total", "Early copies given up: the queue was full.", _SINK)
SINK_HELD_BACK = Counter("tocsin_sink_held_back_total", "Alerts that `at_most` of a sink held back.", _SINK)
SINK_QUEUE_ROWS = Gauge("tocsin_sink_queue_rows", "Transitions that wait for a sink.", _SINK)
SINK_QUEUE_BYTES = Gauge("tocsin_sink_queue_bytes", "Estimated size of what waits for a sink.", _SINK, "bytes")
SINK_QUEUE_SINCE = Gauge(
    "tocsin_sink_queue_since_timestamp_seconds",
    "Since when the oldest waits for a sink; 0: nothing.",
    _SINK,
    "seconds",
    together="oldest",
)
SINK_UP = Gauge("tocsin_sink_up", "0 while a sink cannot be reached or refuses, else 1.", _SINK, together="least")
SINK_BATCH_SECONDS = Histogram("tocsin_sink_batch_seconds", "Time of one delivery.", _SINK, "seconds")
SINK_BATCH_ROWS = Histogram("tocsin_sink_batch_rows", "Rows of one delivery.", _SINK, buckets=ROWS)

# Kafka
PARTITIONS = Gauge("tocsin_partitions_assigned", "Partitions of a stream that this process reads.", _STREAM)
PAUSED = Gauge("tocsin_partitions_paused", "Partitions that are not read for back pressure.", _STREAM)
CONSUMER_LAG = Gauge("tocsin_consumer_lag_records", "Records of a partition that were not read.", _STREAM_PARTITION)
REBALANCES: Counter[NoLabel] = Counter("tocsin_rebalances_total", "Assignments of partitions that this process got.")
OF_KAFKA = (PARTITIONS, PAUSED, CONSUMER_LAG, REBALANCES, TABLE_CHANGES)

# Stage topics
STAGE_BATCHES_READ = Counter("tocsin_stage_batches_read_total", "Batches that a stage read from its topic.", _STAGE)
STAGE_BATCHES_SENT = Counter("tocsin_stage_batches_sent_total", "Batches put into the topic of a stage.", _STAGE)
OF_STAGE_TOPICS = (STAGE_BATCHES_READ, STAGE_BATCHES_SENT)


def declared() -> tuple[Metric[str], ...]:
    """Give every metric of this module, in the order of the text; exporters and documentation walk over it."""
    return tuple(value for value in globals().values() if isinstance(value, Metric))
