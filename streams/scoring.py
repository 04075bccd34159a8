"""How well rules do against labels: which incidents were found, which alerts were false, how soon.

An incident is found if its rule raised for its entity while the cause lasted, or within a grace after it. An alert is
false if it belongs to no incident of its rule; a near miss that raises is such an alert. Several alerts of one incident
find it once, and none of them is false. Only rules that have labels are scored: of the others nothing is known.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.alerts import LEVELS, Transition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.pseudonyms import Pseudonyms

GRACE = 5 * 60_000
"""Milliseconds after the cause in which an alert still counts: windows end, and `for:` runs, after what they see."""

_RANK = {level: rank for rank, level in enumerate(LEVELS, start=1)}


@dataclass(frozen=True, slots=True)
class RuleScore:
    """One rule against its labels; times in ms.

    `found` of `incidents`; `false_alarms` of `alerts`; `quiet` of `near_misses` raised nothing. `level_right`: found
    incidents whose highest level was the one expected. `delay`: median from the beginning of the cause to the first
    alert. `pairs`: one row per alert of an incident. `missed`, `false`: the labels not found and the alerts that were
    false, as rows to show.
    """

    rule: str
    incidents: int
    found: int
    alerts: int
    false_alarms: int
    near_misses: int
    quiet: int
    level_right: int
    delay: float | None
    pairs: pl.DataFrame = field(repr=False, compare=False)
    missed: pl.DataFrame = field(repr=False, compare=False)
    false: pl.DataFrame = field(repr=False, compare=False)

    @property
    def recall(self) -> float:
        """The share of incidents that were found; 1 if there was none."""
        return self.found / self.incidents if self.incidents else 1.0

    @property
    def precision(self) -> float:
        """The share of alerts that belong to an incident; 1 if nothing was raised."""
        return 1.0 - self.false_alarms / self.alerts if self.alerts else 1.0


def score(
    transitions: pl.DataFrame, labels: pl.DataFrame, *, pseudonyms: Pseudonyms, grace: int = GRACE
) -> dict[str, RuleScore]:
    """Score every rule that has labels.

    `transitions`: columns of `tocsin.model.alerts.TRANSITIONS`, early copies are left out. `labels`: columns of
    `streams.simulator.LABELS`, with raw identifiers. `pseudonyms`: those of the run.
    """
    alerts, known = _alerts(transitions), _with_keys(labels, pseudonyms)
    near = known.join(alerts, on=["rule", "key"], how="inner")
    inside = near.filter(pl.col("raised").is_between(pl.col("from"), pl.col("until") + grace))
    rules = labels["rule"].unique().sort().to_list()
    return {rule: _score(rule, alerts, known, inside) for rule in rules}


def _alerts(transitions: pl.DataFrame) -> pl.DataFrame:
    """Give one row per alert: when it was raised, and its highest level."""
    real = transitions.filter(~pl.col("early").fill_null(value=False))
    rank = pl.col("level").replace_strict(_RANK, default=0, return_dtype=pl.Int64)
    first = real.filter(pl.col("kind") == Transition.RAISED)
    opened = first.group_by("alert_id").agg(pl.col("rule", "entity").first(), raised=pl.col("time").min())
    highest = real.group_by("alert_id").agg(rank=rank.max())
    keys = pl.Series([entity_key(json.loads(entity)) for entity in opened["entity"]], dtype=pl.String)
    return opened.with_columns(keys.alias("key")).drop("entity").join(highest, on="alert_id").sort("raised", "alert_id")


def _with_keys(labels: pl.DataFrame, pseudonyms: Pseudonyms) -> pl.DataFrame:
    keys = [_label_key(row["entity"], row["persons"], pseudonyms) for row in labels.iter_rows(named=True)]
    expected = pl.col("level").replace_strict(_RANK, default=0, return_dtype=pl.Int64)
    return labels.with_columns(
        pl.Series(keys, dtype=pl.String).alias("key"), expected=expected, label=pl.int_range(pl.len())
    )


def _label_key(entity: str, persons: str, pseudonyms: Pseudonyms) -> str:
    named: dict[str, str] = json.loads(entity)
    domains: Mapping[str, str] = json.loads(persons)
    for name, domain in domains.items():
        named[name] = pseudonyms.of(pl.Series([named[name]]), domain).item()
    return entity_key(named)


def entity_key(entity: Mapping[str, object]) -> str:
    """Give an entity as text that does not depend on the order of its fields, nor on how its JSON was spaced."""
    return json.dumps({name: str(value) for name, value in entity.items()}, sort_keys=True)


def _score(rule: str, alerts: pl.DataFrame, labels: pl.DataFrame, inside: pl.DataFrame) -> RuleScore:
    mine, known, hits = (rows.filter(pl.col("rule") == rule) for rows in (alerts, labels, inside))
    incidents, near = (known.filter(pl.col("kind") == kind) for kind in ("incident", "near-miss"))
    pairs = hits.filter(pl.col("kind") == "incident").with_columns(delay=pl.col("raised") - pl.col("from"))
    firsts = pairs.group_by("label").agg(
        pl.col("delay").min(), right=pl.col("rank").max() == pl.col("expected").first()
    )
    false = mine.join(pairs, on="alert_id", how="anti")
    loud = false.join(near, on="key", how="semi")["key"].unique()
    median = firsts["delay"].median()
    return RuleScore(
        rule=rule,
        incidents=incidents.height,
        found=firsts.height,
        alerts=mine.height,
        false_alarms=false.height,
        near_misses=near.height,
        quiet=near.filter(~pl.col("key").is_in(loud.implode())).height,
        level_right=int(firsts["right"].sum()),
        delay=None if median is None else float(str(median)),
        pairs=_shown(pairs, "alert_id", "entity", "case", "raised", "delay", "rank", "expected"),
        missed=_shown(incidents.join(firsts, on="label", how="anti"), "entity", "case", "from", "until", "expected"),
        false=_shown(false.join(near.unique("key"), on="key", how="left"), "alert_id", "key", "raised", "rank", "case"),
    )


def _shown(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Keep these columns; ranks become the words of levels."""
    words = {rank: level for level, rank in _RANK.items()}
    named = {"rank": "level", "expected": "expected"}
    return rows.select(
        pl.col(name).replace_strict(words, default="", return_dtype=pl.String).alias(named[name])
        if name in named
        else pl.col(name)
        for name in columns
    )
