"""A simulation as files: one per stream and table, and `labels.ndjson`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

import polars as pl

from streams.simulator.scenarios import generate
from streams.simulator.simulation import LABELS
from tocsin.errors import SinkError

if TYPE_CHECKING:
    from pathlib import Path

    from streams.simulator.simulation import Simulation

Format = Literal["ndjson", "parquet"]

STREAM_FOLDER, TABLE_FOLDER, LABEL_FILE = "streams", "tables", "labels.ndjson"
SUFFIXES = frozenset({".ndjson", ".parquet"})
ROW_GROUP = 65_536


def write(simulation: Simulation, folder: Path, format: Format = "ndjson") -> None:  # noqa: A002  # the option's name
    """Write `streams/NAME.ndjson` (or `.parquet`) in arrival order, `tables/NAME.ndjson` and `labels.ndjson`.

    The folder is made if it is missing. What an earlier simulation of the same streams wrote is replaced, whatever its
    format; SinkError where other streams or tables lie in the folder, which would be read
    along, and where a folder is in the place of a file.
    """
    _make_room(simulation, folder)
    (folder / STREAM_FOLDER).mkdir(parents=True, exist_ok=True)
    (folder / TABLE_FOLDER).mkdir(parents=True, exist_ok=True)
    simulation.labels.write_ndjson(folder / LABEL_FILE)  # first: by them the next simulation knows the folder for ours
    for name, rows in simulation.streams.items():
        path = folder / STREAM_FOLDER / f"{name}.{format}"
        if format == "ndjson":
            rows.write_ndjson(path)
        else:
            rows.write_parquet(path, compression="zstd", compression_level=3, row_group_size=ROW_GROUP)
    for name, rows in simulation.tables.items():
        rows.write_ndjson(folder / TABLE_FOLDER / f"{name}.ndjson")


def _make_room(simulation: Simulation, folder: Path) -> None:
    """Remove the files of an earlier simulation of the same streams; SinkError, and nothing removed, for any others."""
    named = {STREAM_FOLDER: simulation.streams, TABLE_FOLDER: simulation.tables}
    found = {path: name for name in named for path in (folder / name).glob("*") if path.suffix in SUFFIXES}
    ours = (folder / LABEL_FILE).exists()
    folders = sorted(path for path in found if path.is_dir())
    if folders:
        what = "which is a folder: remove it, or take an empty folder"
        raise SinkError(f"{folder} holds {folders[0].relative_to(folder)}, {what}")
    strange = sorted(path for path, name in found.items() if not ours or path.stem not in named[name])
    if strange:
        what = "of another simulation" if ours else "that no simulation wrote"
        raise SinkError(f"{folder} holds {strange[0].relative_to(folder)} {what}: take an empty folder")
    for path in found:
        path.unlink()


def simulate(scenario: str, seed: int, out: Path, *, scale: float = 1.0, format: Format = "ndjson") -> Simulation:  # noqa: A002  # as above
    """Generate a scenario and write it into the folder `out`."""
    simulation = generate(scenario, seed, scale=scale)
    write(simulation, out, format)
    return simulation


def source_arguments(folder: Path) -> list[str]:
    """Give the `--source name=uri` arguments that read a written simulation, tables first."""
    tables = sorted((folder / TABLE_FOLDER).glob("*.ndjson"))
    streams = sorted(path for path in (folder / STREAM_FOLDER).iterdir() if path.suffix in SUFFIXES)
    named = [f"{path.stem}={path.suffix[1:]}:{path}" for path in (*tables, *streams)]
    return [argument for source in named for argument in ("--source", source)]


def read_labels(folder: Path) -> pl.DataFrame:
    """Give the labels of a written simulation (columns of `simulation.LABELS`)."""
    data = (folder / LABEL_FILE).read_bytes()
    return pl.read_ndjson(io.BytesIO(data), schema=LABELS) if data else pl.DataFrame(schema=LABELS)
