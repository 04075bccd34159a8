"""A pytest plugin: a mutation is noticed by the first failure, which nobody has to understand."""

from __future__ import annotations

from hypothesis import Phase, settings

PROFILE = "mutate"

settings.register_profile(
    PROFILE, settings.get_profile("default"), deadline=None, phases=[Phase.explicit, Phase.generate]
)
