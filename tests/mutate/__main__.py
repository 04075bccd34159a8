"""`python -m tests.mutate [--only RULE]`: apply each mutation to a copy of the tree and run its tests there.

Exit 0: every mutation was noticed. Exit 1: one survived, or its text is not in the code any more, or the tests fail
without it. About ten minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .mutation import ROOT, Mutation
from .mutations import MUTATIONS
from .without_shrinking import PROFILE

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".stack", "build", "__pycache__", ".*_cache", ".hypothesis", "node_modules"
)
SECONDS_MOST = 300
SEED = "1"
"""Drawn cases are the same in every run, so that what was noticed once is noticed again."""
FAILED = 1
PLUGINS = (
    "-p", "no:cacheprovider", "-p", "tests.mutate.without_shrinking", f"--hypothesis-profile={PROFILE}",
)  # fmt: skip


def run_tests(root: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests in a copy of the tree; give pytest's exit code and its last lines."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", *PLUGINS, f"--hypothesis-seed={SEED}", *tests]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS_MOST
        )
    except subprocess.TimeoutExpired:
        return FAILED, f"no end after {SECONDS_MOST} s"
    return done.returncode, "\n".join(done.stdout.splitlines()[-3:])


def try_out(mutation: Mutation, copy: Path) -> str:
    """Break the copy, run the tests, mend it; give what happened in one word."""
    path = copy / mutation.file
    if mutation.occurrences(copy) != 1:
        return "NOT FOUND"
    sound = path.read_text()
    mutation.apply(copy)
    try:
        code, said = run_tests(copy, mutation.tests)
    finally:
        path.write_text(sound)
    if code == FAILED:
        return "killed"
    return "SURVIVED" if code == 0 else f"ERROR {code}: {said}"


def main() -> int:
    """Try all mutations out."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument("--only", metavar="RULE", help="the rule whose mutations are tried, such as 15")
    only = parser.parse_args().only
    chosen = [mutation for mutation in MUTATIONS if only in {None, mutation.rule}]
    if not chosen:
        parser.error(f"no mutation breaks rule {only}; there are {', '.join(dict.fromkeys(m.rule for m in MUTATIONS))}")
    bad = 0
    with tempfile.TemporaryDirectory(prefix="tocsin-mutate-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        for mutation in chosen:
            began = time.monotonic()
            outcome = try_out(mutation, copy)
            bad += outcome != "killed"
            sys.stdout.write(f"{mutation.rule:>2}  {outcome:<9} {time.monotonic() - began:4.0f} s  {mutation.breaks}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - bad} of {len(chosen)} mutations were noticed\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
