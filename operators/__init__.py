"""What is computed: pure and deterministic. No I/O, no clock, no thread."""
