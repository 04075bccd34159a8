"""The shared model: types, units, rows, windows, alerts. Imports nothing of ours but `tocsin.errors`."""
