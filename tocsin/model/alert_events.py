"""How a transition looks on Kafka: a CloudEvent 1.0 in binary mode. Sinks and contracts take it from here.

The key of the message and the attribute `subject` are the fingerprint, so that all that is said of one thing stands in
one partition, in order. The value is a JSON object with the columns of the transition log.
"""

from __future__ import annotations

from typing import NamedTuple

from tocsin.model.alerts import LEVELS, Level, Transition

VERSION = "v1"
CONTENT_TYPE = "application/json"
DATASCHEMA = f"urn:tocsin:contract:alert:{VERSION}"
TYPES = {kind.value: f"tocsin.alert.{kind.value}.{VERSION}" for kind in Transition}
EARLY = "early"
"""The last part of the id of an early copy, which is an event of its own."""


class Attribute(NamedTuple):
    """A header: its meaning, an example, whether every message has it."""

    meaning: str
    example: str
    always: bool = True


ID = "ce_id"
IS_EARLY = "ce_early"
HEADERS: dict[str, Attribute] = {
    "content-type": Attribute("how the value is encoded", CONTENT_TYPE),
    "ce_specversion": Attribute("the version of CloudEvents", "1.0"),
    ID: Attribute(
        "`alert_id/sequence`, and `/early` behind it for an early copy; the same id twice is the same message twice",
        "5f0c6f0a3d2b4c1e8a7b9d0c1e2f3a4b/1",
    ),
    "ce_source": Attribute("topology and rule, each percent-encoded", "/tocsin/city/card-velocity"),
    "ce_type": Attribute("what happened to the alert, and the version of the contract", TYPES["raised"]),
    "ce_time": Attribute("event time, RFC 3339 in UTC with milliseconds", "2026-03-01T10:00:00.000Z"),
    "ce_subject": Attribute("the fingerprint as canonical JSON; equal to the key", '{"card":"p:3f9a"}'),
    "ce_dataschema": Attribute("the contract of the value", DATASCHEMA),
    IS_EARLY: Attribute("`true` on early copies, which the transition with the same id replaces", "true", always=False),
    "ce_shortened": Attribute(
        "the members that are null because the message would have been larger than the topic takes",
        "values evidence",
        always=False,
    ),
}

SHORTENED = ("values", "evidence", "says", "labels", "runbook", "entity")
"""What is left out, the largest first, where an alert is too large for a message."""

MEANINGS: dict[str, str] = {
    "alert_id": "names the alert: equal in all its transitions, and in every run over the same events",
    "sequence": "counts the transitions of an alert from 1; together they name a transition",
    "kind": "what happened to the alert",
    "level": f"the level after it: {', '.join(LEVELS)}, or {Level.CLEAR.name.lower()}",
    "time": "event time, UTC",
    "topology": "the name of the topology",
    "rule": "the name of the rule",
    "rule_version": "the hash of all that the rule's result depends on",
    "entity": "what the alert is about, by the fields of the rule's key: the fingerprint",
    "values": "what the rule read: columns, `parameters`, `measure` and its bounds, the window",
    "evidence": "the latest events behind it: their ids, and positions (source partition · 2^48 + offset)",
    "says": "the sentence for people, or an object of sentences by language",
    "labels": "the labels of the rule, texts by name",
    "runbook": "where to read on, empty for nowhere",
    "reason": "why it cleared, else empty; `immediate` on alerts that are closed at birth",
    "early": "whether this is an early copy, which the transition with the same id replaces",
}
"""Every column of the log, in its order."""
