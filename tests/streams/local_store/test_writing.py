"""Frames of the state are written while the stream goes on with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


class TestAFrameThatIsBeingWritten:
    """A commit is beside the stream only if nobody waits for the frames that it writes."""

    def test_it_can_be_used_meanwhile(self) -> None:
        program = Path(__file__).with_name("write_beside_use.py")
        path = {"PYTHONPATH": str(Path(__file__).parents[3])}
        subprocess.run([sys.executable, program], env={**os.environ, **path}, check=True, timeout=60)
