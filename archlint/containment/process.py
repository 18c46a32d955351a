"""The contained process, from the side of archlint: started, asked, listened to, watched, ended."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import secrets
import selectors
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from archlint.containment import watching
from archlint.containment.channel import LENGTH, NOTICE
from archlint.containment.limits import Limits
from archlint.containment.questions import Notice, Said
from archlint.containment.strictness import NonsenseError, decoded, strictly
from archlint.containment.words import ending, of_notice, size
from archlint.core.custom_code import Remark

_BEGIN = (
    "import sys, json; "
    "sys.path[:] = json.loads(open(int(sys.argv[1]), 'rb', 0, closefd=False).readline()); "
    "from archlint.containment.child import main; main(*map(int, sys.argv[1:]))"
)
"""What the process runs: where modules are it is told where nobody else reads it, as everybody can its arguments."""
_PYTHON = (sys.executable, *["-O"] * sys.flags.optimize)
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")
"""Characters that no text has: the beginning of what moves a terminal's cursor, say."""
_MORE = Remark("did more of the same: left out")
_TICK = 0.1
"""Seconds between two looks at what it takes."""
_SELDOM = 5
"""How many such looks there are for one at its folder."""
_AT_ONCE = 2**16
"""Bytes that are read at a time."""
_PIPE = 2**20
"""Bytes that a pipe holds, at most."""
_TOLD = 2000
"""Bytes of what it said before it was ready."""
_PATIENCE = 5.0
"""Seconds that the system has to end it."""
_ENDING = 1.0
"""Seconds that a process takes to end once its descriptors are closed."""
_COMPUTED = 0.05
"""Seconds of processors that waiting takes: a sleep that is repeated, say."""


class LostError(Exception):
    """There is no answer, and there will be none; the message says why, as what the code did."""


@dataclass(frozen=True, slots=True)
class Command:
    """How the process is started."""

    prefix: Sequence[str]
    """What starts it in namespaces; empty where nothing does."""
    search: Sequence[str]
    environment: Mapping[str, str]
    folder: str


