"""Pseudonyms of persons' identifiers: keyed BLAKE2b, one stable key per identifier domain (semantics 22).

The key comes from TOCSIN_PSEUDONYM_KEY, or from the file that TOCSIN_PSEUDONYM_KEY_FILE names. A domain's key is
derived from it, so that the same digits as a phone and as a card have nothing in common, while a phone is one pseudonym
in all streams. A pseudonym is `domain:` and 120 bits in base32: that two of 10^9 persons share one has a chance below
10^-18.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEY = "TOCSIN_PSEUDONYM_KEY"
KEY_FILE = "TOCSIN_PSEUDONYM_KEY_FILE"
KEY_LEAST = 16
"""Bytes of a key: 128 bits are out of reach of guessing."""
DEVELOPMENT_KEY = b"tocsin development key, no secret"
DIGEST = 15
"""Bytes of a digest: 24 letters of base32 without padding."""
CACHE_MOST = 1 << 20
"""Identifiers of a domain kept at once; then the cache begins anew."""

_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype=np.uint8)


@dataclass(slots=True)
class _Domain:
    """The pseudonyms made so far in one domain: where each identifier's stands in `made`."""

    key: bytes
    places: dict[str | None, int] = field(default_factory=lambda: {None: 0})
    made: pl.Series = field(default_factory=lambda: pl.Series([None], dtype=pl.String))


@dataclass(slots=True)
class Pseudonyms:
    """Makes pseudonyms, column by column; `development` says that no key was set and anybody can undo them.

    Several threads may ask: files, topics and tables are read side by side.
    """

    key: bytes = field(repr=False)
    development: bool = False
    _domains: dict[str, _Domain] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """Give what tells this key from others and nothing about it: the keyed hash of nothing."""
        return blake2b(digest_size=8, key=blake2b(self.key).digest(), person=b"tocsin key").hexdigest()

    def of(self, identifiers: pl.Series, domain: str) -> pl.Series:
        """Give the pseudonym of each identifier (String), null for null; numbers count by their decimal text."""
        texts = identifiers.cast(pl.String)
        distinct = texts.unique()
        few = len(distinct) * 2 <= len(texts)
        with self._lock:
            made = self._each(distinct if few else texts, domain)
        if not few:
            return made.alias(identifiers.name)
        pairs = pl.DataFrame({"raw": distinct, "pseudonym": made})
        found = texts.to_frame("raw").join(pairs, on="raw", how="left", maintain_order="left")
        return found["pseudonym"].alias(identifiers.name)

    def _each(self, identifiers: pl.Series, domain: str) -> pl.Series:
        """Look up every text, after making the pseudonyms of new ones."""
        kept = self._domains.get(domain)
        if kept is None or len(kept.places) > CACHE_MOST:
            kept = self._domains[domain] = _Domain(self._domain_key(domain))
        texts = identifiers.to_list()
        new = [text for text in dict.fromkeys(texts) if text not in kept.places]
        if new:
            begin = len(kept.made)
            kept.places.update(zip(new, range(begin, begin + len(new)), strict=True))
            kept.made = pl.concat([kept.made, _made(new, domain, kept.key)], rechunk=True)
        if len(new) == len(texts):
            return kept.made[len(kept.made) - len(new) :]
        return kept.made.gather(np.fromiter(map(kept.places.__getitem__, texts), dtype=np.int64, count=len(texts)))

    def _domain_key(self, domain: str) -> bytes:
        return blake2b(
            domain.encode(), digest_size=32, key=blake2b(self.key).digest(), person=b"tocsin domain"
        ).digest()


def _made(texts: Sequence[str | None], domain: str, key: bytes) -> pl.Series:
    """Hash each text and spell the digests, 5 bits a letter."""
    digests = b"".join(
        [blake2b(text.encode(), digest_size=DIGEST, key=key).digest() for text in texts if text is not None]
    )
    octets = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 5).astype(np.uint64)
    words = octets @ (np.uint64(1) << np.arange(32, -1, -8, dtype=np.uint64))
    shifts = np.arange(35, -1, -5, dtype=np.uint64)
    letters = _LETTERS[(words[:, None] >> shifts) & np.uint64(31)].reshape(len(texts), -1)
    lines = np.concatenate([letters, np.full((len(texts), 1), ord("\n"), dtype=np.uint8)], axis=1)
    spelled = pl.Series([lines.tobytes()[:-1].decode()]).str.split("\n").explode()
    return pl.select(pl.lit(f"{domain}:") + spelled).to_series()


def load_pseudonyms(environment: Mapping[str, str] = os.environ) -> Pseudonyms:
    """Take the key from the environment; without one a development key, which the caller must warn of."""
    if KEY in environment:
        return Pseudonyms(_checked(environment[KEY].encode(), KEY))
    if KEY_FILE in environment:
        try:
            key = Path(environment[KEY_FILE]).read_bytes().strip()
        except OSError as error:
            raise SourceError(f"{KEY_FILE}: {environment[KEY_FILE]} cannot be read: {error.strerror}") from None
        return Pseudonyms(_checked(key, KEY_FILE))
    return Pseudonyms(DEVELOPMENT_KEY, development=True)


def _checked(key: bytes, name: str) -> bytes:
    if len(key) < KEY_LEAST:
        raise SourceError(f"{name}: a key has {KEY_LEAST} bytes or more, this one has {len(key)}")
    return key
