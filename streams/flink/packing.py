"""From the rows of Flink's Kafka source to one pack per partition and batch.

Flink hands a batch of rows to Python as columns. Decoding waits for the source task, which has the state that it needs:
here only the rows of each partition are put together, so that nothing is done per record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
from pyflink.table.udf import ScalarFunction

from streams.flink.packs import Pack

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("key", "value", "partition", "offset", "stamp", "stamp_type")
NO_STAMP = "NoTimestampType"


class Packing(ScalarFunction):  # type: ignore[misc]  # PyFlink has no types
    """Gives as many rows as it takes: the first ones hold a Flink key and a pack, the others nothing.

    `keys`: the Flink key of each partition's task.
    """

    def __init__(self, keys: Mapping[int, int]) -> None:
        self._keys = dict(keys)
        self._encoder: Any = None

    def open(self, function_context: Any) -> None:  # noqa: ANN401  # PyFlink's
        """Get ready where the function runs."""
        del function_context
        self._encoder = msgspec.msgpack.Encoder()

    def eval(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Pack a batch; columns as COLUMNS."""
        rows.columns = pd.Index(COLUMNS)
        tasks = np.zeros(len(rows), dtype=np.int32)
        packs = np.full(len(rows), None, dtype=object)
        partitions = rows["partition"].to_numpy()
        for at, partition in enumerate(np.unique(partitions)):
            mine = rows[partitions == partition]
            tasks[at] = self._key(int(partition))
            packs[at] = self._encoder.encode(_pack(mine))
        return pd.DataFrame({"task": tasks, "pack": packs})

    def _key(self, partition: int) -> int:
        if partition not in self._keys:
            raise ValueError(
                f"partition {partition} is new since the job was submitted with {len(self._keys)}: begin anew with "
                "another --state"
            )
        return self._keys[partition]


def _pack(rows: pd.DataFrame) -> Pack:
    stamps: list[int | None] = rows["stamp"].dt.as_unit("ms").astype("int64").tolist()
    none = (rows["stamp_type"] == NO_STAMP).to_numpy()
    if none.any():
        stamps = [None if missing else at for at, missing in zip(stamps, none, strict=True)]
    return Pack(rows["offset"].tolist(), stamps, rows["key"].tolist(), rows["value"].tolist())
