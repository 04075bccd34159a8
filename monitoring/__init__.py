"""Metrics: declared once in `registry`, recorded through `metrics`. Later: health, rules, dashboards."""
