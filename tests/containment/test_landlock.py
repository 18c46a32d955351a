"""What Landlock is asked for, by the version of its interface."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import pytest

from archlint.containment import kernel, landlock

pytestmark = pytest.mark.skipif(not kernel.IS_LINUX, reason="Landlock is Linux's")


class Kernel:
    """Takes note of calls in place of a kernel that has ``version``."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.rulesets: list[tuple[list[int], int]] = []
        self.rules: dict[str, int] = {}
        self.is_restricted = False

    def call(self, number: int, *arguments: Any) -> int:
        if number == 444 and arguments[0] is None:
            return self.version
        if number == 444:
            words = ctypes.cast(arguments[0], ctypes.POINTER(ctypes.c_uint64))
            self.rulesets.append(([words[place] for place in range(arguments[1] // 8)], arguments[1]))
            return os.open(os.devnull, os.O_RDONLY)
        if number == 445:
            rule = ctypes.cast(arguments[2], ctypes.POINTER(landlock._Beneath)).contents
            self.rules[Path(f"/proc/self/fd/{rule.folder}").readlink().name] = rule.allowed
        self.is_restricted = self.is_restricted or number == 446
        return 0


@pytest.mark.parametrize(
    ("version", "files", "words"), [(1, 13, 1), (2, 14, 1), (3, 15, 1), (4, 15, 2), (5, 16, 2), (6, 16, 3), (7, 16, 3)]
)
def test_all_that_a_version_has_is_closed(
    version: int, files: int, words: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = Kernel(version)
    monkeypatch.setattr(kernel, "call", fake.call)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("read", "names", "home"):
        (tmp_path / name).mkdir()
    landlock.restrict(
        [str(tmp_path / name) for name in ("read", "file", "link", "none")],
        [str(tmp_path / "names")],
        [str(tmp_path / "home")],
    )
    assert fake.is_restricted
    ((handled, size),) = fake.rulesets
    assert handled == [(1 << files) - 1, 0b11, 0b11][:words]
    assert size == 8 * words
    read_file, read_folder = 1 << 2, 1 << 3
    assert fake.rules == {
        "read": read_file | read_folder,
        "file": read_file,
        "names": read_folder,
        "home": ((1 << files) - 1) & ~1,
    }  # nothing may be executed, and no link was followed


def test_no_landlock_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(38, "not implemented")

    monkeypatch.setattr(kernel, "call", refuse)
    assert landlock.version() == 0
