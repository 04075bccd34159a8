"""The language of topology.yaml: reading it, its JSON Schema and its reference."""

from tocsin.language.loading import load, loads

__all__ = ["load", "loads"]
