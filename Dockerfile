# The `local` runtime as an image: one process over files, its state in the volume /data.
#
#   make image BASE=debian-with-python        (CONTRIBUTING.md: how to build without a registry of images)
#
# BASE needs Python 3.11 or newer with venv and pip. The same base is used twice, so that the environment that the first
# stage makes finds its interpreter in the second, which has no build tools and no cache of downloads.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python3 -m venv /opt/tocsin
COPY requirements/core.lock /build/
RUN /opt/tocsin/bin/pip install --require-hashes -r /build/core.lock
COPY pyproject.toml LICENSE README.md /build/
COPY tocsin/ /build/tocsin/
COPY operators/ /build/operators/
COPY streams/ /build/streams/
COPY sinks/ /build/sinks/
COPY monitoring/ /build/monitoring/
RUN /opt/tocsin/bin/pip install --no-deps --no-build-isolation /build \
 && /opt/tocsin/bin/python -m compileall -q /opt/tocsin/lib \
 && /opt/tocsin/bin/pip uninstall --quiet --yes pip setuptools

FROM ${BASE}
RUN groupadd --system --gid 10001 tocsin \
 && useradd --system --uid 10001 --gid tocsin --no-create-home --home-dir /data --shell /usr/sbin/nologin tocsin \
 && install --directory --owner tocsin --group tocsin --mode 0750 /data
COPY --from=build /opt/tocsin /opt/tocsin
COPY topology.yaml /topologies/
COPY topologies/ /topologies/topologies/
# Text is UTF-8 whatever the base says; output reaches the log of the container line by line.
ENV PATH=/opt/tocsin/bin:$PATH LANG=C.UTF-8 PYTHONUNBUFFERED=1
USER 10001
# `.tocsin` of the working directory holds state, dead letters and the embedded ClickHouse.
WORKDIR /data
VOLUME ["/data"]
# So that a run stops at the next batch with a commit; a kill is safe, too.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tocsin"]
CMD ["--help"]
