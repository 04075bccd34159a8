"""Windows: aggregates per key and window, from partials that merge."""