class Process:
    """A Python that answers questions by :mod:`archlint.containment.child`.

    A thread listens to it all the time, so that it never waits for archlint, and ends it where it takes too much.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Command, limits: Limits) -> None:
        self._limits = limits
        self._folder = command.folder
        self._is_wrapped = bool(command.prefix)
        self._word = secrets.token_hex(16)
        """That of notices."""
        self._changed = threading.Condition()
        self._answers: list[bytes] = []
        self._remarks: dict[str, Remark] = {}
        self._kinds: Counter[str] = Counter()
        self._end: str | None = None
        self._expected: str | None = None
        """The word of the question that is asked; ``None`` where none is."""
        self._is_ready = False
        self._used = 0.0
        self._output = 0
        self._said = b""
        self._is_closed = False
        self._deaf: float | None = None
        """When it closed what archlint listens at."""
        self._awake = (0.0, 0.0)
        """When it last computed, and how much it had then."""
        theirs: list[int] = []
        ours: list[int] = []
        try:
            for is_input in (True, False, False, False):
                reading, writing = os.pipe()
                theirs.append(reading if is_input else writing)
                ours.append(writing if is_input else reading)
            questions, answers, notices, output = theirs
            self._popen = subprocess.Popen(
                [*command.prefix, *_PYTHON, "-c", _BEGIN, *map(str, (questions, answers, notices))],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(questions, answers, notices),
                env=dict(command.environment),
                cwd=command.folder,
                start_new_session=True,
            )
        except OSError:
            for one in ours:
                os.close(one)
            raise
        finally:
            for one in theirs:
                os.close(one)
        for one in ours:
            os.set_blocking(one, False)
        self._questions = ours[0]
        self._buffers = {ours[1]: bytearray(), ours[2]: bytearray(), ours[3]: bytearray()}
        self._of_answers, self._of_notices, _ = ours[1:]
        self._listener = threading.Thread(target=self._listen, name="archlint-contained", daemon=True)
        self._listener.start()
        self._begun = json.dumps(list(command.search)).encode() + b"\n"

    def begin(self, setup: object) -> Said:
        """Give it ``setup``, and wait until it is locked up.

        Raises:
            LostError: Python does not start, or not with all that is needed.
        """
        said = self._ask(self._word, self._begun, setup, self._limits.start)
        self._is_ready = True
        return said

    def ask(self, question: object, longer: float = 0.0) -> Said:
        """The answer to ``question``.

        Args:
            longer: seconds that it may take beyond the limit.

        Raises:
            LostError: there is none.
        """
        left = min(self._limits.seconds + longer, self._limits.total - self._used)
        started = time.monotonic()
        try:
            return self._ask(secrets.token_hex(16), b"", question, left)
        finally:
            self._used += time.monotonic() - started
            self._look_into_folder()

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What is to be told of it so far, each once."""
        with self._changed:
            found = list(self._remarks.values())
            output = self._output
        if output > self._limits.output:
            found.append(Remark(f"wrote {output:,} bytes to the terminal: withheld"))
        return tuple(found)

    def close(self) -> None:
        """End it, with all that it started."""
        with self._changed:
            self._is_closed = True
            self._end = self._end or "is closed"
        watching.kill(self._popen.pid)
        self._listener.join(_PATIENCE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(_PATIENCE)
        if self._questions >= 0:
            os.close(self._questions)
            self._questions = -1

    def _ask(self, word: str, before: bytes, question: object, seconds: float) -> Said:
        content = pickle.dumps((word, question))
        until = time.monotonic() + seconds
        with self._changed:
            if self._end is None and self._answers:
                self._stop("wrote answers that nobody had asked for: stopped")
            self._expected = word
            self._awake = (time.monotonic(), 0.0)
        try:
            self._send(before + LENGTH.pack(len(content)) + content, until)
            line = self._answer(until, seconds)
        finally:
            with self._changed:
                self._expected = None
        data = said = None
        try:
            data = decoded(line)
            said = strictly(Said, data)
        except NonsenseError:
            pass
        if said is not None and secrets.compare_digest(said.word, word):
            return said
        is_own = said is None and isinstance(data, dict) and data.get("word") == word
        with self._changed:
            why = "gave an answer that is too large in parts" if is_own else "wrote into what archlint is answered by"
            raise self._stop(f"{why}: stopped")

    def _send(self, content: bytes, until: float) -> None:
        left = memoryview(content)
        with selectors.DefaultSelector() as selector:
            selector.register(self._questions, selectors.EVENT_WRITE)
            while left and self._end is None and time.monotonic() < until:
                if selector.select(_TICK):
                    with contextlib.suppress(BlockingIOError):
                        try:
                            left = left[os.write(self._questions, left) :]
                        except BrokenPipeError:
                            return

    def _answer(self, until: float, seconds: float) -> bytes:
        with self._changed:
            while not self._answers:
                if self._end is not None:
                    raise LostError(self._end)
                if (left := until - time.monotonic()) <= 0:
                    raise self._stop(f"ran for {seconds:.3g} s without an answer: stopped")
                self._changed.wait(left)
            return self._answers.pop(0)

    def _stop(self, why: str) -> LostError:
        """End it for what it did; the caller holds the lock."""
        if self._end is None:
            self._end = why
            self._note(Remark(why))
            watching.kill(self._popen.pid)
            self._changed.notify_all()
        return LostError(self._end)

    def _note(self, remark: Remark) -> None:
        if self._is_ready and not self._is_closed:
            self._remarks.setdefault(remark.text, remark)

    def _listen(self) -> None:
        """What the thread does until the process is gone."""
        ticks = 0
        with selectors.DefaultSelector() as selector:
            for descriptor in self._buffers:
                selector.register(descriptor, selectors.EVENT_READ)
            looked = time.monotonic()
            while True:
                is_gone = self._popen.poll() is not None
                events = selector.select(0 if is_gone else _TICK)
                heard = {key.fd for key, _ in events}
                for descriptor in self._in_order(heard, selector):
                    if not self._hear(descriptor):
                        selector.unregister(descriptor)
                if is_gone and not events:
                    break
                if not is_gone and time.monotonic() - looked >= _TICK:
                    ticks += 1
                    self._watch(folder_too=ticks % _SELDOM == 0)
                    looked = time.monotonic()
                if not selector.get_map():
                    time.sleep(_TICK)
        self._gone()
        for descriptor in self._buffers:
            os.close(descriptor)

    def _in_order(self, heard: set[int], selector: selectors.BaseSelector) -> Iterator[int]:
        """The descriptors to read from: before an answer all that was written before it, as much as pipes hold."""
        listened = selector.get_map()
        if self._of_answers in heard:
            for _ in range(_PIPE // _AT_ONCE):
                yield from (one for one in self._buffers if one in listened and one != self._of_answers)
        yield from (one for one in self._buffers if one in heard and one in listened)

    def _hear(self, descriptor: int) -> bool:
        """Take what there is to read; whether there may be more."""
        try:
            content = os.read(descriptor, _AT_ONCE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        buffer = self._buffers[descriptor]
        with self._changed:
            if not content and descriptor in (self._of_answers, self._of_notices):
                self._deaf = self._deaf or time.monotonic()
            if descriptor == self._of_answers:
                self._hear_answer(buffer, content)
            elif descriptor == self._of_notices:
                self._hear_notices(buffer, content)
            else:
                if self._is_ready:
                    self._output += len(content)
                    if _CONTROLS.search(content):
                        self._note(Remark("wrote control characters to the terminal: withheld"))
                else:
                    self._said = (self._said + content)[-_TOLD:]
        return bool(content)

    def _hear_answer(self, buffer: bytearray, content: bytes) -> None:
        if self._end is not None:
            return
        buffer += content
        *lines, rest = buffer.split(b"\n") if b"\n" in content else (buffer,)
        if len(rest) > self._limits.answer or any(len(line) > self._limits.answer for line in lines):
            self._stop(f"gave an answer of more than {size(self._limits.answer)}: stopped")
        elif len(lines) > (self._expected is not None) - len(self._answers):
            self._stop("wrote answers that nobody had asked for: stopped")
        elif lines:
            self._answers += map(bytes, lines)
            buffer[:] = rest
            self._changed.notify_all()

    def _hear_notices(self, buffer: bytearray, content: bytes) -> None:
        if self._end is not None:
            return
        buffer += content
        *lines, rest = buffer.split(b"\n")
        buffer[:] = rest
        is_forged = len(rest) > NOTICE
        for line in lines:
            try:
                notice = strictly(Notice, decoded(bytes(line)))
            except NonsenseError:
                notice = None
            remark = None if notice is None else of_notice(notice.kind, notice.what, self._limits.memory)
            is_own = notice is not None and secrets.compare_digest(notice.word, self._word)
            if notice is None or remark is None or not is_own:
                is_forged = True
            elif remark.text not in self._remarks:
                self._kinds[notice.kind] += 1
                self._note(remark if self._kinds[notice.kind] <= self._limits.remarks else _MORE)
        if is_forged:
            self._stop("wrote into what archlint is told by: stopped")

    def _watch(self, *, folder_too: bool) -> None:
        """End the process where it takes too much, or does nothing."""
        limits = self._limits
        taken = watching.usage(self._popen.pid)
        with self._changed:
            if not self._is_ready or self._end is not None:
                return
            if taken.memory > limits.memory:
                self._stop(f"asked for more memory than {size(limits.memory)}: stopped")
            if taken.threads > limits.threads:
                self._stop(f"started more than {limits.threads} threads: stopped")
            now = time.monotonic()
            if self._deaf is not None and now - self._deaf > _ENDING:
                self._stop("closed what archlint listens at: stopped")
            since, computed = self._awake
            if self._expected is None or not taken.is_asleep or abs(taken.computed - computed) > _COMPUTED:
                self._awake = (now, taken.computed)
            elif now - since > limits.idle:
                self._stop(f"waited for {limits.idle:.3g} s, though there was nothing to wait for: stopped")
        if folder_too:
            self._look_into_folder()

    def _look_into_folder(self) -> None:
        limits = self._limits
        held = watching.content(self._folder, limits.count)
        nameless = watching.nameless(self._popen.pid)
        with self._changed:
            if held.largest >= limits.file:
                self._note(Remark(f"wrote a file of {size(limits.file)}: no more of it is taken"))
            if held.size + nameless > limits.files:
                self._stop(f"wrote more than {size(limits.files)} of files: stopped")
            if held.count > limits.count:
                self._stop(f"made more than {limits.count:,} files: stopped")
            if held.is_hidden:
                self._stop("hid files in folders that cannot be looked into: stopped")

    def _gone(self) -> None:
        """The process has ended, and all that it wrote is read."""
        watching.kill(self._popen.pid)  # what it left behind
        with self._changed:
            if self._end is None:
                if self._is_ready:
                    self._end = ending(self._popen.returncode, is_wrapped=self._is_wrapped)
                    self._note(Remark(self._end))
                else:
                    told = self._said.decode(errors="replace").strip().splitlines()
                    self._end = f"could not be started: {told[-1] if told else f'exit code {self._popen.returncode}'}"
            self._changed.notify_all()
