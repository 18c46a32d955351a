"""Reachability is decided in time, whatever the network does."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from archlint.sources import network


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def address_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def resolving_to(*hosts: tuple[str, int]) -> Any:
    """A name look-up that gives these addresses."""
    return lambda *arguments, **options: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", host) for host in hosts]


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An address whose queue of connections is full, so that it neither accepts nor refuses."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for connection in waiting:
            connection.setblocking(False)
            assert connection.connect_ex(listening.getsockname()) in (0, errno.EINPROGRESS)
        yield listening.getsockname()
        for connection in waiting:
            connection.close()


def test_a_server_that_listens_is_no_obstacle(server: socket.socket) -> None:
    assert network.obstacle(address_of(server)) is None


def test_a_failure_is_remembered_and_a_success_is_not(server: socket.socket) -> None:
    address = address_of(server)
    assert network.obstacle(address) is None
    server.close()
    assert network.obstacle(address) == "127.0.0.1: connection refused"
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        assert network.obstacle(address) == "127.0.0.1: connection refused"
        network.forget()
        assert network.obstacle(address) is None


def test_a_look_up_that_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(network, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: released.wait(20))
    started = time.monotonic()
    assert network.obstacle("https://hub.example") == "hub.example does not answer"
    assert time.monotonic() - started < 1
    released.set()


def test_a_host_that_never_answers(monkeypatch: pytest.MonkeyPatch, silent: tuple[str, int]) -> None:
    monkeypatch.setattr(network, "PROBE_SECONDS", 0.2)
    started = time.monotonic()
    assert network.obstacle(f"http://127.0.0.1:{silent[1]}") == "127.0.0.1 does not answer"
    assert time.monotonic() - started < 1


def test_one_address_of_several_is_enough(
    monkeypatch: pytest.MonkeyPatch, server: socket.socket, silent: tuple[str, int]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(silent, closed, server.getsockname()))
    started = time.monotonic()
    assert network.obstacle("http://hub.example") is None
    assert time.monotonic() - started < 1


def test_no_address_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to())
    assert network.obstacle("http://hub.example") is not None


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".org", "\u2003.org"])
def test_a_name_that_no_host_can_have(host: str) -> None:
    assert network.obstacle(f"https://{host}") is not None


@pytest.mark.parametrize(
    ("variable", "value", "url", "hop"),
    [
        ("https_proxy", "http://proxy:3128", "https://hub.example", ("proxy", 3128)),
        ("https_proxy", "proxy:3128", "https://hub.example", ("proxy", 3128)),
        ("https_proxy", "http://user:word@proxy:3128", "https://hub.example", ("proxy", 3128)),
        ("https_proxy", "http://proxy", "https://hub.example", ("proxy", 80)),
        ("all_proxy", "socks5://proxy", "https://hub.example", ("proxy", 1080)),
        ("http_proxy", "http://proxy:3128", "https://hub.example", ("hub.example", 443)),
        ("no_proxy", "example", "http://hub.example:8080/path", ("hub.example", 8080)),
    ],
)
def test_the_first_hop(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, url: str, hop: tuple[str, int]
) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(network, "_connect", lambda host, port, seconds: asked.append((host, port)))
    assert network.obstacle(url) is None
    assert asked == [hop]


def test_within_gives_the_result_or_the_error() -> None:
    assert network.within(5, lambda: 1) == 1
    with pytest.raises(KeyError):
        network.within(5, lambda: os.environ["NO_SUCH_VARIABLE_HERE"])
    with pytest.raises(TimeoutError):
        network.within(0.01, lambda: time.sleep(0.2))
