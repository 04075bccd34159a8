"""Pseudonyms of persons' identifiers: keyed BLAKE2b, one stable key per identifier domain (semantics 22).

The key comes from TOCSIN_PSEUDONYM_KEY, or from the file that TOCSIN_PSEUDONYM_KEY_FILE names. A domain's key is derived
from it, so that the same digits as a phone and as a card have nothing in common, while a phone is one pseudonym in all
streams. A pseudonym is `domain:` and 120 bits in base32: among 10^9 persons two share one with a chance below 10^-18.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
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
class Pseudonyms:
    """Makes pseudonyms, column by column; `development` says that no key was set and anybody can undo them."""

    key: bytes = field(repr=False)
    development: bool = False
    _cache: dict[str, dict[str, str]] = field(default_factory=dict, init=False, repr=False)

    def of(self, identifiers: pl.Series, domain: str) -> pl.Series:
        """Give the pseudonym of each identifier (String), null for null; numbers count by their decimal text."""
        texts = identifiers if identifiers.dtype == pl.String else identifiers.cast(pl.String)
        distinct = texts.unique().drop_nulls()
        if len(distinct) * 2 > len(texts):
            return self._each(texts, domain)
        known = self._each(distinct, domain)
        pairs = pl.DataFrame({"raw": distinct, "pseudonym": known})
        found = texts.to_frame("raw").join(pairs, on="raw", how="left", maintain_order="left")
        return found["pseudonym"].alias(identifiers.name)

    def _each(self, texts: pl.Series, domain: str) -> pl.Series:
        """Look up every text, after making the pseudonyms of new ones."""
        cache = self._cache.setdefault(domain, {})
        if len(cache) > CACHE_MOST:
            cache.clear()
        values = texts.to_list()
        new = list({text for text in values if text is not None and text not in cache})
        cache.update(zip(new, self._made(new, domain), strict=True))
        return pl.Series(texts.name, [None if text is None else cache[text] for text in values], dtype=pl.String)

    def _made(self, texts: Sequence[str], domain: str) -> list[str]:
        key = self._domain_key(domain)
        digests = b"".join([blake2b(text.encode(), digest_size=DIGEST, key=key).digest() for text in texts])
        bits = np.unpackbits(np.frombuffer(digests, dtype=np.uint8)).reshape(-1, 5)
        letters = _LETTERS[bits @ np.array([16, 8, 4, 2, 1], dtype=np.uint8)].tobytes().decode()
        width = DIGEST * 8 // 5
        prefix = f"{domain}:"
        return [prefix + letters[at : at + width] for at in range(0, len(letters), width)]

    def _domain_key(self, domain: str) -> bytes:
        return blake2b(
            domain.encode(), digest_size=32, key=blake2b(self.key).digest(), person=b"tocsin domain"
        ).digest()


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
