"""What is used where a system has some layers, and what is said to be open."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from archlint.containment import EVERY, Layer, landlock, namespaces, seccomp
from archlint.containment.layers import containment, promised, ways
from archlint.containment.locking import Locks
from archlint.containment.namespaces import Namespaces

BUBBLEWRAP = Namespaces("bubblewrap", ("bwrap",), hides_files=True)
UNSHARE = Namespaces("namespaces (unshare)", ("unshare",), hides_files=False)


@pytest.fixture(autouse=True)
def system(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has everything."""
    monkeypatch.setattr(namespaces, "bubblewrap", lambda: BUBBLEWRAP)
    monkeypatch.setattr(namespaces, "unshare", lambda: UNSHARE)
    monkeypatch.setattr(landlock, "version", lambda: 7)
    monkeypatch.setattr(seccomp, "is_known", lambda: True)


@pytest.mark.parametrize(
    ("allowed", "layers", "lack"),
    [
        (EVERY, ("bubblewrap", "Landlock (ABI 7)", "seccomp", "limits"), ""),
        ({Layer.LANDLOCK, Layer.SECCOMP}, ("Landlock (ABI 7)", "seccomp", "limits"), ""),
        ({Layer.BUBBLEWRAP}, ("bubblewrap", "limits"), ""),
        ({Layer.UNSHARE}, ("namespaces (unshare)", "limits"), "files"),
        ({Layer.LANDLOCK}, ("Landlock (ABI 7)", "limits"), "the network and other processes"),
        ({Layer.SECCOMP}, ("seccomp", "limits"), "files"),
        ((), ("limits",), "files, the network and other processes"),
    ],
)
def test_what_is_open_is_said(allowed: Collection[Layer], layers: tuple[str, ...], lack: str) -> None:
    found = promised(allowed)
    assert found.layers == layers
    assert found.lack == lack


def test_unshare_stands_in_for_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [way.spaces for way in ways(EVERY)][:2] == [BUBBLEWRAP, None]
    monkeypatch.setattr(namespaces, "bubblewrap", lambda: None)
    assert [way.spaces for way in ways(EVERY)][:2] == [UNSHARE, None]


def test_where_everything_together_does_not_start_less_is_tried() -> None:
    found = list(ways(EVERY))
    assert found[0].use_landlock
    assert (found[-1].spaces, found[-1].use_landlock) == (None, False)
    assert all(way.use_seccomp for way in found)


def test_what_was_promised_and_is_not_in_force_is_open() -> None:
    assert containment(None, Locks(0, seccomp=True)).lack == "files"
    assert containment(None, Locks(3, seccomp=False)).lack == "the network and other processes"


def test_a_program_that_does_not_work_here_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(namespaces.shutil, "which", lambda _: "/bin/false")
    for find in (namespaces.bubblewrap, namespaces.unshare):
        find.cache_clear()
        assert find() is None
        find.cache_clear()
