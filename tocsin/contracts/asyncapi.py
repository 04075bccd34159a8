"""An AsyncAPI 3 document of a topology: the alert topic, the topics of its streams, and their dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streams.kafka.dead_letters import CUT, SUFFIX
from streams.kafka.dead_letters import HEADERS as DEAD_HEADERS
from tocsin.contracts.alerts import alert_object
from tocsin.contracts.records import record_schema
from tocsin.kafka import address_of
from tocsin.model.alert_events import CONTENT_TYPE, HEADERS, TYPES, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tocsin.compiler.plan import Plan, StreamPlan

Part = dict[str, Any]

ASYNCAPI: Final = "3.0.0"
CONTRACT: Final = "1.0.0"
"""The version of what is said on the topics: its first number is that of event types and `ce_dataschema`."""
_BINDING: Final = "0.5.0"
_MEDIA: Final = {"json": "application/json", "csv": "text/csv", "avro": "application/vnd.apache.avro"}


def asyncapi(plan: Plan, servers: str = "") -> Part:
    """Give the document; `servers`: host:port by commas, "" to leave them out.

    Without a Kafka sink in the topology the alert topic has the name that one would be given.
    """
    streams = {name: stream for name, stream in plan.streams.items() if stream.topic}
    channels = dict(_alert_channels(plan))
    operations = {f"send.{name}": _operation("send", name, channels[name], "tells alerts") for name in channels}
    for name, stream in streams.items():
        dead = name + SUFFIX
        channels |= {name: _record_channel(name, stream), dead: _dead_channel(name, stream)}
        operations[f"receive.{name}"] = _operation("receive", name, channels[name], "reads events")
        operations[f"send.{dead}"] = _operation("send", dead, channels[dead], "puts aside what cannot be taken")
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": f"Tocsin: {plan.name}",
            "version": CONTRACT,
            "description": "What Tocsin reads and says on Kafka for this topology; made by `tocsin contract asyncapi`.",
        },
        "defaultContentType": CONTENT_TYPE,
        **({"servers": _servers(servers)} if servers else {}),
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": {"alert": alert_object()} | {name: record_schema(stream) for name, stream in streams.items()},
            "messages": _messages(streams),
        },
    }


def alert_topic(name: str) -> str:
    """Name the alert topic of a topology that does not say: domain, scope, event, version."""
    return f"tocsin.{name}.alerts.{VERSION}"


def _alert_channels(plan: Plan) -> Iterable[tuple[str, Part]]:
    sinks = {sink.name: sink for sink in plan.sinks if sink.kind == "kafka"}
    messages = {kind: _ref("components", "messages", kind) for kind in TYPES}
    told = (
        "Transitions of alerts as CloudEvents 1.0 in binary mode, in order per key; take a second `ce_id` for a copy."
    )
    if not sinks:
        yield "alerts", _channel(alert_topic(plan.name), told, messages)
    for name, sink in sinks.items():
        topic = address_of(sink.target, environment={"TOCSIN_KAFKA_BOOTSTRAP_SERVERS": "any:9092"}).topic
        which = " Those that its `where` lets through." if sink.where is not None else ""
        yield f"alerts.{name}", _channel(topic, told + which, messages)


def _record_channel(name: str, stream: StreamPlan) -> Part:
    by = f" Partitioned by {', '.join(stream.partitioned_by)}." if stream.partitioned_by else ""
    return _channel(stream.topic, f"The events of the stream {name}.{by}", {name: _ref("components", "messages", name)})


def _dead_channel(name: str, stream: StreamPlan) -> Part:
    told = f"Records of {name} that were not taken, as they came: to be protected as the topic that they are from."
    return _channel(stream.topic + SUFFIX, told, {"deadLetter": _ref("components", "messages", "deadLetter")})


def _channel(topic: str, told: str, messages: Mapping[str, Part]) -> Part:
    binding = {"kafka": {"topic": topic, "bindingVersion": _BINDING}}
    return {"address": topic, "description": told, "messages": dict(messages), "bindings": binding}


def _operation(action: str, name: str, channel: Part, summary: str) -> Part:
    messages = [_ref("channels", name, "messages", message) for message in channel["messages"]]
    return {"action": action, "channel": _ref("channels", name), "summary": f"Tocsin {summary}", "messages": messages}


def _messages(streams: Mapping[str, StreamPlan]) -> Part:
    found = {kind: _alert_message(kind) for kind in TYPES}
    for name, stream in streams.items():
        media = _MEDIA.get(stream.format, "application/octet-stream")
        payload = {"payload": _ref("components", "schemas", name)} if media == CONTENT_TYPE else {}
        found[name] = {"name": name, "contentType": media, **payload}
    return found | ({"deadLetter": _dead_letter()} if streams else {})


def _alert_message(kind: str) -> Part:
    headers = {
        name: {"type": "string", "description": a.meaning, "examples": [a.example]} for name, a in HEADERS.items()
    }
    headers["ce_type"] = {"type": "string", "description": HEADERS["ce_type"].meaning, "const": TYPES[kind]}
    key = {"type": "string", "description": "the fingerprint as canonical JSON, as in `ce_subject`"}
    return {
        "name": TYPES[kind],
        "title": f"An alert: {kind.replace('_', ' ')}",
        "contentType": CONTENT_TYPE,
        "headers": _headers(headers, [name for name, attribute in HEADERS.items() if attribute.always]),
        "payload": _ref("components", "schemas", "alert"),
        "bindings": {"kafka": {"key": key, "bindingVersion": _BINDING}},
    }


def _dead_letter() -> Part:
    headers = {name: {"type": "string", "description": header.meaning} for name, header in DEAD_HEADERS.items()}
    headers[CUT] = {"type": "string", "description": "bytes of a record of which the value holds the first ones only"}
    always = [name for name, header in DEAD_HEADERS.items() if header.column != "time"]
    return {
        "name": "tocsin.dead_letter",
        "title": "A record that was not taken",
        "contentType": "application/octet-stream",
        "headers": _headers(headers, always),
    }


def _headers(properties: Mapping[str, Part], required: list[str]) -> Part:
    return {"type": "object", "properties": dict(properties), "required": required}


def _servers(servers: str) -> Part:
    return {f"broker{n}": {"host": host, "protocol": "kafka"} for n, host in enumerate(servers.split(","), start=1)}


def _ref(*path: str) -> Part:
    return {"$ref": "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)}
