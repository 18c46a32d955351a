"""The contained process: it builds the model of a repository and answers what it is asked of it.

It is started by :mod:`archlint.containment.process`; nothing of archlint's own process imports this.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from archlint import deadline
from archlint.containment import environ
from archlint.containment.attempts import Attempts
from archlint.containment.channel import Channel
from archlint.containment.locking import Locks, lock_calls, lock_files
from archlint.containment.replaced import Replaced
from archlint.core.serial import to_json
from archlint.core.shortage import ran_out
from archlint.garbage import importing, seldom_collected

_LETTERS = 2000
"""Of what an error says."""


def main(questions: int, answers: int, notices: int) -> None:
    """Answer questions until there are no more.

    Args:
        questions: the descriptor that they are read from.
        answers: the one that answers are written to.
        notices: the one that is told what code of the repository tries.
    """
    sys.argv[:] = [""]
    channel = Channel(questions, answers, notices)
    channel.word, setup = channel.question()
    version = lock_files(setup)
    with seldom_collected():
        with importing():
            answering = import_module(setup.answering).Answering()
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        locks = Locks(version, lock_calls(setup))
        signal.signal(signal.SIGXFSZ, lambda *_: channel.notice("size", ""))
        replaced, streams = Replaced(setup.grounds.installed), (sys.stdout, sys.stderr)
        channel.answer(channel.word, {"answer": to_json(locks)})
        environ.watch()
        Attempts(setup.grounds, channel.notice, setup.limits.remarks)
        while True:
            word, question = channel.question()
            content = _answered(answering, question, channel.notice)
            for kind, name in replaced.found():
                channel.notice(kind, name)
            for stream in streams:
                with contextlib.suppress(OSError, ValueError):  # closed, maybe
                    stream.flush()
            channel.answer(word, content)


def _answered(answering: Any, question: object, tell: Callable[[str, str], None]) -> dict[str, Any]:
    """What is told of the answer to ``question``."""
    expired = deadline.expired()
    try:
        content: dict[str, Any] = {"answer": answering.answer(question)}
    except BaseException as error:  # code of a repository raises what it likes
        content = _failure(
            error, next((kind for known, kind in answering.kinds.items() if isinstance(error, known)), "")
        )
        if content["kind"] == "raised":
            tell("raise", content["why"])
        if ran_out(content["why"]):
            tell("memory", "")
    return {**content, "expired": deadline.expired() - expired}


def _failure(error: BaseException, kind: str) -> dict[str, Any]:
    try:
        why = " ".join(str(error).split())
    except BaseException:  # of a method of its own
        why = ""
    if not kind:
        kind = "failed" if isinstance(error, Exception) else "raised"
        why = f"{type(error).__name__}: {why}" if why else type(error).__name__
    return {"kind": kind, "why": why[:_LETTERS]}
