"""The runtime `flink`: a topology as a PyFlink job."""
