"""Metrics and health over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever starts processes.

What is exposed is what `monitoring.registry` declares, with its help, labels, units and buckets, and the process's own
memory, processor time and open files. Text or OpenMetrics, by what the scraper accepts; prometheus-client does both.

There is no log-in: bind it to an address that only those reach who may read it.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from itertools import accumulate
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from monitoring.registry import Counter, Histogram, declared
from tocsin.errors import ServingError

try:
    from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    raise ServingError("metrics over HTTP need prometheus-client: pip install 'tocsin[metrics]'") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from prometheus_client.core import Metric as Family

    from monitoring.health import Health, Report
    from monitoring.metrics import Labels, MemoryMetrics, Observed
    from monitoring.registry import Metric

    Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

T = TypeVar("T")

REQUEST_SECONDS = 10.0
"""How long a client may take to send its request."""


class Address(NamedTuple):
    """Where to listen. `host`: a name, an IPv4 or IPv6 address, "" for all; `port`: 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """Give the address as URLs write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, `:PORT` or `[IPv6]:PORT`; ServingError if it is none."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or int(port) > 65_535 or (":" in bare and bare == host):  # noqa: PLR2004  # 16 bits
        raise ServingError(
            f"{text!r} is no address to listen on: expected HOST:PORT, like 127.0.0.1:9464 or [::1]:9464"
        )
    return Address(bare, int(port))


class RegistryCollector(Collector):
    """Gives what was recorded, as families of prometheus-client, at every scrape."""

    def __init__(self, metrics: MemoryMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        """Give a family for every metric that is declared, those without a value too."""
        recorded = self._metrics.copy()
        values, histograms = _by_name(recorded.values), _by_name(recorded.histograms)
        for metric in declared():
            if isinstance(metric, Histogram):
                yield _histogram(metric, histograms.get(metric.name, {}))
            else:
                yield _plain(metric, values.get(metric.name, {}))


def _by_name(recorded: Mapping[tuple[str, Labels], T]) -> dict[str, dict[Labels, T]]:
    found: dict[str, dict[Labels, T]] = {}
    for (name, labels), value in recorded.items():
        found.setdefault(name, {})[labels] = value
    return found


def _plain(metric: Metric[str], values: Mapping[Labels, float]) -> Family:
    """Give a counter or gauge; a counter without labels begins at 0, so that its first growth is seen."""
    counts = isinstance(metric, Counter)
    kind = CounterMetricFamily if counts else GaugeMetricFamily
    family = kind(metric.name.removesuffix("_total"), metric.help, labels=metric.labels, unit=metric.unit)
    if counts and not metric.labels:
        values = {(): 0.0, **values}
    for labels, value in values.items():
        family.add_metric([text for _, text in labels], value)
    return family


def _histogram(metric: Histogram[str], values: Mapping[Labels, Observed]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    bounds = [*map(str, metric.buckets), "+Inf"]
    for labels, seen in values.items():
        buckets = list(zip(bounds, accumulate(seen.counts), strict=True))
        family.add_metric([text for _, text in labels], buckets, seen.sum)
    return family


class Gauges(Protocol):
    """Numbers of a program beside us, which has its own names for them."""

    def __call__(self) -> Mapping[str, Mapping[Labels, float]]:
        """Give the values by labels, by name; those of a name have the same labels."""
        ...


class _Beside(Collector):
    """Gives the numbers of another program as they are, at every scrape."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Family]:
        for name, values in self._gauges().items():
            labels = [label for label, _ in next(iter(values), ())]
            family = GaugeMetricFamily(name, name, labels=labels)
            for found, value in values.items():
                family.add_metric([text for _, text in found], value)
            yield family


def collected(metrics: MemoryMetrics, *beside: Gauges) -> CollectorRegistry:
    """Give what a scrape gets: what was recorded, and the process's own memory, processor time and open files."""
    registry = CollectorRegistry()
    registry.register(RegistryCollector(metrics))
    for gauges in beside:
        registry.register(_Beside(gauges))
    ProcessCollector(registry=registry)
    return registry


def application(metrics: MemoryMetrics, health: Health, *beside: Gauges) -> Application:
    """Give the WSGI application that answers on all paths."""
    scraped: Application = make_wsgi_app(collected(metrics, *beside))
    reports = {"/healthz": lambda: health.alive, "/readyz": lambda: health.at_work}

    def answer(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environment["PATH_INFO"]
        if path == "/metrics":
            return scraped(environment, start)
        if path in reports:
            return _told(reports[path](), start)
        start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"ask for /metrics, /healthz or /readyz\n"]

    return answer


def _told(report: Report, start: StartResponse) -> Iterable[bytes]:
    status = "200 OK" if report.good else "503 Service Unavailable"
    start(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [report.text.encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is not worth a traceback."""


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class says so
        """Scrapes are not logged."""


@contextmanager
def served(address: Address, metrics: MemoryMetrics, health: Health, *beside: Gauges) -> Iterator[Address]:
    """Serve while the body runs; give the address with the port that was taken. ServingError: it cannot be used."""
    server = _bound(address)
    server.set_app(application(metrics, health, *beside))
    thread = Thread(target=server.serve_forever, args=(0.1,), name="tocsin-http", daemon=True)
    thread.start()
    try:
        yield Address(address.host, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _bound(address: Address) -> _Server:
    try:
        asked = (address.host or None, address.port)
        family, *_, place = socket.getaddrinfo(*asked, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        kind = type("_Server", (_Server,), {"address_family": family})
        server: _Server = kind(place[:2], _Handler)
    except OSError as error:
        raise ServingError(f"--http {address}: {error.strerror or error}; choose another address or port") from error
    return server
