"""What the alert machine has to know of one rule: plain data that the compiler fills in and a host may pickle."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from operators.alerting.template import SIGNS
from tocsin.model.rows import WINDOW_END, WINDOW_START
from tocsin.model.types import BOOLEAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.alerting.template import Template
    from operators.expressions.scope import Constant
    from tocsin.model.alerts import Level
    from tocsin.model.types import Type

MINUTE = 60_000
HOUR = 60 * MINUTE

UPDATE_EVERY = 15 * MINUTE
"""An open alert says at most four times an hour that its numbers changed: enough for a desk that looks now and then."""

EXPIRES = 24 * HOUR
"""The least default of `expires` (semantics 17)."""

_BITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpec:
    """When one level rises and falls; `when` and `reset` name Boolean columns.

    `reset`: None: it holds when `when` is false. `bound`: of the measure, for the explanation: a constant, or the
    column that holds it. `says`: a sentence of this level's own, by language, instead of the rule's.
    """

    level: Level
    when: str
    reset: str | None = None
    bound: Constant | str | None = None
    says: Mapping[str, Template] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """One rule as the machine runs it.

    `version`: the hash of all that the result depends on. `entity`: the columns of the fingerprint and their types.
    `levels`: ascending. `columns`: what the explanation shows: the columns that the rule reads, looked-up values, the
    window; the measure and bounds that are columns must be among them. Names that begin with `__` are not shown under
    their own name (a measure or bound is shown as such anyway). `measure`: its column. `signs`: sign name to Boolean
    column.
    `unless`: Boolean column; a row for which it is true raises nothing and lets every level fall, so an entity that
    becomes trusted while its alert is open is cleared by its next row. `empty`: Boolean column that is true on empty
    rows, only to name the reason of a clearing.

    Milliseconds: `for_ms`: 0 raises at once. `keep_ms`: None is forever; for an immediate rule the cooldown cell.
    `expires_ms`: an entity without a row for so long is forgotten. `update_every_ms`: the least time between two
    transitions of an episode of which the later one is `updated`.

    `says` and the levels' `says`: by language, "" for a single one. `zone`: in which times are shown to people.
    """

    topology: str
    rule: str
    version: str
    entity: Mapping[str, Type]
    levels: tuple[LevelSpec, ...]
    columns: Mapping[str, Type] = field(default_factory=dict)
    measure: str | None = None
    signs: Mapping[str, str] = field(default_factory=dict)
    unless: str | None = None
    empty: str | None = None
    for_ms: int = 0
    keep_ms: int | None = None
    expires_ms: int = EXPIRES
    update_every_ms: int = UPDATE_EVERY
    immediate: bool = False
    says: Mapping[str, Template] = field(default_factory=dict)
    labels: Mapping[str, Template] = field(default_factory=dict)
    parameters: Mapping[str, Constant] = field(default_factory=dict)
    runbook: str = ""
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what `check` should have found.

        Raises:
            ValueError: the levels or times make no machine.

        """
        if not 1 <= len(self.levels) <= _BITS or any(a.level >= b.level for a, b in pairwise(self.levels)):
            raise ValueError(
                f"rule {self.rule}: one to four levels, ascending, not {[str(x.level) for x in self.levels]}"
            )
        if self.expires_ms <= 0 or self.for_ms < 0 or (self.keep_ms is not None and self.keep_ms <= 0):
            raise ValueError(f"rule {self.rule}: keep and expires must be longer than nothing, for not negative")
        named = [self.measure, *(level.bound for level in self.levels)]
        missing = [name for name in named if isinstance(name, str) and name not in self.columns]
        if missing:
            raise ValueError(f"rule {self.rule}: {', '.join(missing)} must be among its columns")
        if self.immediate and self.keep_ms is None:
            raise ValueError(f"rule {self.rule}: an immediate rule needs keep, its cooldown cell")

    @property
    def read(self) -> Mapping[str, Type]:
        """The columns that a transition is made from, beside time, id and evidence."""
        templates = [*self.says.values(), *self.labels.values()]
        templates += [template for level in self.levels for template in level.says.values()]
        slots = {slot.column: slot.type for template in templates for slot in template.slots if slot.column != SIGNS}
        return {**slots, **dict.fromkeys(self.signs.values(), BOOLEAN), **self.columns, **self.entity}

    @property
    def watched(self) -> tuple[str, ...]:
        """The columns whose change is worth an `updated`: the explained ones but the window, which always moves."""
        return tuple(name for name in self.columns if name not in {WINDOW_START, WINDOW_END})
