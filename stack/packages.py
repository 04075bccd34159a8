"""Programs that come as Debian packages: installed when they are missing and we may."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stack.server import StackError, find_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGES = {
    "java": "default-jre-headless",
    "javac": "default-jdk-headless",
    "mvn": "maven",
    "redis-server": "redis-server",
    "clickhouse-server": "clickhouse-server",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "docker-compose": "docker-compose",
}
"""Program to package."""
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing(programs: Iterable[str]) -> list[str]:
    """Give the programs that are not on the machine."""
    return [program for program in programs if find_program(program) is None]


def install(programs: Iterable[str]) -> None:
    """Install what is missing; StackError says what to do where we may not, or where apt fails."""
    wanted = missing(programs)
    if not wanted:
        return
    packages = sorted({PACKAGES[program] for program in wanted})
    by_hand = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if find_program("apt-get") is None:
        raise StackError(
            f"{', '.join(wanted)} missing, and there is no apt here: install them and put them on the PATH"
        )
    if os.geteuid() != 0:
        raise StackError(f"{', '.join(wanted)} missing, and only root may install packages: sudo {by_hand}")
    with _no_services():
        _apt(["update"], by_hand)
        _apt(["install", "--yes", "--no-install-recommends", *packages], by_hand)
    still = missing(wanted)
    if still:
        raise StackError(f"{', '.join(still)} missing although apt installed {', '.join(packages)}")


def _apt(words: list[str], by_hand: str) -> None:
    """Run apt-get, waiting for whoever installs at the same time."""
    ran = subprocess.run(
        ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", *words],  # noqa: S607  # wherever the system has it
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    if ran.returncode:
        raise StackError(f"apt-get {words[0]} failed; try by hand: {by_hand}\n{(ran.stdout + ran.stderr)[-2000:]}")


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting services of their own, which would take our ports; see invoke-rc.d(8)."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
