"""Programs that start others in namespaces of their own, where the system has one and lets it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from archlint.containment import kernel
from archlint.containment.grounds import Grounds

_SECONDS = 20
"""In which a program that does nothing is started in them."""
_UNSHARE = (
    "--user",
    "--map-current-user",
    "--net",
    "--pid",
    "--fork",
    "--kill-child=KILL",
    "--ipc",
    "--uts",
    "--mount",
)
_PROC = "--mount-proc"
"""Where it is refused, the other processes of the system can be seen, and are not to be reached all the same."""
_BWRAP = ("--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--hostname", "contained")


@dataclass(frozen=True, slots=True)
class Namespaces:
    """A program that starts another one in namespaces."""

    name: str
    """As reports have it."""
    command: tuple[str, ...]
    hides_files: bool
    """Whether it can show a process some files and no others."""

    def around(self, command: Sequence[str], grounds: Grounds) -> list[str]:
        """What starts ``command``, which sees ``grounds``."""
        return [*self.command, *(_shown(grounds) if self.hides_files else ()), "--", *command]


@functools.cache
def bubblewrap() -> Namespaces | None:
    """``bwrap``, where it works here."""
    program = shutil.which("bwrap") if kernel.IS_LINUX else None
    if program is None:
        return None
    found = Namespaces("bubblewrap", (program, *_BWRAP), hides_files=True)
    return found if _works([*found.command, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--"]) else None


@functools.cache
def unshare() -> Namespaces | None:
    """``unshare`` of util-linux, with as much as works here."""
    program = shutil.which("unshare") if kernel.IS_LINUX else None
    if program is None:
        return None
    plain = (str(program), *_UNSHARE)
    found = next((command for command in ((*plain, _PROC), plain) if _works([*command, "--"])), None)
    return None if found is None else Namespaces("namespaces (unshare)", found, hides_files=False)


def _works(command: Sequence[str]) -> bool:
    """Whether it starts a program: in containers, and where administrators say so, these calls are refused."""
    try:
        done = subprocess.run(
            [*command, sys.executable, "-I", "-S", "-c", ""],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env={},
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _shown(grounds: Grounds) -> Iterator[str]:
    """Options of ``bwrap``: an empty root that cannot be written, and in it what there is to be seen."""
    yield from ("--proc", "/proc", "--dev", "/dev")
    for path in ("/bin", "/lib", "/lib32", "/lib64"):  # by which programs are named
        if Path(path).is_symlink():
            yield from ("--symlink", os.readlink(path), path)  # noqa: PTH115 (as it is written)
    yield from ("--symlink", "/proc/self/mounts", "/etc/mtab")
    shown = [path for path in (*grounds.installed, *grounds.system) if not path.startswith(("/proc/", "/dev/"))]
    for path in sorted(dict.fromkeys(shown), key=len):
        yield from ("--ro-bind-try", path, path)
    for alias, path in _links(grounds):
        yield from ("--symlink", path, alias)
    for folder in grounds.folders:
        yield from ("--dir", folder)
    for path in grounds.repository:
        yield from ("--ro-bind-try", path, path)
    yield from ("--bind", grounds.home, grounds.home)
    yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", grounds.home)


def _links(grounds: Grounds) -> Iterator[tuple[str, str]]:
    """Links by which modules and the interpreter are named, and where each leads; paths on the way are shown."""
    named = (sys.executable, sys.prefix, sys.base_prefix, *grounds.search)
    seen: set[str] = set()
    for path in named:
        for part in reversed([Path(path), *Path(path).parents]):
            name = str(part)
            if name in seen or not part.is_symlink():
                continue
            seen.add(name)
            real = os.path.realpath(part.parent)
            if not any(Path(real, part.name).is_relative_to(root) for root in grounds.installed):
                yield name, os.readlink(name)  # noqa: PTH115 (as it is written)
