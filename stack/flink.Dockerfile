# The Flink cluster of `make stack` as a container, with the packages that the tests have: see compose.yaml.
ARG BASE=python:3.11-slim
FROM ${BASE}
# ps tells which process runs.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends default-jre-headless procps \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/python
ENV PATH=/opt/python/bin:$PATH
WORKDIR /opt/tocsin
COPY requirements/dev.lock requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/dev.lock
COPY pyproject.toml LICENSE README.md ./
COPY tocsin/ tocsin/
COPY operators/ operators/
COPY streams/ streams/
COPY sinks/ sinks/
COPY monitoring/ monitoring/
COPY stack/ stack/
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
VOLUME ["/opt/tocsin/.stack/data"]
# The command line's `up` would fetch the connector to Kafka, too, which jobs bring along.
CMD ["sh", "-c", "python -c 'from stack.running import up; up([\"flink\"])' && exec sleep infinity"]
