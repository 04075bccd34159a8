"""The runtime of one process: dataflow, state folder, outbox, one run from its sources to its sinks."""
