"""The ingest stage of one source partition: decode, lateness, derive, checks, pseudonyms."""
