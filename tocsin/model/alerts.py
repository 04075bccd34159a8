"""Alerts: levels, the kinds of transitions, and the columns of the transition log."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import polars as pl

from tocsin.model.rows import EVIDENCE_DTYPE


class Level(IntEnum):
    """How bad it is; 0 is cleared."""

    CLEAR = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4


LEVELS = tuple(level.name.lower() for level in Level if level)


class Transition(StrEnum):
    """What the alert machine can say about an episode."""

    RAISED = "raised"
    LEVEL_CHANGED = "level_changed"
    UPDATED = "updated"
    CLEARED = "cleared"


TRANSITIONS: dict[str, pl.DataType] = {
    "alert_id": pl.String(),
    "sequence": pl.Int64(),
    "kind": pl.String(),
    "level": pl.String(),
    "time": pl.Int64(),
    "topology": pl.String(),
    "rule": pl.String(),
    "rule_version": pl.String(),
    "entity": pl.String(),
    "values": pl.String(),
    "evidence": EVIDENCE_DTYPE,
    "says": pl.String(),
    "labels": pl.String(),
    "runbook": pl.String(),
    "reason": pl.String(),
    "early": pl.Boolean(),
}
"""The transition log, one row per transition.

`level`: after the transition: blue, yellow, orange, red, or clear. `time`: event time in ms. `entity`: the fingerprint
as canonical JSON, `{"card": "p:…"}`. `values`: canonical JSON object: the columns of the row that the rule reads, its
parameters under `parameters`, `measure` and its bounds, the window. `labels`: JSON object of texts. `says`: the
rendered sentence, or a JSON object by language. `runbook`: where to read on, "" for nowhere. `reason`: "" or why it
cleared (`reset`, `keep`, `empty`, `unless`, `expired`); CLOSED_AT_BIRTH on the one transition of an immediate rule's
alert.
"""

CLOSED_AT_BIRTH = "immediate"
"""The `reason` of a transition after which none comes although it does not clear: nobody may keep that alert open."""
