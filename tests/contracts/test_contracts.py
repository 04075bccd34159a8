"""Contracts of topics: valid by their standards, true of every message, and the published copies are current."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from jsonschema import Draft202012Validator, FormatChecker, validators
from polars.testing import assert_frame_equal

from sinks import ndjson
from sinks.kafka import KafkaSink
from streams.kafka.dead_letters import HEADERS as DEAD_HEADERS
from streams.kafka.dead_letters import DeadLetterTopic
from tests.cli.shop import BEGIN, TOPOLOGY, payment
from tests.sinks.alert_topic import headers, messages, value
from tests.sinks.transition_rows import bring, frame, log, transition
from tests.streams.kafka.test_dead_letter_topic import letters
from tocsin.compiler import compile_topology
from tocsin.contracts import alert_avro, alert_schema, asyncapi
from tocsin.kafka import KafkaAddress
from tocsin.language import load
from tocsin.model.alerts import TRANSITIONS, Transition

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from confluent_kafka import Message

    from tests.servers.fixtures import Topics

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "contracts"
ASYNCAPI: dict[str, Any] = json.loads((Path(__file__).parent / "asyncapi-3.0.0.json").read_text(encoding="utf-8"))
ALERT = Draft202012Validator(alert_schema(), format_checker=FormatChecker())


def shop(folder: Path, more: str = "") -> dict[str, Any]:
    """Give the document of the shop, as whoever prints it gets it."""
    (folder / "shop.yaml").write_text(TOPOLOGY + more)
    return json.loads(json.dumps(asyncapi(compile_topology(load(folder / "shop.yaml")))))


def awkward() -> pl.DataFrame:
    """Give transitions of every kind and form."""
    return frame(
        *(transition("k", number, kind=kind.value) for number, kind in enumerate(Transition, start=1)),
        transition("l", 1, says='{"en":"often","zh":"经常"}', labels="{}", runbook="", evidence=[]),
        transition("m", 1, evidence=[{"id": None, "position": None}], values='{"sum":1234567890123456789.1234567890}'),
        transition("n", 1, "clear", early=True),
        transition("s", 1, says="x" * 20_000, values='{"x":"' + "y" * 20_000 + '"}'),
        transition("t", 1, entity='{"x":"' + "y" * 20_000 + '"}'),
    )


@pytest.fixture
def delivered(kafka: str, kafka_topics: Topics) -> list[Message]:
    """Give the messages of awkward transitions on a topic that takes small ones."""
    topic = kafka_topics(max_message_bytes="20000")
    bring(KafkaSink(f"kafka://{kafka}/{topic}"), awkward())
    found = messages(kafka, topic)
    assert len(found) == awkward().height
    return found


class TestAlerts:
    """Every message that is delivered keeps the contract."""

    def test_the_schema_is_one(self) -> None:
        Draft202012Validator.check_schema(alert_schema())
        assert list(alert_schema()["properties"]) == list(TRANSITIONS)

    def test_every_value_is_valid(self, delivered: list[Message]) -> None:
        for message in delivered:
            ALERT.validate(json.loads(value(message)))

    def test_every_message_has_the_headers_of_the_document(self, delivered: list[Message], tmp_path: Path) -> None:
        messages = shop(tmp_path)["components"]["messages"]
        for message in delivered:
            kind = json.loads(value(message))["kind"]
            Draft202012Validator(messages[kind]["headers"]).validate(headers(message))
            assert headers(message).keys() <= messages[kind]["headers"]["properties"].keys()

    def test_every_value_becomes_avro_and_comes_back(self, delivered: list[Message]) -> None:
        rows = ndjson.decode([value(message) for message in delivered])
        schema = fastavro.parse_schema(alert_avro())
        file = io.BytesIO()
        fastavro.writer(file, schema, rows.to_dicts(), strict=True)
        file.seek(0)
        back: list[dict[str, Any]] = list(fastavro.reader(file))  # type: ignore[arg-type]
        for row in back:
            row["time"] = round(row["time"].timestamp() * 1000)
        assert_frame_equal(frame(*back), rows)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("sequence", 0),
            ("sequence", "1"),
            ("kind", "vanished"),
            ("level", "green"),
            ("time", "2026-03-01 10:00"),
            ("time", 1_772_442_000_000),
            ("entity", "a"),
            ("evidence", [{"id": "a"}]),
            ("says", {"en": 1}),
            ("labels", {"team": 1}),
            ("early", None),
            ("alert_id", None),
        ],
    )
    def test_what_does_not_keep_the_contract_is_seen(self, name: str, value: object) -> None:
        good = json.loads(ndjson.encode(log("a1")))
        assert ALERT.is_valid(good)
        assert not ALERT.is_valid(good | {name: value})
        assert not ALERT.is_valid({key: member for key, member in good.items() if key != name})


class TestDeadLetters:
    def test_their_headers_are_those_of_the_document(self, kafka: str, kafka_topics: Topics, tmp_path: Path) -> None:
        topic = kafka_topics(max_message_bytes="20000")
        store = DeadLetterTopic(KafkaAddress(kafka, topic))
        store.put(letters(1, raw=b"x" * 30_000), 7)
        store.close()
        (message,) = messages(kafka, topic)
        told = shop(tmp_path)["components"]["messages"]["deadLetter"]["headers"]
        Draft202012Validator(told).validate(headers(message))
        assert headers(message).keys() == told["properties"].keys() > DEAD_HEADERS.keys()


class TestDocument:
    """AsyncAPI 3.0.0."""

    def test_it_is_valid(self, tmp_path: Path) -> None:
        document = shop(tmp_path)
        validator = validators.validator_for(ASYNCAPI)(ASYNCAPI)
        assert [error.message for error in validator.iter_errors(document)] == []
        del document["channels"]["payments"]["bindings"]["kafka"]["topic"]
        document["channels"]["payments"]["bindings"]["kafka"]["topik"] = "x"
        assert not validator.is_valid(document)

    def test_every_reference_leads_somewhere(self, tmp_path: Path) -> None:
        document = shop(tmp_path)
        found = list(references(document))
        assert found
        for reference in found:
            place = document
            for part in reference.removeprefix("#/").split("/"):
                place = place[part.replace("~1", "/").replace("~0", "~")]

    def test_it_names_all_topics(self, tmp_path: Path) -> None:
        document = shop(tmp_path)
        assert {name: channel["address"] for name, channel in document["channels"].items()} == {
            "alerts": "tocsin.shop.alerts.v1",
            "payments": "shop.payment.v1",
            "payments.dlq": "shop.payment.v1.dlq",
        }
        assert {name: operation["action"] for name, operation in document["operations"].items()} == {
            "send.alerts": "send",
            "receive.payments": "receive",
            "send.payments.dlq": "send",
        }

    def test_the_topics_of_sinks_are_those_of_the_topology(self, tmp_path: Path) -> None:
        sinks = (
            "sinks:\n  all: {kafka: shop.alerts}\n  worst: {kafka: 'kafka://host/shop.worst', where: level >= red}\n"
        )
        document = shop(tmp_path, sinks)
        assert document["channels"]["alerts.all"]["address"] == "shop.alerts"
        assert document["channels"]["alerts.worst"]["address"] == "shop.worst"
        assert "where" in document["channels"]["alerts.worst"]["description"]

    def test_records_that_are_taken_are_valid_and_others_are_not(self, tmp_path: Path) -> None:
        schema = shop(tmp_path)["components"]["schemas"]["payments"]
        validator = Draft202012Validator(schema)
        good = payment(1, BEGIN, "a"), payment(1, "2026-03-02T09:00:00Z", None, "12.30"), payment(1, BEGIN, "a", 3)
        assert all(validator.is_valid(json.loads(record)) for record in good)
        bad = payment(1, BEGIN, "a", [1]), b'{"payment_id": "a"}', b"[]"
        assert not any(validator.is_valid(json.loads(record)) for record in bad)

    def test_servers_are_named_if_they_are_given(self, tmp_path: Path) -> None:
        (tmp_path / "shop.yaml").write_text(TOPOLOGY)
        document = asyncapi(compile_topology(load(tmp_path / "shop.yaml")), "one:9092,two:9093")
        assert [server["host"] for server in document["servers"].values()] == ["one:9092", "two:9093"]
        assert validators.validator_for(ASYNCAPI)(ASYNCAPI).is_valid(json.loads(json.dumps(document)))


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for member in part.values():
            yield from references(member)
    elif isinstance(part, list):
        for member in part:
            yield from references(member)


class TestPublished:
    """docs/contracts holds what the commands print."""

    @pytest.mark.parametrize(
        ("file", "command"),
        [("alert.schema.json", "jsonschema"), ("alert.avsc", "avro"), ("asyncapi.json", "asyncapi")],
    )
    def test_it_is_current(self, file: str, command: str) -> None:
        topology = compile_topology(load(ROOT / "topology.yaml"))
        made = {"jsonschema": alert_schema, "avro": alert_avro, "asyncapi": lambda: asyncapi(topology)}[command]()
        kept = (PUBLISHED / file).read_text(encoding="utf-8")
        assert kept == json.dumps(made, indent=2, ensure_ascii=False) + "\n", (
            f"run: tocsin contract {command} > docs/contracts/{file}"
        )

    def test_the_page_tells_of_every_header(self) -> None:
        page = (PUBLISHED / "README.md").read_text(encoding="utf-8")
        document = json.loads((PUBLISHED / "asyncapi.json").read_text(encoding="utf-8"))
        for name in ("raised", "deadLetter"):
            for header in document["components"]["messages"][name]["headers"]["properties"]:
                assert f"| `{header}` |" in page
