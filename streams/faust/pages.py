"""Metrics and health on the web that Faust serves: `/metrics`, `/healthz`, `/readyz`, as `local --http` has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import faust

    from monitoring.health import Health, Report
    from monitoring.metrics import MemoryMetrics

UNAVAILABLE = 503


def add_pages(app: faust.App, metrics: MemoryMetrics, health: Health) -> None:
    """Add the pages; without prometheus-client (the extra `metrics`) those of health alone."""
    _tell(app, "/healthz", lambda: health.alive)
    _tell(app, "/readyz", lambda: health.at_work)
    try:
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415  # an extra

        from monitoring.exporter import collected  # noqa: PLC0415
    except ImportError:
        return
    registry = collected(metrics)

    async def expose(web: Any, request: Any) -> Any:  # noqa: ANN401  # Faust's types, and it awaits
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.bytes(encode(registry), headers={"Content-Type": kind})

    app.page("/metrics", name="tocsin-metrics")(expose)


def _tell(app: faust.App, path: str, ask: Callable[[], Report]) -> None:
    async def answer(web: Any, request: Any) -> Any:  # noqa: ANN401  # as above
        del request
        report = ask()
        return web.text(report.text, content_type="application/json", status=200 if report.good else UNAVAILABLE)

    app.page(path, name=f"tocsin-{path.strip('/')}")(answer)
