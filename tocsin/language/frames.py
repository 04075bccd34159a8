"""Where the examples of the reference stand: for each part of the language a small topology with a gap.

An example is put where `…` stands; if the frame has that word already, the example takes its place. `beside` are
words that an example needs beside it (`slack` needs a measure).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.language.features import FeatureWord, MovementWord, OccupancyWord
from tocsin.language.fields import FieldWord
from tocsin.language.header import Header
from tocsin.language.parameters import ParameterWord
from tocsin.language.records import words_of
from tocsin.language.rule_tests import RuleTest
from tocsin.language.rules import IncidentWord, LevelWord, RuleWord
from tocsin.language.sequences import SequenceStep
from tocsin.language.sinks import SinkOptions
from tocsin.language.streams import ShouldWord, StreamWord, TimeWord
from tocsin.language.tables import TableWord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tocsin.language.records import Word

GAP = "…"


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of the language, with the topology in which its examples stand."""

    title: str
    cls: type
    text: str
    beside: Mapping[str, str] = field(default_factory=dict)

    def example(self, word: Word) -> str:
        """Give the whole topology with the example of a word."""
        gap = next(line for line in self.text.splitlines() if line.strip() == GAP)
        indent = gap[: -len(GAP)]
        beside = self.beside.get(word.spelled, "").splitlines()
        lines = [f"{word.spelled}: {word.example}", *beside]
        before, after = self.text.split(gap)
        block = _start_of_block(before, indent)
        kept = without(before[block:], indent, {line.split(":", 1)[0] for line in lines})
        return before[:block] + kept + "\n".join(indent + line for line in lines) + after

    def examples(self) -> Iterator[tuple[Word, str]]:
        """Give every word with the topology that shows it."""
        for word in words_of(self.cls):
            yield word, self.example(word)


def _start_of_block(text: str, indent: str) -> int:
    """Give where the last lines with this indentation, or a deeper one, begin."""
    outer = list(re.finditer(rf"^(?!{indent}).*\n", text, re.MULTILINE))
    return outer[-1].end() if outer else 0


def without(text: str, indent: str, words: set[str]) -> str:
    """Give lines without some words at an indentation; each stands on one line."""
    said = re.compile(rf"{indent}({'|'.join(map(re.escape, words))}):.*\n?")
    return "".join(line for line in text.splitlines(keepends=True) if not said.fullmatch(line))


_PAYMENTS = """\
topology: {name: example}
streams:
  payments:
    fields: {at: timestamp, payment_id: int64, card: person(card), amount: decimal(2)}
    time: {field: at, lateness: 5s}
"""

_SUMS = f"""{_PAYMENTS}features:
  pace:
    from: payments
    by: card
    windows: {{trailing 10m: {{payments: count(), spent: sum(amount)}}}}
"""

FRAMES = (
    Frame("topology", Header, "topology:\n  name: example\n  …\n"),
    Frame("streams", StreamWord, f"{_PAYMENTS}    …\n"),
    Frame(
        "time",
        TimeWord,
        """\
topology: {name: example}
streams:
  payments:
    fields: {at: timestamp}
    time:
      field: at
      lateness: 5s
      …
""",
    ),
    Frame(
        "fields",
        FieldWord,
        """\
topology: {name: example}
streams:
  meters:
    time: {field: at, lateness: 5s}
    fields:
      at: timestamp
      used:
        type: float64
        …
""",
    ),
    Frame("checks", ShouldWord, f"{_PAYMENTS}    checks:\n      plausible:\n        …\n"),
    Frame(
        "tables",
        TableWord,
        """\
topology: {name: example}
tables:
  terminals:
    key: terminal
    fields: {terminal: string, place: point, since: timestamp}
    …
""",
    ),
    Frame(
        "features",
        FeatureWord,
        f"{_PAYMENTS}features:\n  pace:\n    from: payments\n    …\n",
        {
            "sequence": "within: 2h",
            "within": "sequence: [{call: {from: calls}}, {transfer: {from: transfers}}]",
            "absence": "within: 2h\nsequence: [{call: {from: calls}}, {transfer: {from: transfers}}]",
            "roll_up": "occupancy: {who: subscriber, in: cell.unit, every: 1m, forget: 1h}",
            "detect": "windows: {hopping 1h every 5m: {h1: sum(amount)}}",
            "derive": "windows: {trailing 30d: {stayed: max(at)}}",
        },
    ),
    Frame(
        "movement",
        MovementWord,
        f"{_PAYMENTS}features:\n  pace:\n    from: payments\n    by: card\n    movement:\n"
        "      place: place\n      forget: 1d\n      …\n",
    ),
    Frame(
        "occupancy",
        OccupancyWord,
        "topology: {name: example}\nfeatures:\n  crowd:\n    from: signaling\n    occupancy:\n"
        "      who: subscriber\n      in: cell\n      every: 1m\n      forget: 1h\n      …\n",
    ),
    Frame(
        "sequence",
        SequenceStep,
        "topology: {name: example}\nfeatures:\n  lured:\n    by: customer\n    within: 2h\n"
        "    sequence:\n      - login: {from: logins}\n      - call:\n          from: calls\n          …\n",
    ),
    Frame("parameters", ParameterWord, f"{_SUMS}    parameters:\n      many:\n        value: 10 payments\n        …\n"),
    Frame(
        "rules",
        RuleWord,
        f"{_SUMS}rules:\n  card-velocity:\n    from: pace\n    levels: {{red: payments >= 20}}\n    …\n",
        {"measure": "levels: {yellow: 70%, red: 100%}", "slack": "measure: payments / 20\nlevels: {red: 100%}"},
    ),
    Frame(
        "levels",
        LevelWord,
        f"{_SUMS}rules:\n  card-velocity:\n    from: pace\n    measure: payments / 20\n    levels:\n"
        "      red:\n        …\n",
        {"reset": "when: payments >= 10", "says": "bound: 100%"},
    ),
    Frame(
        "incident",
        IncidentWord,
        f"{_SUMS}rules:\n  card-velocity:\n    from: pace\n    levels: {{red: payments >= 20}}\n"
        "    incident:\n      …\n",
        {"gap": "by: card"},
    ),
    Frame(
        "tests",
        RuleTest,
        f"{_SUMS}rules:\n  card-velocity:\n    from: pace\n    levels: {{orange: payments >= 10}}\n"
        "    tests:\n      -\n        given: {payments: [{card: A, at: 10:00, amount: 5}]}\n"
        "        expect: {}\n        …\n",
    ),
    Frame(
        "sinks", SinkOptions, "topology: {name: example}\nsinks:\n  room:\n    kafka: tocsin.city.alerts.v1\n    …\n"
    ),
)
