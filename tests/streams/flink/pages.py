"""What answers as the REST of a Flink cluster does."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def answering(pages: Mapping[str, object], posted: list[tuple[str, object]] | None = None) -> Iterator[str]:
    """Serve JSON by path, 404 for others; give HOST:PORT. `posted`: takes the path and body of each POST."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(pages.get(self.path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if posted is not None:
                posted.append((self.path, body))
            self._answer(pages.get(f"POST {self.path}"))

        def _answer(self, page: object) -> None:
            self.send_response(404 if page is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(page).encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
