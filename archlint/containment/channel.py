"""What goes between archlint and a contained process, from the side of that process.

Questions come as pickles, which only archlint writes. Answers and notices go as lines of JSON, each with a word that
archlint gave for it: what code of a repository writes there by itself has none.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Mapping
from typing import Any

LENGTH = struct.Struct("!I")
"""What comes before a question."""
NOTICE = 2000
"""Bytes of a notice, at most: as many as a pipe takes at once, whoever else writes."""


class Channel:
    """The descriptors of a contained process that archlint listens at.

    Functions that it needs it has from the beginning: code may put others into the modules.
    """

    def __init__(self, questions: int, answers: int, notices: int) -> None:
        self._questions = questions
        self._answers = answers
        self._notices = notices
        self._read, self._write, self._load = os.read, os.write, pickle.loads
        self._encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
        self.word = ""
        """That of the first question, which notices are sent with."""

    def question(self) -> Any:
        """The next question; the process ends where there is none any more."""
        (length,) = LENGTH.unpack(self._bytes(LENGTH.size))
        return self._load(self._bytes(length))

    def answer(self, word: str, content: Mapping[str, Any]) -> None:
        """Answer the question that came with ``word``."""
        left = memoryview(self._encode({"word": word, **content}).encode() + b"\n")
        while left:
            left = left[self._write(self._answers, left) :]

    def notice(self, kind: str, what: str) -> None:
        """Tell of something that happens."""
        line = self._encode({"word": self.word, "kind": kind, "what": what[:200]}).encode() + b"\n"
        if len(line) <= NOTICE:
            self._write(self._notices, line)

    def _bytes(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._read(self._questions, min(count, 2**16))
            if not part:
                os._exit(0)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
