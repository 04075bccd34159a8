# The Flink cluster of `make stack` as a container, with the packages that the tests have: see compose.yaml.
ARG BASE=python:3.11-slim
FROM ${BASE}
# ps tells which process runs.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends default-jre-headless procps \
 && rm -rf /var/lib/apt/lists/*
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
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
 && python -m stack fetch flink
VOLUME ["/opt/tocsin/.stack/data"]
CMD ["sh", "-c", "python -m stack up flink && exec sleep infinity"]
