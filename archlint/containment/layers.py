"""What there is to contain code with, and what each closes."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from archlint.containment import landlock, namespaces, seccomp
from archlint.containment.locking import Locks
from archlint.containment.namespaces import Namespaces
from archlint.core.custom_code import Containment


class Layer(enum.Enum):
    """Something of the system that can be in force; limits of what may be taken are so everywhere."""

    BUBBLEWRAP = "bubblewrap"
    UNSHARE = "unshare"
    LANDLOCK = "Landlock"
    SECCOMP = "seccomp"


EVERY: Collection[Layer] = frozenset(Layer)


@dataclass(frozen=True, slots=True)
class Means:
    """One way to start a contained process."""

    spaces: Namespaces | None
    use_landlock: bool
    use_seccomp: bool


def ways(allowed: Collection[Layer]) -> Iterator[Means]:
    """What to try, the best first: what works for a program that does nothing may not for all that is imported."""
    spaces: list[Namespaces | None] = []
    if Layer.BUBBLEWRAP in allowed:
        spaces.append(namespaces.bubblewrap())
    if Layer.UNSHARE in allowed and not any(spaces):
        spaces.append(namespaces.unshare())
    locks = Layer.LANDLOCK in allowed
    calls = Layer.SECCOMP in allowed
    found = [Means(one, locks, calls) for one in (*filter(None, spaces), None)]
    if locks:
        found += [Means(one.spaces, False, calls) for one in found]
    return iter(found)


def promised(allowed: Collection[Layer]) -> Containment:
    """What the best way would have in force, before a process is started."""
    best = next(ways(allowed))
    version = landlock.version() if best.use_landlock else 0
    return containment(best.spaces, Locks(version, best.use_seccomp and seccomp.is_known()))


def containment(spaces: Namespaces | None, locks: Locks) -> Containment:
    """What is in force, and what is open for want of it."""
    layers = [] if spaces is None else [spaces.name]
    layers += [f"Landlock (ABI {locks.landlock})"] if locks.landlock else []
    layers += ["seccomp"] if locks.seccomp else []
    closed = {
        "files": bool(locks.landlock) or (spaces is not None and spaces.hides_files),
        "the network": locks.seccomp or spaces is not None,
        "other processes": locks.seccomp or spaces is not None,
    }
    still_open = [name for name, is_closed in closed.items() if not is_closed]
    return Containment((*layers, "limits"), _listed(still_open))


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
