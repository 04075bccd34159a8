"""Kafka: where records come from, topics, dead letters; over librdkafka, in whole batches."""
