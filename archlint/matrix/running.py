"""archlint, run in each environment."""

from __future__ import annotations

import re
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from archlint.matrix.comparing import Outcome
from archlint.matrix.environments import Environment, environment, here
from archlint.matrix.installing import InstallError, installer
from archlint.matrix.packing import Package
from archlint.matrix.processes import Ended, run
from archlint.matrix.spec import Stack
from archlint.report import stored
from archlint.report.quoting import clip
from archlint.report.values import DocumentError

_LONGEST = 300
_DONE = (0, 3)
_USAGE = 2
_LAST_WORDS = "archlint itself failed"
_PLACE = re.compile(r"\s+\((?:/|[A-Za-z]:\\)[^)]*\)$")
"""Where the module is that an import failed on."""


class UsageMistakeError(Exception):
    """The options themselves are wrong, whatever the stack; the message says how."""


def try_stacks(
    stacks: Sequence[Stack], arguments: Sequence[str], tell: Callable[[str, str], None]
) -> Iterator[Outcome]:
    """What archlint says with each of ``stacks``, one after the other.

    Args:
        stacks: what to check with.
        arguments: of ``archlint check``: the sources, and what is asked of them.
        tell: what is told a stack and the stage that begins.

    Raises:
        NotInstalledError: archlint itself cannot be installed elsewhere.
        UsageMistakeError: the arguments are wrong.
    """
    package, tool = Package.running(), installer()
    for number, stack in enumerate(stacks, 1):
        place = f"{stack.label} ({number} of {len(stacks)})"

        def stage(what: str, place: str = place) -> None:
            tell(place, what)

        try:
            where = environment(stack, package, tool, stage) if stack.requirements else here()
        except InstallError as error:
            yield Outcome(stack, {}, reason=f"cannot be installed: {error}")
            continue
        stage("checking")
        yield _checked(stack, where, arguments)


def _checked(stack: Stack, where: Environment, arguments: Sequence[str]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="archlint-matrix-") as folder:
        output = Path(folder) / "reports.jsonl"
        report = ["--format", "jsonl", "--output", str(output), "--fail-on", "never"]
        try:
            ended = run([*where.archlint, "check", *report, *arguments])
        except OSError as error:
            return Outcome(stack, where.versions, reason=f"archlint does not run: {error.strerror or error}")
        if ended.code == _USAGE:
            raise UsageMistakeError(_complaint(ended))
        try:
            runs = stored.read(output) if output.is_file() else ()
        except DocumentError as error:
            return Outcome(stack, where.versions, reason=f"what archlint writes there cannot be read: {error}")
    whole = runs and ended.code in _DONE
    return Outcome(stack, where.versions, runs, None if whole else f"archlint does not run: {_cause(ended)}")


def _complaint(ended: Ended) -> str:
    lines = [line.removeprefix("error: ") for line in ended.error.splitlines() if line.startswith("error: ")]
    return clip(lines[-1] if lines else ended.error, _LONGEST)


def _cause(ended: Ended) -> str:
    """The last thing that a process said which failed."""
    if ended.code < 0:
        return f"it was ended by {signal.Signals(-ended.code).name}"
    lines = [line for line in ended.error.splitlines() if line.strip() and not line.startswith(_LAST_WORDS)]
    return clip(_PLACE.sub("", lines[-1]), _LONGEST) if lines else f"it ended with {ended.code}"
