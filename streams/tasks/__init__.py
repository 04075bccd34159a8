"""Tasks of a topology: partitions of streams and shards of keyed stages, pure, for hosts of several processes."""
