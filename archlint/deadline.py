"""Stop Python code that takes longer than anything real would."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def deadline(seconds: float, error: type[BaseException]) -> Iterator[None]:
    """Raise ``error`` in this thread once time is up, in whatever Python code of the block runs then.

    One call into compiled code is waited for, however long it takes. No hook of torch sees a loop that only
    computes, and signals reach nothing but the main thread.

    Raises:
        error: from anywhere inside the block.
    """
    thread = ctypes.c_ulong(threading.get_ident())
    lock = threading.Lock()
    running = True

    def stop() -> None:
        with lock:
            if running:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(error))

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
