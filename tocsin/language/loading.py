"""From a file to the typed topology."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.language.files import Files, read_file
from tocsin.language.model import TOPOLOGY, Topology
from tocsin.language.report import Refused, Report
from tocsin.language.shapes import Reading

if TYPE_CHECKING:
    from tocsin.language.files import Reader


def load(path: Path) -> Topology:
    """Read a topology and the files it uses.

    Raises:
        TopologyError: with every problem found in words and shapes; expressions are for the compiler.

    """
    return _read(path, None, read_file)


def loads(text: str, name: str = "topology.yaml", reader: Reader = read_file) -> Topology:
    """Read a topology from a text; `reader` gives the text of used files, which lie relative to `name`.

    Raises:
        TopologyError: as `load`.

    """
    return _read(Path(name), text, reader)


def _read(path: Path, text: str | None, reader: Reader) -> Topology:
    reading = Reading(Report())
    files = Files(reading.report, reader)
    tree = files.tree(path, text)
    topology: Topology | None = None
    if tree is not None:
        try:
            topology = TOPOLOGY.read(tree, reading)
        except Refused:
            topology = None
    reading.report.finish()
    if topology is None:
        raise AssertionError("a topology was refused without a problem")
    return replace(topology, files=tuple(files.names))
