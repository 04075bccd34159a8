"""The reference of functions and aggregates, generated from the tables that the binder itself uses.

`python -m operators.expressions.reference` prints the page docs/functions.md.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from operators.expressions.aggregate_names import AGGREGATES
from operators.expressions.registry import FUNCTIONS, SPECIAL

if TYPE_CHECKING:
    from collections.abc import Iterable

OPERATORS = (
    ("+ - * /", "exact for int64 and decimal; `/` is always real division; by zero is null", "amount / wish.bound"),
    ("%", "the rest of a division of int64 or decimal, with the sign of the first", "n % 900"),
    ("= <> < <= > >=", "exact between int64 and decimal; units are converted", "distance > near"),
    ("and or not", "three-valued: null where the other side does not decide", "not answered and ring <= blink"),
    ("is [not] null, is [not] true, is [not] distinct from", "never null", "returned is null"),
    ("x between a and b", "a <= x and x <= b; constants the wrong way round are refused", "heat between -40 and 150"),
    ("x in (...), x in TABLE", "in a list; a key of a table as of the row's time", "card in trusted"),
    ("like, ilike [escape]", "`%` any text, `_` one character; ilike ignores case", "name like 'A%'"),
    ("x || y", "joined text; null if one is", "city || '/' || cell"),
    ("case [x] when ... then ... [else ...] end", "the first that is true", "case kind when 'above' then 1 else 0 end"),
    ("key.field, TABLE(key).field", "looked up as of the row's time; null without a row", "rack.model.v_low"),
)


HEAD = """\
<!-- Generated: python -m operators.expressions.reference > docs/functions.md -->

# What expressions are made of

Expressions stand in `where`, `derive`, `by`, `checks`, under `windows` and in rules ([topology.md](topology.md)). Null
is never true; NaN and infinity are null.

"""


def functions_markdown() -> str:
    """Give the page as Markdown: operators, scalar functions, aggregates; signature, meaning, example."""
    functions = [(function.signature, function.meaning, function.example) for function in FUNCTIONS.values()]
    parts = (
        ("Operators", "Operator", OPERATORS),
        ("Scalar functions", "Function", sorted([*functions, *SPECIAL.values()])),
        ("Aggregates", "Aggregate", AGGREGATES.values()),
    )
    tables = [f"## {title}\n\n{_table(head, rows)}" for title, head, rows in parts]
    return HEAD + "\n\n".join(tables) + "\n\nEvery aggregate may have `filter (where condition)`.\n"


def _table(head: str, rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"| {head} | Meaning | Example |", "|---|---|---|"]
    lines += [f"| `{_cell(word)}` | {_cell(meaning)} | `{_cell(example)}` |" for word, meaning, example in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(functions_markdown())
