"""Contracts of what is read and said on Kafka, made from the model: JSON Schema, Avro, AsyncAPI."""

from tocsin.contracts.alerts import alert_avro, alert_schema
from tocsin.contracts.asyncapi import asyncapi

__all__ = ["alert_avro", "alert_schema", "asyncapi"]
