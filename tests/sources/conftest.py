"""A small hub on this machine, which answers as the real one does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import close_session

from archlint.sources import SourceOptions, network

COMMIT = "c0ffee" + "0" * 34
REVISIONS = {"main": COMMIT, "v1": "1" * 40}


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A probe that connects and leaves is no news."""


class StubHub:
    """Repositories by name, each with its files by path; and what goes wrong."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.is_a_hub = True
        self.released = threading.Event()
        self.released.set()
        self.requests: list[tuple[str, str]] = []
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def fetched(self) -> list[str]:
        """Paths of the files that were sent."""
        return [path.split("/resolve/")[1].partition("/")[2] for method, path in self.requests if method == "GET"]

    def add(self, repository: str, **files: Any) -> None:
        """Add files; ``__`` in a name stands for a dot, and what is no text becomes JSON."""
        content = {name.replace("__", "."): value for name, value in files.items()}
        self.put(repository, content)

    def put(self, repository: str, files: dict[str, Any]) -> None:
        encoded = {
            name: (value if isinstance(value, str) else json.dumps(value)).encode() for name, value in files.items()
        }
        self.repositories.setdefault(repository, {}).update(encoded)

    def hang(self) -> None:
        self.released.clear()

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.requests.append((self.command, self.path))
                hub.released.wait(20)
                status, headers, body = hub.answer(unquote(urlsplit(self.path).path))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers, **hub.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_GET = do_HEAD

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if self.status is not None:
            return self.status, {}, b""
        if not self.is_a_hub:
            return 200, {"Content-Type": "text/html"}, b"<html>Please log in to this network</html>"
        tree = path.startswith("/api/models/")
        repository, _, rest = (
            path.removeprefix("/api/models" if tree else "").strip("/").partition("/tree/" if tree else "/resolve/")
        )
        revision, _, file = rest.partition("/")
        files = self.repositories.get(repository)
        if repository in self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if files is None:
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        commit = REVISIONS.get(revision, revision if revision in REVISIONS.values() else None)
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if tree:
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(listed).encode()
        if file not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{hash(files[file]):x}"'}, files[file]


@pytest.fixture(autouse=True)
def _fresh_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy, no token, no memory of what failed, and no connection kept from another test."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_ETAG_TIMEOUT", raising=False)
    network.forget()
    close_session()
    yield
    close_session()
    network.forget()


@pytest.fixture
def stub_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubHub]:
    hub = StubHub()
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    yield hub
    hub.stop()


@pytest.fixture
def options(tmp_path: Path) -> SourceOptions:
    """Options with a hub cache of the test's own."""
    return SourceOptions(cache_dir=tmp_path / "hub-cache")


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
