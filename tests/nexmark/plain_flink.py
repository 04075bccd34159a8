"""Run `plain_flink.sql` as one streaming job on a mini-cluster: `python tests/nexmark/plain_flink.py FOLDER`.

It reads `persons.ndjson`, `auctions.ndjson` and `bids.ndjson` there, and leaves the rows of each query in a folder of
its name. A process of its own, so that the JVM ends with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment

SCRIPT = Path(__file__).with_suffix(".sql")
SETTINGS = {"parallelism.default": "1", "table.local-time-zone": "UTC"}


def run(folder: Path) -> None:
    """Run all queries over the files of a folder, until their end."""
    configuration = Configuration()
    for name, value in SETTINGS.items():
        configuration.set_string(name, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    tables = TableEnvironment.create(settings)
    queries = tables.create_statement_set()
    for statement in _statements(folder):
        if statement.startswith("INSERT"):
            queries.add_insert_sql(statement)
        else:
            tables.execute_sql(statement)
    queries.execute().wait()


def _statements(folder: Path) -> list[str]:
    lines = SCRIPT.read_text(encoding="utf-8").splitlines()
    script = "\n".join(line for line in lines if not line.startswith("--"))
    return [text.strip() for text in script.replace("FOLDER", folder.as_uri()).split(";") if text.strip()]


if __name__ == "__main__":
    run(Path(sys.argv[1]))
