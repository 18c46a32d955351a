"""A hub on this machine, as small as can be: it has one config.json under any name, and answers at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0" * 40


class StubHub(ThreadingHTTPServer):
    """The server, which counts what it is asked for."""

    daemon_threads = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.config = config
        self.requests = 0

    @property
    def address(self) -> str:
        """What ``HF_ENDPOINT`` is to be."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubHub

    def do_GET(self) -> None:
        self.server.requests += 1
        status, headers, body = self._answer()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def _answer(self) -> tuple[int, dict[str, str], bytes]:
        path, config = self.path.partition("?")[0], self.server.config
        if path.startswith("/api/models/"):
            excerpt = {key: config[key] for key in ("architectures", "model_type")}
            info = {"id": path.removeprefix("/api/models/"), "library_name": "transformers", "config": excerpt}
            return 200, {"Content-Type": "application/json"}, json.dumps({**info, "siblings": []}).encode()
        if path.endswith("/config.json"):
            return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{COMMIT}"'}, json.dumps(config).encode()
        return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""

    def log_message(self, *arguments: object) -> None:
        """Nothing: standard error is that of the benchmark."""


@contextmanager
def serving(config: Mapping[str, Any]) -> Iterator[StubHub]:
    """A hub that serves ``config`` until the block ends."""
    hub = StubHub(config)
    threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
