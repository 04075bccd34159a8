"""Folders of the stack."""

from __future__ import annotations

from pathlib import Path

from tocsin.jars import OURS

ROOT = Path(__file__).resolve().parents[1]
DATA = OURS / "data"
"""Of `make stack`: one folder per server."""
