"""Whether a host can be reached, decided in a second and a half."""

from __future__ import annotations

import concurrent.futures
import errno
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

PROBE_SECONDS = 1.5
_REMEMBERED_SECONDS = 30.0
_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks5": 1080, "socks5h": 1080}

_failures: dict[str, tuple[float, str]] = {}


def obstacle(url: str) -> str | None:
    """Why no connection leads to the host of ``url``, or ``None`` where one does.

    Where the environment names a proxy for it, the proxy is what has to answer. A failure is remembered for
    half a minute, so that many sources do not wait one after the other.
    """
    when, reason = _failures.get(url, (0.0, ""))
    if reason and time.monotonic() - when < _REMEMBERED_SECONDS:
        return reason
    found = _obstacle(url)
    if found:
        remember(url, found)
    return found


def remember(url: str, reason: str) -> None:
    """Take the host of ``url`` as unreachable for half a minute."""
    _failures[url] = (time.monotonic(), reason)


def forget() -> None:
    """Ask again at the next call, whatever failed before."""
    _failures.clear()


def within(seconds: float, call: Callable[[], T]) -> T:
    """What ``call`` gives, in a thread of its own that is left alone when it takes longer.

    Nothing else stops a name look-up, which has no time limit of its own.

    Raises:
        TimeoutError: it took longer than ``seconds``.
    """
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # raised again where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except concurrent.futures.TimeoutError as error:  # another class than the built-in one in Python 3.10
        raise TimeoutError(str(error)) from error


def _obstacle(url: str) -> str | None:
    try:
        host, port = _first_hop(url)
    except ValueError:
        return f"{url} is no address"
    if not host:
        return f"{url} is no address"
    try:
        within(PROBE_SECONDS, lambda: _connect(host, port, PROBE_SECONDS))
    except socket.gaierror:
        return f"the name {host} cannot be resolved"
    except UnicodeError:  # what the look-up raises for a label that no host has
        return f"{host} is no host name"
    except TimeoutError:
        return f"{host} does not answer"
    except OSError as error:
        return f"{host}: {(error.strerror or str(error)).lower()}"
    return None


def _first_hop(url: str) -> tuple[str, int]:
    """Host and port that the first connection goes to: the proxy's, or else those of ``url``."""
    target = urlsplit(url)
    if not _may_have_proxy():
        return target.hostname or "", target.port or _PORTS.get(target.scheme, 443)
    import urllib.request

    proxies = urllib.request.getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(target.netloc.rpartition("@")[2]):
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return target.hostname or "", target.port or _PORTS.get(target.scheme, 443)


def _may_have_proxy() -> bool:
    """Whether it is worth to ask for proxies: the system has settings of its own for them, or a variable names one."""
    return sys.platform in ("darwin", "win32") or any(name.lower().endswith("_proxy") for name in os.environ)


def _connect(host: str, port: int, seconds: float) -> None:
    """Connect to every address of the host at once until one answers, so that a dead one delays nothing."""
    deadline = time.monotonic() + seconds
    error = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    with ExitStack() as stack:
        waiting = stack.enter_context(selectors.DefaultSelector())
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                attempt = stack.enter_context(socket.socket(family, kind, protocol))
                attempt.setblocking(False)
                attempt.connect(address)
            except BlockingIOError:
                waiting.register(attempt, selectors.EVENT_WRITE, attempt)
            except OSError as refusal:  # no such protocol here, no route, or refused at once
                error = refusal
            else:
                return
        while waiting.get_map():
            ready = waiting.select(deadline - time.monotonic())
            if not ready:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            for key, _ in ready:
                code = key.data.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return
                error = OSError(code, os.strerror(code))
                waiting.unregister(key.fileobj)
    raise error
