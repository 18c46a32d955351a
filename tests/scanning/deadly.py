"""Sources that end the worker which their process comes from: what runs on one node may take the others with it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from archlint.core.report import Report
from archlint.scanning.scan import Identity

from . import fakes

if TYPE_CHECKING:
    from archlint.options import Options


def check(located: str, options: Options) -> Report:
    """``deadly`` ends its worker each time; ``deadly:FILE`` once, and leaves the file."""
    what, _, file = located.partition(":")
    if what == "deadly" and not (file and Path(file).exists()):
        if file:
            Path(file).touch()
        os.kill(psutil.Process(os.getppid()).ppid(), signal.SIGKILL)  # what started the server
        time.sleep(fakes.LONG)
    return fakes.check(located, options)


IDENTITY = Identity(fakes.locate, check, fakes.named)
