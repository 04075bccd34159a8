"""From the rows of Flink's Kafka source to one pack per partition and batch.

Flink hands a batch of rows to Python as columns. Decoding waits for the source task, which has the state that it needs:
here only the rows of each partition are put together. Early copies of them are made beside that, where there are such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyflink.table.udf import ScalarFunction

from streams.flink.early import FetchedPack, path_here
from streams.flink.packs import pack

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("key", "value", "partition", "offset", "stamp")


class Packing(ScalarFunction):  # type: ignore[misc]  # PyFlink has no types
    """Gives as many rows as it takes: the first ones hold a Flink key and a pack, the others nothing.

    `run`: of the job. `keys`: the Flink key of each partition's task.
    """

    def __init__(self, run: str, stream: str, keys: Mapping[int, int]) -> None:
        self._run, self._stream = run, stream
        self._keys = dict(keys)

    def eval(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Pack a batch; columns as COLUMNS."""
        rows.columns = pd.Index(COLUMNS)
        tasks = np.zeros(len(rows), dtype=np.int32)
        packs = np.full(len(rows), None, dtype=object)
        partitions = rows["partition"].to_numpy()
        columns = [rows[name].to_numpy() for name in ("value", "offset", "key")]
        stamps = rows["stamp"].dt.tz_convert(None).to_numpy(dtype="datetime64[ms]").view(np.int64)
        early = path_here(self._run)
        for at, partition in enumerate(np.unique(partitions)):
            mine = np.flatnonzero(partitions == partition)
            values, offsets, keys = (column[mine] for column in columns)
            tasks[at] = self._key(int(partition))
            packs[at] = pack(values.tolist(), offsets, stamps[mine], keys.tolist(), looked=early is not None)
            if early is not None:
                early.arrived(
                    FetchedPack((self._stream, int(partition)), packs[at], int(offsets[-1]) + 1, len(offsets))
                )
        return pd.DataFrame({"task": tasks, "pack": packs})

    def _key(self, partition: int) -> int:
        if partition not in self._keys:
            raise ValueError(
                f"partition {partition} is new since the job was submitted with {len(self._keys)}: begin anew with "
                "another --state"
            )
        return self._keys[partition]
