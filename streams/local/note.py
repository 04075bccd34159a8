"""The note that a run leaves in its state folder: what it read and how, so that it can be repeated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from streams.pseudonyms import DEVELOPMENT_KEY, KEY, KEY_FILE, Pseudonyms
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.local.runner import Settings

NAME = "run.json"


class Note(msgspec.Struct, frozen=True):
    """Absolute paths; times in ms. `reached`: the event time at which the run ended, None while it runs.

    `keep`: it leaves windows open at the end. `stopped`: it was told to stop before the end.

    `key`: the fingerprint of the key that made its pseudonyms, "" where it has none.
    """

    topology: str
    sources: dict[str, str]
    until: int | None
    start: int | None
    reached: int | None = None
    key: str = ""
    keep: bool = False
    stopped: bool = False

    @classmethod
    def of(cls, topology: Path, sources: Mapping[str, str], settings: Settings, key: str = "") -> Note:
        """Note a run that begins."""
        absolute = {name: _absolute(uri) for name, uri in sources.items()}
        return cls(str(topology.absolute()), absolute, settings.until, settings.emit_from, key=key, keep=settings.keep)

    def refuse_other_key(self, pseudonyms: Pseudonyms, state: Path) -> None:
        """Raise StateError if the pseudonyms of this run were made with another key."""
        refuse_other_key(self.key, pseudonyms, state)

    def ended(self, reached: int | None, *, stopped: bool) -> Note:
        """Give the note of the run when it has ended."""
        return msgspec.structs.replace(self, reached=reached, stopped=stopped)

    def write(self, state: Path) -> None:
        """Write it into a state folder, whole or not at all; StateError if that cannot be."""
        part = state / f"{NAME}.part"
        try:
            with part.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(state / NAME)
        except OSError as error:
            raise StateError(f"{state / NAME} cannot be written: {error.strerror}") from error


_NOTE = msgspec.json.Decoder(Note)


def refuse_other_key(key: str, pseudonyms: Pseudonyms, place: Path | str, other: str = "--state folder") -> None:
    """Raise StateError if pseudonyms were made with another key: the same person would be two.

    `key`: the fingerprint of the key that made those in `place`, "" where there are none. `other`: what to take else.
    """
    if key in {"", pseudonyms.fingerprint}:
        return
    made = "without a pseudonym key" if key == Pseudonyms(DEVELOPMENT_KEY).fingerprint else "with another key"
    now = f"{KEY} is not set" if pseudonyms.development else f"{KEY} or {KEY_FILE} is set to one"
    raise StateError(
        f"the pseudonyms in {place} were made {made}, and now {now}: "
        f"nobody would be recognised. Use the key of then, or another {other}"
    )


def read_note(state: Path) -> Note:
    """Read the note of the last run; StateError if there is none."""
    try:
        return _NOTE.decode((state / NAME).read_bytes())
    except OSError as error:
        raise StateError(f"{state} holds no note of a run ({NAME}): {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise StateError(f"{state / NAME} is damaged ({error}): remove it and run once more") from None


def _absolute(uri: str) -> str:
    scheme, _, path = uri.partition(":")
    if path.startswith("//"):
        return uri
    return f"{scheme}:{Path(path).expanduser().absolute()}"
