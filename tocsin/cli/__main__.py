"""`python -m tocsin.cli`: the command line where the `tocsin` script is not on the path."""

from __future__ import annotations

from tocsin.cli import main

main()
