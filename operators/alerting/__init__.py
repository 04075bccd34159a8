"""Alerts: what the machine knows of a rule, episodes and their transitions, immediate rules, the canonical form."""
