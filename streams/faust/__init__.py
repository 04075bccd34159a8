"""The runtime `faust`: workers of one consumer group that host the stages of a plan, over whole fetched batches."""
