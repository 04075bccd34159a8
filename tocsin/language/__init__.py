"""The language of topology.yaml: reading it, its JSON Schema and its reference."""

from tocsin.language.loading import load, loads
from tocsin.language.schema import json_schema

__all__ = ["json_schema", "load", "loads"]
