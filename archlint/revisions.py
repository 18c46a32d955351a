"""Files as they were at a revision of the git repository that they are in."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_READ = {".py", ".json", ".safetensors"}
"""Suffixes of what archlint reads of a folder."""
_LARGEST = 64 * 2**20
"""Bytes of the largest of these files that is taken: those of weights are larger, and are not read."""
_ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
"""What a hook is told of the repository that it runs for, which need not be the one that is asked."""
_LINK, _MODULE = "120000", "160000"
"""Modes of symbolic links and of submodules."""


class RevisionError(Exception):
    """There is no repository, no git or no such revision; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Past:
    """Where files are as they were."""

    revision: str
    """The commit that they are of, in full: where the change which is looked at began."""
    places: Mapping[Path, Path | None]
    """For each path the one that holds what was there; ``None`` where nothing was."""
    unchanged: bool
    """Whether all of them are still as they were."""


def holds(path: Path) -> bool:
    """Whether a git repository holds ``path``."""
    try:
        _top(path)
    except RevisionError:
        return False
    return True


@contextlib.contextmanager
def past(revision: str, paths: Iterable[Path]) -> Iterator[Past]:
    """Within the block, ``paths`` as they were where the history of ``revision`` and the present one part.

    For a commit that the present one builds upon, that is the commit itself. The working tree and the index of the
    repository stay as they are. Of a folder there is what archlint reads, without submodules.

    Raises:
        RevisionError: a path is in no repository, or the repository has no such revision.
    """
    paths = list(paths)
    with tempfile.TemporaryDirectory(prefix="archlint-") as folder:
        top = _top(paths[0])
        for path in paths:
            if _top(path) != top:
                raise RevisionError(f"{path} is in another git repository than {paths[0]}")
        commit = _beginning(top, revision)
        inside = {path: Path(os.path.realpath(path)).relative_to(top).as_posix() for path in paths}
        root = Path(folder) / top.name  # a folder's name may be told
        for name in dict.fromkeys(inside.values()):
            _write(top, commit, name, root)
        places = {path: root / name if os.path.lexists(root / name) else None for path, name in inside.items()}
        yield Past(commit, places, _is_unchanged(top, commit, list(inside.values())))


def _top(path: Path) -> Path:
    """The folder of the repository that ``path`` is in."""
    folder = Path(os.path.realpath(path))
    while not folder.is_dir():
        folder = folder.parent
    try:
        return Path(os.path.realpath(_git(folder, "rev-parse", "--show-toplevel").decode().rstrip("\n")))
    except RevisionError as error:
        raise RevisionError(f"{path} is in no git repository ({error})") from error


def _beginning(top: Path, revision: str) -> str:
    try:
        commit = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except RevisionError as error:
        raise RevisionError(
            f"the repository {top} has no revision {revision!r}; where it was cloned without its history, fetch that "
            "first (actions/checkout: fetch-depth: 0)"
        ) from error
    named = commit.decode().strip()
    try:
        return _git(top, "merge-base", named, "HEAD").decode().strip()
    except RevisionError:  # histories that have nothing in common, or not here
        return named


def _write(top: Path, commit: str, name: str, root: Path) -> None:
    """Put what ``name`` was below ``root``, at its own place."""
    wanted = []
    listed = _git(top, "ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *([] if name == "." else [name]))
    for entry in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
        head, _, path = entry.partition("\t")
        mode, _, blob, size = head.split()
        is_read = path == name or (Path(path).suffix in _READ and size.isdigit() and int(size) <= _LARGEST)
        if mode != _MODULE and is_read:
            wanted.append((mode, blob, root / path))
    contents = _git(top, "cat-file", "--batch", given="".join(f"{blob}\n" for _, blob, _ in wanted).encode())
    at = 0
    for mode, _, file in wanted:
        start = contents.index(b"\n", at) + 1
        end = start + int(contents[at:start].split()[2])
        at = end + 1
        file.parent.mkdir(parents=True, exist_ok=True)
        if mode == _LINK:
            file.symlink_to(os.fsdecode(contents[start:end]))
        else:
            file.write_bytes(contents[start:end])


def _is_unchanged(top: Path, commit: str, names: list[str]) -> bool:
    others = ("--others", "--exclude-standard")
    changed = _git(top, "diff", "--name-only", "--no-ext-diff", commit, "--", *names)
    return not changed and not _git(top, "ls-files", *others, "--", *names)


def _git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    inherited = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    literal = {**inherited, "GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, env=literal, input=given, capture_output=True)
    except FileNotFoundError as error:
        raise RevisionError("git is not installed") from error
    if done.returncode:
        raise RevisionError(done.stderr.decode(errors="replace").strip().removeprefix("fatal: ") or "git failed")
    return done.stdout
