"""Pseudonyms: stable per key and domain, and nothing else known of a person."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING

import polars as pl
import pytest

from streams import pseudonyms
from streams.pseudonyms import Pseudonyms, load_pseudonyms
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"a key for these tests"


def one(text: object, domain: str = "card", key: bytes = KEY) -> str | None:
    (pseudonym,) = Pseudonyms(key).of(pl.Series([text]), domain)
    return None if pseudonym is None else str(pseudonym)


class TestAPseudonym:
    def test_it_is_keyed_blake2b_in_base32(self) -> None:
        domain_key = blake2b(b"card", digest_size=32, key=blake2b(KEY).digest(), person=b"tocsin domain").digest()
        digest = blake2b("é-4711".encode(), digest_size=15, key=domain_key).digest()
        assert one("é-4711") == "card:" + base64.b32encode(digest).decode().lower()

    def test_it_differs_by_identifier_domain_and_key(self) -> None:
        made = {one("1"), one("2"), one("1", "phone"), one("1", key=b"another key, as long"), one("")}
        assert len(made) == 5

    def test_null_stays_null(self) -> None:
        assert Pseudonyms(KEY).of(pl.Series([None, None], dtype=pl.String), "card").to_list() == [None, None]

    def test_a_number_counts_by_its_text(self) -> None:
        assert one(4711) == one("4711")

    def test_the_key_is_not_shown(self) -> None:
        assert "key for" not in repr(Pseudonyms(KEY))


class TestAColumn:
    @pytest.mark.parametrize("distinct", [1, 3, 50, 100])
    def test_every_value_is_what_it_is_alone_whatever_was_seen_before(self, distinct: int) -> None:
        many = Pseudonyms(KEY)
        for begin in (0, 10, 5):
            texts = [None if n % 11 == 0 else f"c{begin + n % distinct}" for n in range(100)]
            column = pl.Series("card", texts, dtype=pl.String)
            found = many.of(column, "card")
            assert found.name == "card"
            assert found.to_list() == [one(text) for text in texts]

    def test_the_cache_is_bounded_and_forgetting_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pseudonyms, "CACHE_MOST", 10)
        many = Pseudonyms(KEY)
        for begin in range(0, 100, 5):
            texts = [f"c{n}" for n in range(begin, begin + 9)]
            assert many.of(pl.Series(texts), "card").to_list() == [one(text) for text in texts]
            assert len(many._domains["card"].places) <= 20

    def test_an_empty_column_stays_empty(self) -> None:
        assert Pseudonyms(KEY).of(pl.Series([], dtype=pl.String), "card").to_list() == []

    def test_threads_that_ask_side_by_side_get_what_one_alone_would(self) -> None:
        """Streams and tables are read at once: a person must not get another one's name."""
        columns = [pl.Series([f"+49{(number * step) % 4001:06}" for number in range(3000)]) for step in range(1, 9)]
        shared = Pseudonyms(KEY)
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda column: shared.of(column, "phone"), columns))
        for column, made in zip(columns, found, strict=True):
            assert made.equals(Pseudonyms(KEY).of(column, "phone"))


class TestTheKey:
    def test_it_comes_from_the_environment_or_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_bytes(KEY + b"\n")
        assert load_pseudonyms({"TOCSIN_PSEUDONYM_KEY": KEY.decode()}).key == KEY
        assert load_pseudonyms({"TOCSIN_PSEUDONYM_KEY_FILE": str(tmp_path / "key")}).key == KEY

    def test_without_one_a_development_key_says_so(self) -> None:
        assert load_pseudonyms({}).development
        assert not load_pseudonyms({"TOCSIN_PSEUDONYM_KEY": KEY.decode()}).development

    def test_a_short_key_and_a_missing_file_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="16 bytes or more"):
            load_pseudonyms({"TOCSIN_PSEUDONYM_KEY": "short"})
        with pytest.raises(SourceError, match="cannot be read: No such file"):
            load_pseudonyms({"TOCSIN_PSEUDONYM_KEY_FILE": str(tmp_path / "none")})
