"""Breaks the code once for each rule of docs/semantics.md and looks whether the named tests notice."""
