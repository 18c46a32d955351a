"""A bound on what a build may cost, for configs that ask for the absurd in ways no check of numbers foresees."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator

MAX_MODULES = 250_000
"""Twice what a model of a trillion parameters has where each of its experts is a module of its own."""
MAX_SECONDS = 30.0
"""Sixty times what the largest models of transformers take."""


class BuildTooLargeError(Exception):
    """The model has more modules, or takes longer to build, than any real one."""

    def __init__(self, reason: str = f"it takes more than {MAX_SECONDS:.0f} s") -> None:
        super().__init__(reason)


@contextlib.contextmanager
def bounded_build() -> Iterator[None]:
    """Stop a build that registers more than :data:`MAX_MODULES` modules or takes over :data:`MAX_SECONDS`.

    One call into compiled code is waited for, however long it takes.

    Raises:
        BuildTooLargeError: from inside the block, at the module that is one too many or wherever time is up.
    """
    from torch.nn.modules.module import register_module_module_registration_hook

    modules = 0

    def count(*_: object) -> None:
        nonlocal modules
        modules += 1
        if modules > MAX_MODULES:
            raise BuildTooLargeError(f"it has more than {MAX_MODULES:,} modules")

    handle = register_module_module_registration_hook(count)
    try:
        with _deadline(MAX_SECONDS):
            yield
    finally:
        handle.remove()


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise :class:`BuildTooLargeError` in this thread once time is up, in whatever Python code it runs then.

    No hook of torch sees a loop that only computes, and signals reach nothing but the main thread.
    """
    thread = ctypes.c_ulong(threading.get_ident())
    lock = threading.Lock()
    running = True

    def stop() -> None:
        with lock:
            if running:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(BuildTooLargeError))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            running = False
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)  # raised too late to be of use
