"""kill -9 at any moment, then the same command again: the sinks say the same as after an undisturbed run."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING

from shop import RUN, start, tocsin, write_shop

from operators.alerting.canonical import canonical
from sinks.ndjson import decode
from streams.local.running import Order, carry_out
from tocsin.compiler import compile_topology
from tocsin.language import load

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import Popen

    import polars as pl

SLOWLY = (*RUN, "--sink", "clickhouse:house", "--batch-rows", 40, "--commit-seconds", 0)
LIVES = (1, 9, 20)
"""The number of commits after which a life is ended, plus a random moment."""


def commits(folder: Path) -> int:
    """Give the number of the last commit, 0 if there is none (any more)."""
    try:
        return int(json.loads((folder / ".tocsin/shop/commits/manifest.json").read_bytes().split(b"\n")[0])["number"])
    except FileNotFoundError:
        return 0


def live(folder: Path, until: int, extra: float) -> bool:
    """Run until that many commits and a moment more, then kill; say whether it was still running."""
    with start(folder, *SLOWLY) as process:
        while process.poll() is None and commits(folder) < until:
            time.sleep(0.002)
        time.sleep(extra)
        return kill(process)


def kill(process: Popen[str]) -> bool:
    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive


def written(folder: Path) -> pl.DataFrame:
    return decode((folder / "alerts.ndjson").read_bytes().splitlines())


def calm(folder: Path) -> pl.DataFrame:
    """Give the transitions of an undisturbed run, in one batch."""
    file, sources = folder / "shop.yaml", {"payments": f"ndjson:{folder / 'payments.ndjson'}"}
    carry_out(Order(compile_topology(load(file)), file, sources, [f"ndjson:{folder / 'calm.ndjson'}"]))
    return decode((folder / "calm.ndjson").read_bytes().splitlines())


def asked(folder: Path, sql: str) -> list[dict[str, object]]:
    """Ask the embedded ClickHouse."""
    done = tocsin(folder, "alerts", "--store", "house", "--json", "--sql", sql)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


LOG = (
    "select distinct alert_id, sequence, kind, toString(level) as level, toUnixTimestamp64Milli(time) as at, "
    "(select sum(transitions) from rule_minutes) as counted from transitions order by alert_id, sequence"
)
"""The log as ClickHouse has it, and beside each row how many transitions its views count."""


class TestKilledAndStartedAgain:
    """Three lives end by SIGKILL, the fourth goes to the end."""

    def test_every_transition_is_in_every_sink_once(self, tmp_path: Path) -> None:
        write_shop(tmp_path)
        moments = random.Random(1)  # noqa: S311  # no secrets
        killed = [live(tmp_path, target, moments.uniform(0, 0.03)) for target in LIVES]
        assert all(killed), "the lives were too short for this machine"
        last = tocsin(tmp_path, *SLOWLY, "--json")
        assert last.returncode == 0, last.stderr

        expected, got = canonical(calm(tmp_path)), written(tmp_path)
        assert expected.height > 50
        assert got.height == expected.height
        assert canonical(got).equals(expected)

        wanted = expected.sort("alert_id", "sequence").rename({"time": "at"}).with_columns(counted=expected.height)
        assert (
            asked(tmp_path, LOG) == wanted.select("alert_id", "sequence", "kind", "level", "at", "counted").to_dicts()
        )

        records = (tmp_path / "payments.ndjson").read_bytes().count(b"\n")
        assert json.loads(last.stdout)["records"] == {"payments": records}
        assert commits(tmp_path) == 0
