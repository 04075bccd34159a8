"""Speed and memory, measured: `python -m bench`. README.md says what each row means and what limits it."""
