"""What code of a repository did, in words for a report."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from archlint.containment.grounds import user_home
from archlint.core.custom_code import Remark

_LETTERS = 160
_REFUSED: Mapping[str, str] = {
    "read": "tried to read {}",
    "list": "tried to list {}",
    "write": "tried to write {}",
    "size": "tried to write more into a file than it may",
    "delete": "tried to delete {}",
    "rename": "tried to rename {}",
    "link": "tried to link {}",
    "make": "tried to make the folder {}",
    "change": "tried to change the mode, owner or time of {}",
    "socket": "tried to open a socket",
    "connect": "tried to open a network connection to {}",
    "resolve": "tried to look up the network address of {}",
    "run": "tried to start the program {}",
    "fork": "tried to start another process",
    "kill": "tried to send a signal to another process",
    "input": "asked for input at the terminal",
}
"""Kinds of attempts that are answered with an error."""
_SEEN: Mapping[str, str] = {
    "native": "called machine code by way of ctypes: {}",
    "unpickle": "unpickled {}, which no file of weights holds",
    "secret": "looked for the secret {} in the environment: not there",
    "environment": "looked through the environment: none of yours",
    "inside": "looked into archlint's own process with {}",
    "replace": "replaced {}, which archlint answers with",
    "handler": "replaced what is done on {}",
    "raise": "raised {}",
}


def of_notice(kind: str, what: str, memory: int) -> Remark | None:
    """The remark for an attempt; ``None`` for a kind that there is not.

    Args:
        memory: bytes that it may have.
    """
    what = " ".join(what.split())
    what = what if len(what) <= _LETTERS else what[: _LETTERS - 1] + "…"
    if kind == "memory":
        return Remark(f"asked for more memory than {size(memory)}: refused")
    if kind in _REFUSED:
        return Remark(f"{_REFUSED[kind].format(_at_home(what))}: refused")
    return Remark(_SEEN[kind].format(what)) if kind in _SEEN else None


def ending(code: int, *, is_wrapped: bool) -> str:
    """How a process ended by itself.

    Args:
        code: its exit code; the negative number of the signal that ended it.
        is_wrapped: whether another program passed the code on: then signals are told by 128 and more.
    """
    number = -code if code < 0 else code - 128 if is_wrapped and code > 128 else 0
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"ended the process with exit code {code}"
    if name == "SIGXCPU":
        return "computed for longer than it may: stopped"
    if name == "SIGKILL":
        return "was ended by SIGKILL, or the system ran out of memory"
    return f"ended the process with {name}"


def size(count: int) -> str:
    """A number of bytes: ``6 GiB``."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def _at_home(path: str) -> str:
    home = user_home()
    is_inside = home is not None and (path == home or path.startswith(f"{home}/"))
    return f"~{path[len(home or '') :]}" if is_inside else path
