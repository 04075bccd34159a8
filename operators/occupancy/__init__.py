"""Occupancy: where everybody was last seen, as people per area and tick."""

from operators.occupancy.counts import Occupancy, occupancy_operator
from operators.occupancy.presence import Presence, presence_operator

__all__ = ["Occupancy", "Presence", "occupancy_operator", "presence_operator"]
