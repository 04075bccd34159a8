"""The same job with other tools, each in a process of its own (bench/kafka_job.py says what it is told and tells)."""
