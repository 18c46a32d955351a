"""Contained processes for tests: each way to contain one that this system has, and code that runs in it."""

from __future__ import annotations

import os
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archlint.containment import EVERY, Layer, Limits, household, kernel, landlock, namespaces, seccomp
from archlint.containment.grounds import grounds
from archlint.containment.layers import Means, containment
from archlint.containment.locking import Locks, Setup
from archlint.containment.process import Command, LostError, Process
from archlint.containment.strictness import strictly

LEVELS = {
    "everything": EVERY,
    "unshare": {Layer.UNSHARE, Layer.LANDLOCK, Layer.SECCOMP},
    "kernel": {Layer.LANDLOCK, Layer.SECCOMP},
    "bubblewrap": {Layer.BUBBLEWRAP},
    "limits": set[Layer](),
}
"""Layers that are allowed; ``limits`` is what there is where the system has none of them."""


def means(level: str) -> Means:
    """How a process of ``level`` is contained; the test is skipped where this system cannot."""
    allowed = LEVELS[level]
    spaces = None
    if Layer.BUBBLEWRAP in allowed and (spaces := namespaces.bubblewrap()) is None and level == "bubblewrap":
        pytest.skip("bwrap is not installed, or does not work here")
    if level == "unshare" and (spaces := namespaces.unshare()) is None:
        pytest.skip("unshare is not installed, or does not work here")
    if Layer.LANDLOCK in allowed and not landlock.version():
        pytest.skip("this kernel has no Landlock")
    if Layer.SECCOMP in allowed and not seccomp.is_known():
        pytest.skip(f"seccomp is not known on {sys.platform}, {kernel.machine() or 'this machine'}")
    return Means(spaces, Layer.LANDLOCK in allowed, Layer.SECCOMP in allowed)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of code."""

    seen: Any
    lost: str
    """Why there was no answer, or what it raised."""
    remarks: tuple[str, ...]
    lack: str

    def says(self, words: str) -> bool:
        return any(words in remark for remark in self.remarks)


def run(code: str, folder: Path, how: Means, limits: Limits | None = None, name: str = "own.py") -> Ran:
    """Run ``code`` as that of the repository ``folder``, which is made where it is not there."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(textwrap.dedent(code))
    limits = limits or Limits()
    home = household.fresh_home()
    here = str(Path(__file__).parent)
    shown = grounds(folder, folder.parent / "no-cache", (), home)
    shown = type(shown)(
        (*shown.installed, here), shown.system, shown.repository, shown.folders, home, (*shown.search, here)
    )
    prefix = () if how.spaces is None else how.spaces.around((), shown)
    process = Process(Command(prefix, shown.search, household.environment(home, folder.parent), home), limits)
    try:
        setup = Setup(
            answering="runs_files",
            grounds=shown,
            limits=limits,
            parent=os.getpid() if how.spaces is None else 0,
            running=0,
            use_landlock=how.use_landlock,
            use_seccomp=how.use_seccomp,
        )
        locks = strictly(Locks, process.begin(setup).answer)
        assert bool(locks.landlock) is how.use_landlock
        assert locks.seccomp is how.use_seccomp
        seen, lost = None, ""
        try:
            said = process.ask(str(file))
            seen, lost = said.answer, said.why
        except LostError as error:
            lost = str(error)
        return Ran(seen, lost, tuple(one.text for one in process.remarks), containment(how.spaces, locks).lack)
    finally:
        process.close()
        household.remove(home)
        assert not Path(home).exists()
