"""Which files a path means: one file, a glob, or all files of a folder; in name order they are one partition."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from tocsin.errors import SourceError, nearest


def list_files(path: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Give the files that `path` means, by name; SourceError if there is none or one cannot be read.

    Of a folder, files that end in one of `suffixes` count.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        found = sorted(file for file in place.iterdir() if file.suffix in suffixes and not file.name.startswith("."))
        wanted = f"file that ends in {' or '.join(suffixes)} in {place}"
    elif place.exists():
        found, wanted = [place], ""
    else:
        found = sorted(Path(name) for name in glob.glob(str(place), recursive=True) if not Path(name).is_dir())  # noqa: PTH207  # an absolute or relative pattern, which Path.glob does not take
        wanted = f"file {place}"
    if not found:
        raise SourceError(f"there is no {wanted}{_nearest(place)}")
    for file in found:
        if not os.access(file, os.R_OK):
            raise SourceError(f"{file} cannot be read: permission denied for this user")
    return found


def _nearest(place: Path) -> str:
    """Name the existing file that was probably meant, or the first folder that is missing."""
    folder = place if place.is_dir() else place.parent
    if not folder.is_dir():
        while not folder.parent.is_dir():
            folder = folder.parent
        return f": there is no folder {folder}"
    near = nearest(place.name, [file.name for file in folder.iterdir()], 0.3)
    return f"; did you mean {folder / near}?" if near else ""
