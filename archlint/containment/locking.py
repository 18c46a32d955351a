"""What a contained process does to itself, before anything of a repository runs in it."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from archlint.containment import kernel, landlock, resources, seccomp
from archlint.containment.grounds import Grounds
from archlint.containment.limits import Limits


@dataclass(frozen=True, slots=True)
class Locks:
    """Which are to be put on, or are."""

    landlock: int = 0
    """The version of its interface; 0 where it is not in force."""
    seccomp: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a contained process is told before it is asked anything."""

    answering: str
    """The module whose ``Answering`` answers."""
    grounds: Grounds
    limits: Limits
    parent: int
    """The process that started it; 0 where that is in another namespace."""
    running: int
    """Processes and threads that the user has; 0 where their number is not bounded."""
    use_landlock: bool
    use_seccomp: bool


def lock_files(setup: Setup) -> int:
    """Bound what there is to be had, and close all files but those of ``setup``; before there is a second thread.

    Gives the version of Landlock; 0 where it is not in force.
    """
    resources.limit(setup.limits)
    if setup.running:
        resources.limit_processes(setup.running)
    if not kernel.IS_LINUX:
        return 0
    kernel.die_with_parent(signal.SIGKILL, setup.parent)
    kernel.allow_no_more_privileges()
    kernel.drop_capabilities()
    if not (setup.use_landlock and (version := landlock.version())):
        return 0
    grounds = setup.grounds
    own = f"/proc/{kernel.own_number()}"
    try:
        if not kernel.has_one_thread():  # the others would not be restricted
            return 0
        landlock.restrict((*grounds.readable, own), grounds.folders, (grounds.home, "/dev/null"))
    except OSError:
        return 0
    return version


def lock_calls(setup: Setup) -> bool:
    """Close sockets, processes and the system itself to all threads; gives whether that is in force."""
    resources.limit_addresses(setup.limits)
    if not (setup.use_seccomp and seccomp.is_known()):
        return False
    try:
        seccomp.restrict()
    except OSError:
        return False
    return True
