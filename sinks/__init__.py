"""Where alerts go: one contract, its delivery with back pressure and retries, and the sinks themselves."""
