#!/bin/sh
# Flink on Kubernetes starts its processes by this script: what is asked for is run as it is.
exec "$@"
