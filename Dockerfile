# Tocsin as an image: `local` is one process, its state in the volume /data; `flink` is that and Flink, for job managers,
# task managers and `tocsin` with all its runtimes (docs/flink-deployment.md).
#
#   make image BASE=debian-with-python                    (CONTRIBUTING.md: how to build without a registry of images)
#   make image BASE=debian-with-python RUNTIME=flink
#
# Other builders need both words for Flink: --build-arg RUNTIME=flink --target flink.
#
# BASE needs Python 3.11 or newer, for Flink 3.11 or 3.12, with venv and pip, and for Flink apt. The same base is used
# throughout, so that the environment that the first stage makes finds its interpreter in the last, which has no build
# tools and no cache of downloads.
ARG BASE=python:3.11-slim
ARG RUNTIME=local

FROM ${BASE} AS build
ARG RUNTIME
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python3 -m venv /opt/tocsin
COPY requirements/core.lock /build/local.lock
COPY requirements/flink.lock /build/flink.lock
RUN /opt/tocsin/bin/pip install --require-hashes -r /build/${RUNTIME}.lock
COPY pyproject.toml LICENSE README.md /build/
COPY tocsin/ /build/tocsin/
COPY operators/ /build/operators/
COPY streams/ /build/streams/
COPY sinks/ /build/sinks/
COPY monitoring/ /build/monitoring/
RUN /opt/tocsin/bin/pip install --no-deps --no-build-isolation /build \
 && /opt/tocsin/bin/python -m compileall -q /opt/tocsin/lib \
 && /opt/tocsin/bin/pip uninstall --quiet --yes pip setuptools

FROM ${BASE} AS jars
# For a network with a certificate authority of its own: where Java finds it.
ARG MAVEN_OPTS=""
RUN apt-get update \
 && apt-get install --yes --no-install-recommends default-jdk-headless maven \
 && rm -rf /var/lib/apt/lists/*
COPY streams/flink/pom.xml streams/flink/jars.lock /jars/kafka/
COPY streams/flink/java/ /jars/kafka/java/
COPY deploy/flink/image/pom.xml deploy/flink/image/jars.lock /jars/s3/
RUN for set in kafka s3; do \
      cd /jars/$set \
      && mvn -B -q -C -DincludeScope=runtime -DoutputDirectory=/jars/$set dependency:copy-dependencies \
      && sha256sum --check --strict jars.lock || exit 1; \
    done; \
    cd /jars/kafka \
    && mvn -B -q -C -DbuiltIn=/built resources:resources compiler:compile jar:jar \
    && mv /built/tocsin-flink.jar . \
    && rm -r java /jars/*/pom.xml /jars/*/jars.lock

FROM ${BASE} AS runtime
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

FROM runtime AS flink
USER 0
RUN apt-get update \
 && apt-get install --yes --no-install-recommends default-jre-headless \
 && rm -rf /var/lib/apt/lists/*
COPY deploy/flink/image/home.sh deploy/flink/image/entrypoint.sh /
RUN sh /home.sh /opt/tocsin/lib/python3*/site-packages/pyflink /opt/flink \
 && chown -R tocsin:tocsin /opt/flink/conf /opt/flink/log \
 && mv /entrypoint.sh /docker-entrypoint.sh \
 && rm /home.sh
COPY --from=jars /jars/kafka /opt/flink/connectors
COPY --from=jars /jars/s3 /opt/flink/plugins/s3-fs-hadoop
ENV FLINK_HOME=/opt/flink PATH=/opt/flink/bin:$PATH TOCSIN_FLINK_JARS=/opt/flink/connectors
USER 10001

# The last one is what is built where nobody says --target.
FROM runtime AS local
