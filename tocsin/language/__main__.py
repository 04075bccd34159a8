"""`python -m tocsin.language` prints the JSON Schema of topology.yaml."""

from __future__ import annotations

import json
import sys

from tocsin.language.schema import json_schema


def schema_text() -> str:
    """Give the schema as the file that editors read."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
