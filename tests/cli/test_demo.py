"""`tocsin demo`: what a newcomer sees first."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from shop import tocsin

ROOT = Path(__file__).parents[2]


class TestDemo:
    """A tenth of the city."""

    def test_it_scores_every_rule_and_the_commands_that_it_prints_work(self, tmp_path: Path) -> None:
        done = tocsin(tmp_path, "demo", ROOT / "topology.yaml", "--scale", 0.1, "--out", "a demo")
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"simulated [\d,]+ events", done.stderr)
        assert re.search(r"city: [\d,]+ records in [\d.]+ s \([\d,]+ a second\)", done.stderr)
        for rule in ("card-velocity", "city-units", "fraud-caller", "scenic-flow", "venue-energy", "wangiri"):
            assert re.search(rf"{rule} .*1\.00", done.stdout)
        commands = done.stdout.partition("ask for more:")[2].strip().splitlines()
        assert len(commands) == 4
        for line in commands:
            what, _, command = line.partition(":")
            asked = subprocess.run(
                ["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
            )
            assert asked.returncode == (1 if what.strip() == "what was put aside" else 0), asked.stderr
            assert asked.stdout
