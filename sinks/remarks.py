"""What a sink has to say without failing: how the target that it found differs from the one it is meant for."""

from __future__ import annotations

import sys


def remark(text: str) -> None:
    """Say it on stderr, as the command line says what does not stop it."""
    sys.stderr.write(f"tocsin: {text}\n")
