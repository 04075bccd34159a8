"""`python -m bench [NAME…]`: measure, print a table, write `bench/results.json`; exit 1 if a target is missed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench import cards, commands, flink, growth, kafka, standard, steady
from bench.context import Bench
from bench.rows import Row, table
from bench.stolen import Stolen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MEASUREMENTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "standard": standard.rows,
    "cards": cards.rows,
    "keys": growth.keys,
    "hopping": growth.hopping,
    "memory": growth.memory,
    "commit": growth.commit,
    "commands": commands.rows,
    "kafka": kafka.rows,
    "flink": flink.rows,
    "steady": steady.rows,
}
_NOTEWORTHY = 0.05
RESULTS = Path(__file__).with_name("results.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurements that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}; default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the events to measure with; to try the code")
    parser.add_argument("--folder", type=Path, help="where to make the events; default: the temporary folder")
    parser.add_argument("--out", type=Path, help=f"where to write the results; default, if all ran: {RESULTS.name}")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(MEASUREMENTS):
        parser.error(f"no measurement {', '.join(sorted(unknown))}: choose of {', '.join(MEASUREMENTS)}")
    whole = not given.names and given.scale == 1.0
    rows = measured(given.names or list(MEASUREMENTS), given)
    print(table(rows))
    out = given.out or (RESULTS if whole else None)
    if out is not None:
        out.write_text(results(rows), encoding="utf-8")
    return 1 if any(row.verdict == "missed" for row in rows) else 0


def measured(names: Sequence[str], given: argparse.Namespace) -> list[Row]:
    """Measure one after the other, in one folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-", dir=given.folder) as folder:
        bench = Bench(Path(folder), given.scale)
        rows: list[Row] = []
        stolen = Stolen()
        for name in names:
            for made in MEASUREMENTS[name](bench):
                row = _with_stolen(made, stolen.share())
                rows.append(row)
                print(f"{name}: {' '.join(row.cells())}", file=sys.stderr, flush=True)
        return rows


def _with_stolen(row: Row, share: float) -> Row:
    """Say it where the machine lost so much of its time that figures of wall time mean little."""
    if share < _NOTEWORTHY:
        return row
    lost = f"{share:.0%} of the machine's time went to others"
    return replace(row, note=f"{row.note}; {lost}" if row.note else lost)


def results(rows: Sequence[Row]) -> str:
    """Give the rows as JSON, with what they were measured on."""
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "system": platform.platform(terse=True),
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("polars", "numpy", "msgspec")},
    }
    return json.dumps({**about, "rows": [{**asdict(row), "verdict": row.verdict} for row in rows]}, indent=1) + "\n"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


if __name__ == "__main__":
    sys.exit(main())
