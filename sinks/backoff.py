"""How long to wait before the next try: exponential, capped, with full jitter.

Full jitter draws from [0, ceiling) instead of waiting the ceiling itself, so that many clients of one server do not
come back in step (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: least total work of the
variants compared there).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Backoff:
    """The ceiling of try n (from 0) is `first * factor ** n`, at most `most`; seconds.

    `draw` gives a number in [0, 1); tests pass their own.
    """

    first: float = 0.1
    factor: float = 2.0
    most: float = 30.0
    draw: Callable[[], float] = random.random

    def delay(self, attempt: int) -> float:
        """Give the seconds to wait after the failed try `attempt`."""
        doublings = min(attempt, 64)
        return self.draw() * min(self.most, self.first * self.factor**doublings)
