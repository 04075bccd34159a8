"""The JSON Schema allows what the language allows, and explains every word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tocsin.language import json_schema, loads
from tocsin.language.__main__ import schema_text

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

EVERYTHING = """\
topology: {name: everything, zone: Asia/Shanghai, uses: base.yaml, min_group: 10, language: 1, why: to try all}
streams:
  payments:
    topic: payments.v1
    format: avro
    owner: card team
    id: payment_id
    time: {field: at, lateness: 5s, idle: 1m, ahead: 1h, skew: 1h, why: the till's clock}
    partitioned_by: [card]
    dedup: 1h
    fields: {payment_id: int64, at: timestamp, card: person(card), amount: {type: decimal(2), unit: CNY}, till: tills}
    derive: {issuer: 'prefix(card, 6)'}
    checks: {positive: amount > 0, plausible: {should: amount < 100000}}
tables:
  tills: {key: till, fields: {till: string, place: point}, topic: tills.v1, keyed: true}
  limits: {key: [kind, slot], fields: {kind: string, slot: string, most: int64}, rows: [{kind: a, slot: b, most: 3}]}
  wanted: {key: card, fields: {card: person(card)}, file: wanted.csv, broadcast: 1000}
features:
  pace:
    from: payments
    where: amount > 0
    by: card
    parameters: {blink: 3 s, many: {value: 5, why: enough, see: a book}}
    windows:
      trailing 10m delayed 1d 12h: {payments: count()}
      tumbling 1d at 05:00: {total: sum(amount)}
      cumulating 1d every 1h: {so_far: sum(amount)}
      session gap 5m: {sitting: count()}
      same: {all: count()}
      why: one of each
    movement: {place: till.place, forget: 1d, fence: zones}
    derive: {ago: at - payments}
    detect: {usual: {baseline: total, season: hour of week, history: 8w}, odd: {joint: [total, payments]}}
  crowd:
    from: [signaling]
    each: {wish: subscriptions(metric)}
    for_all: units
    at: payments
    occupancy: {who: subscriber, in: cell.unit, every: 1m, forget: 1h}
    roll_up: parent
  lured:
    by: {range: caller_range}
    within: 2h
    absence: transfer
    sequence:
      - call: {from: calls, by: {customer: callee.customer}, where: caller in flagged}
      - transfer: {from: payees}
rules:
  velocity:
    from: [pace, crowd]
    entity: [card, region]
    parameters: {many: {value: 10 payments, why: the most in a year}}
    levels: {orange: {when: payments >= many, reset: payments < 5, says: many}, red: amount > 3}
    for: 3m
    keep: forever
    expires: 2d
    unless: card in trusted
    incident: {by: card, gap: 1h}
    labels: {decision: hold}
    says: {en: "{payments} payments", zh: "{payments} 笔"}
    runbook: https://example.org
    tests:
      - given:
          payments: [{card: A, at: 10:00, every: 30s, times: 12, till: [t1, t2], amount: 20}, {at: 10:00:30}]
        expect: {A: [10:04:30 orange, 10:15:30 clear], B: 10:00 red, C: []}
  full:
    from: crowd
    measure: people / capacity
    levels: {blue: 70%, red: {bound: 100%}}
    slack: 5%
    keep: 30m
    incident: {along: parent}
    says: full
sinks:
  room: {kafka: alerts.v1, where: level >= orange, at_most: 10 per hour}
  screen: console
"""


def valid(text: str) -> bool:
    return bool(VALIDATOR.is_valid(yaml.load(text, Loader=yaml.BaseLoader)))  # noqa: S506  # builds texts only


class TestSchema:
    """What editors are told."""

    def test_it_is_a_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_all_that_the_language_reads_is_valid(self) -> None:
        loads(EVERYTHING, reader=lambda _: "topology: {name: base}")
        VALIDATOR.validate(yaml.load(EVERYTHING, Loader=yaml.BaseLoader))  # noqa: S506  # builds texts only

    def test_scalars_that_an_editor_has_typed_are_valid_too(self) -> None:
        VALIDATOR.validate(yaml.safe_load(EVERYTHING))

    @pytest.mark.parametrize(
        "text",
        [
            "streams: {}",
            "topology: {zone: UTC}",
            "topology: {name: x, colour: red}",
            "topology: {name: x}\nfeature: {}",
            "topology: {name: x}\nfeatures: {f: {from: a, windows: {tumbling: {n: count()}}}}",
            "topology: {name: x}\nfeatures: {f: {from: a, windows: {hopping 1h: {n: count()}}}}",
            "topology: {name: x}\nfeatures: {f: {from: a, windows: {tumbling 10s: {how-many: count()}}}}",
            "topology: {name: x}\nrules: {r: {from: a, levels: {critical: n > 3}}}",
            "topology: {name: x}\nrules: {r: {from: a, levels: {red: n > 3}, keep: long}}",
            "topology: {name: x}\nrules: {two words: {from: a, levels: {red: n > 3}}}",
            "topology: {name: x}\nsinks: {s: {kafkaa: t}}",
            "topology: {name: x}\nsinks: {s: {kafka: t, file: f}}",
            "topology: {name: x}\nsinks: {s: {where: level = red}}",
        ],
    )
    def test_what_is_wrong_in_words_and_shapes_is_not_valid(self, text: str) -> None:
        assert not valid(text)

    def test_every_word_is_explained(self) -> None:
        unexplained = [
            f"{name}.{word}"
            for name, record in SCHEMA["$defs"].items()
            for word, schema in record["properties"].items()
            if not described(schema)
        ]
        assert unexplained == []

    def test_the_schema_in_the_documentation_is_up_to_date(self) -> None:
        kept = Path(__file__).parents[2] / "docs" / "topology.schema.json"
        assert kept.read_text(encoding="utf-8") == schema_text(), (
            "run: python -m tocsin.language > docs/topology.schema.json"
        )

    def test_every_reference_has_its_definition(self) -> None:
        assert set(references(SCHEMA)) == {f"#/$defs/{name}" for name in SCHEMA["$defs"]}


def described(schema: dict[str, Any]) -> bool:
    return len(schema.get("description", "")) > 10


def references(schema: Any) -> list[str]:  # noqa: ANN401  # any part of a schema
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [each for value in schema.values() for each in references(value)]
    return [each for value in schema for each in references(value)] if isinstance(schema, list) else []
