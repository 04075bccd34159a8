"""One `tocsin run` of a runtime of several processes: what a command line or a test has to say, and no more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.local.runner import never, silent
from streams.tasks.inputs import group_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tocsin.compiler import Plan


@dataclass(slots=True)
class Run:
    """What to run, whatever the runtime.

    `topology`: the file, beside which its tables lie. `folder`: the state folder. `sources`: a stream as
    `kafka://HOST/TOPIC` instead of its topic, a table as any URI instead of its own. `sinks`: URIs instead of those of
    the topology. `group`: what everything that the run has in Kafka begins with. `shards`: into how many parts keys are
    spread; None leaves it to the runtime. `until`: ms since the epoch, None for never. `early`: whether there are early
    copies. `stop`: whether somebody said so. `warn`: takes sentences.
    """

    plan: Plan
    topology: Path
    folder: Path
    sources: Mapping[str, str] = field(default_factory=dict)
    sinks: Sequence[str] = ()
    group: str = ""
    shards: int | None = None
    until: int | None = None
    early: bool = False
    stop: Callable[[], bool] = never
    warn: Callable[[str], None] = silent

    def __post_init__(self) -> None:
        """Name the group after the topology, where nobody did."""
        self.group = self.group or group_of(self.plan)
