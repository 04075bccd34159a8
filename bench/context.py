"""What every measurement gets: a folder for its files, how large to be, what was made already."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.events import Load, write_ndjson, write_parquet
from bench.job import Job, Report, measure

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]


@dataclass(slots=True)
class Bench:
    """`scale`: 1 for the real sizes, less to try the code."""

    folder: Path
    scale: float = 1.0
    _made: dict[tuple[Load, str], Path] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Where the real data lie."""
        return Path(os.environ.get("TOCSIN_DATA", ROOT.parent / "shared" / "data"))

    def sized(self, events: int) -> int:
        """Scale a number of events."""
        return max(int(events * self.scale), 1)

    def events(self, load: Load, kind: str) -> Path:
        """Give a file of events, made once; `kind`: parquet or ndjson."""
        write: Callable[[Load, Path], None] = write_parquet if kind == "parquet" else write_ndjson
        if (load, kind) not in self._made:
            path = self.folder / f"events{len(self._made)}.{kind}"
            write(load, path)
            self._made[load, kind] = path
        return self._made[load, kind]

    def forget(self) -> None:
        """Remove the files of events that were made, where they are large."""
        for path in self._made.values():
            path.unlink()
        self._made.clear()

    def topology(self, text: str) -> Path:
        """Write a topology."""
        path = self.folder / "topology.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def job(self, topology: Path, **sources: str) -> Job:
        """Make a job with a folder of its own, empty."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return Job(str(topology), sources, str(folder))

    def run(self, topology: str, load: Load, kind: str = "parquet") -> Report:
        """Run a topology over events."""
        return measure(self.job(self.topology(topology), payments=f"{kind}:{self.events(load, kind)}"))
