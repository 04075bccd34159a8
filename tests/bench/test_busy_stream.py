"""Threads of a run do not wait for each other for ever: reading ahead, committing, delivering, stepping."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from bench.events import Load, write_ndjson
from bench.job import Job, Report
from bench.topologies import standard

ROOT = Path(__file__).parents[2]
STUCK_SECONDS = 120
_WATCHED = (
    "import faulthandler, runpy; "
    f"faulthandler.dump_traceback_later({STUCK_SECONDS}, exit=True); "
    "runpy.run_module('bench.job', run_name='__main__')"
)


class TestABusyStream:
    def test_a_run_that_commits_and_delivers_after_every_batch_comes_to_its_end(self, tmp_path: Path) -> None:
        """A buffer in memory, written by Polars from a side thread, once stopped such a run for good."""
        write_ndjson(Load(200_000), tmp_path / "events.ndjson")
        topology = tmp_path / "topology.yaml"
        topology.write_text(standard(most=900))
        source = {"payments": f"ndjson:{tmp_path / 'events.ndjson'}"}
        job = Job(str(topology), source, str(tmp_path), batch_rows=4_096, commit_seconds=0.0)
        done = subprocess.run(
            [sys.executable, "-c", _WATCHED],
            input=msgspec.json.encode(job),
            capture_output=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        report = msgspec.json.decode(done.stdout, type=Report)
        assert report.records == 200_000
        assert report.transitions > 0
