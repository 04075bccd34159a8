"""What Flink's own package says of its settings."""

from __future__ import annotations

import re
import zipfile
from functools import cache
from typing import TYPE_CHECKING

import pytest
import yaml

from stack import FlinkCluster
from stack.flink import home

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ELSEWHERE = re.compile(r"kubernetes\.operator\.|metrics\.reporter\.prometheus\.|s3\.")
"""Settings of the operator, of the object store, and those whose name holds a name of ours: not in the package."""


def package() -> Path:
    """Give the folder of the package; skips where this Python has none."""
    if FlinkCluster.lacking():
        pytest.skip(FlinkCluster.lacking())
    return home()


def unknown(names: Iterable[str]) -> list[str]:
    """Give the settings that no class of options in the package names."""
    return [name for name in names if not ELSEWHERE.match(name) and name.encode() not in _options()]


def java_options() -> str:
    """Give what Flink's configuration lets Java open."""
    settings = yaml.safe_load((package() / "conf/config.yaml").read_text(encoding="utf-8"))
    told: str = settings["env"]["java"]["opts"]["all"]
    return told


@cache
def _options() -> bytes:
    jars = [*package().glob("lib/flink-dist-*.jar"), *package().glob("opt/flink-python-*.jar")]
    return b"".join(map(_classes, jars))


def _classes(jar: Path) -> bytes:
    with zipfile.ZipFile(jar) as opened:
        return b"\0".join(opened.read(name) for name in opened.namelist() if re.search(r"Options\w*\.class$", name))
