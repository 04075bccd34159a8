"""Where events come from and what carries them: codecs, sources, ingest, dead letters, the runtimes."""
