"""Every scalar operator and function gives what DuckDB gives, on awkward values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb_oracle
import pytest
from function_cases import FUNCTIONS as CASES
from function_cases import OPERATORS, Case

from operators.expressions import bind
from operators.expressions.registry import FUNCTIONS, SPECIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

ALL = [
    pytest.param(case, id=f"{name}: {case.ours}") for name, cases in {**OPERATORS, **CASES}.items() for case in cases
]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb_oracle.connect() as connection:
        yield connection


FRAME = duckdb_oracle.frame()


def check(case: Case, zone: str, connection: duckdb.DuckDBPyConnection) -> None:
    bound = bind(case.ours, duckdb_oracle.scope(zone))
    column = FRAME.select(bound.expr.alias("ours"))["ours"]
    assert column.dtype == bound.type.physical
    sql = case.theirs or case.ours
    theirs = duckdb_oracle.answers(connection, sql if zone == "Europe/Berlin" else sql.replace("berlin(", "shanghai("))
    assert len(column) == len(theirs)
    different = [
        ({name: FRAME[name][i] for name in bound.columns}, mine, other)
        for i, (mine, other) in enumerate(zip(column.to_list(), theirs, strict=True))
        if not duckdb_oracle.same(mine, other, bound.type)
    ]
    assert different == []


class TestAgainstDuckDB:
    """An expression gives in every row what DuckDB gives, but where the language differs on purpose."""

    @pytest.mark.parametrize("case", ALL)
    def test_an_expression_gives_what_duckdb_gives(self, case: Case, connection: duckdb.DuckDBPyConnection) -> None:
        check(case, "Europe/Berlin", connection)

    @pytest.mark.parametrize("case", [p for p in ALL if "berlin(" in p.values[0].theirs])
    def test_parts_of_time_follow_the_history_of_a_zone(
        self, case: Case, connection: duckdb.DuckDBPyConnection
    ) -> None:
        check(case, "Asia/Shanghai", connection)

    def test_every_function_has_a_case(self) -> None:
        assert set(CASES) == set(FUNCTIONS) | set(SPECIAL)
        assert all(CASES.values())
