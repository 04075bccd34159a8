"""Which cases are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.cases import drawn, every

if TYPE_CHECKING:
    import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give all cases, or those that the seed draws."""
    if "case" in metafunc.fixturenames:
        cases = every() if metafunc.config.getoption("all_cases") else drawn()
        metafunc.parametrize("case", cases, ids=lambda case: case.name)
