"""The filter of system calls, run step by step as the kernel would, for every machine that it is for."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from archlint.containment.seccomp import Instruction, program
from archlint.containment.syscalls import NEWEST, NUMBERS

PID = 4711
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED, KILLED = "allowed", "killed"


def verdict(machine: str, call: str | int, *arguments: int, architecture: int | None = None) -> str | int:
    """What becomes of a call: the number of its error, or what else."""
    number = NUMBERS[machine][call] if isinstance(call, str) else call
    words = {0: number, 4: ARCHITECTURES[machine] if architecture is None else architecture}
    words |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate([*arguments, 0, 0, 0, 0, 0, 0][:6])}
    result = _run(program(machine, PID), words)
    return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(result, result & 0xFFFF)


def _run(code: Sequence[Instruction], words: dict[int, int]) -> int:
    held = at = 0
    while True:
        one = code[at]
        at += 1
        if one.code == 0x20:
            held = words[one.value]
        elif one.code == 0x54:
            held &= one.value
        elif one.code == 0x06:
            return one.value
        else:
            holds = {0x15: held == one.value, 0x25: held > one.value, 0x45: bool(held & one.value)}[one.code]
            at += one.then if holds else one.otherwise


@pytest.fixture(params=NUMBERS)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_call_by_the_numbers_of_another_machine_ends_the_process(machine: str) -> None:
    assert verdict(machine, "openat", architecture=0x40000003) == KILLED


def test_calls_that_nobody_looked_at_are_not_there(machine: str) -> None:
    assert verdict(machine, NEWEST + 1) == errno.ENOSYS
    assert verdict(machine, 0x40000000 + NUMBERS[machine]["socket"], 2, 1) == errno.ENOSYS


def test_threads_can_be_started_and_processes_cannot(machine: str) -> None:
    as_threads_are = 0x3D0F00
    assert verdict(machine, "clone", as_threads_are) == ALLOWED
    assert verdict(machine, "clone", 0x1200011) == errno.EPERM
    assert verdict(machine, "clone3") == errno.ENOSYS
    for name in ("fork", "vfork", "execve", "execveat"):
        if name in NUMBERS[machine]:
            assert verdict(machine, name) == errno.EPERM


def test_signals_reach_the_process_itself_alone(machine: str) -> None:
    for name in ("kill", "tgkill"):
        assert verdict(machine, name, PID) == ALLOWED
        for other in (0, -1, -PID, PID + 1):
            assert verdict(machine, name, other) == errno.EPERM
    assert verdict(machine, "prlimit64", 0) == ALLOWED
    assert verdict(machine, "prlimit64", 1) == errno.EPERM
    assert verdict(machine, "fcntl", 3, 8, 1) == errno.EPERM
    assert verdict(machine, "fcntl", 3, 2, 1) == ALLOWED


def test_a_pair_of_sockets_is_all_that_there_is_of_them(machine: str) -> None:
    assert verdict(machine, "socketpair", 1, 1 | 0x80000, 0) == ALLOWED
    assert verdict(machine, "socketpair", 1, 1 | 0x800, 0) == ALLOWED
    assert verdict(machine, "socketpair", 1, 2, 0) == errno.EACCES
    assert verdict(machine, "socketpair", 2, 1, 0) == errno.EACCES
    for name in ("socket", "connect", "bind", "listen", "accept4"):
        assert verdict(machine, name, 1, 1) == errno.EACCES


def test_files_are_not_cut_by_who_only_reads_them(machine: str) -> None:
    assert verdict(machine, "openat", -100, 0, 0x200) == errno.EPERM
    assert verdict(machine, "openat", -100, 0, 0x200 | 0x40 | 1) == ALLOWED
    assert verdict(machine, "openat", -100, 0, 0x80000) == ALLOWED
    assert verdict(machine, "openat2") == errno.ENOSYS


def test_modes_and_times_seem_to_be_set(machine: str) -> None:
    for name in ("fchmod", "fchmodat", "utimensat"):
        assert verdict(machine, name) == 0
    assert verdict(machine, "fchownat") == errno.EPERM
    assert verdict(machine, "fsetxattr") == errno.EOPNOTSUPP


def test_every_name_is_known_on_a_machine() -> None:
    """One that is misspelt would let a call through."""
    from archlint.containment import seccomp

    known = {name for numbers in NUMBERS.values() for name in numbers}
    named = {name for names in seccomp._ANSWERS for name in names.split()} | seccomp._checks(PID).keys()
    assert named <= known
    assert all(number <= NEWEST for numbers in NUMBERS.values() for number in numbers.values())
    assert len(program("x86_64", PID)) < 4096  # what the kernel takes
