"""Files as they were at a revision of the git repository that they are in."""

from __future__ import annotations

import contextlib
import hashlib
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
_ALONE = ("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "-c", f"core.hooksPath={os.devnull}")
"""A repository's own configuration may name programs, and is not to have them run."""
_SHA256 = 64
"""Digits of the name of an object in repositories of this kind; in all others it is one of SHA-1."""
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


def lack(path: Path) -> str:
    """Why no git repository that may be read holds ``path``; empty where one does."""
    try:
        repository(path)
    except RevisionError as error:
        return str(error)
    return ""


@contextlib.contextmanager
def past(revision: str, paths: Iterable[Path]) -> Iterator[Past]:
    """Within the block, ``paths`` as they were where the history of ``revision`` and the present one part.

    For a commit that the present one builds upon, that is the commit itself. The working tree and the index of the
    repository stay as they are. Of a folder there is what archlint reads, without submodules, and what its links in
    the repository lead to.

    Raises:
        RevisionError: a path is in no repository, or the repository has no such revision, or not the history since.
    """
    paths = list(paths)
    with tempfile.TemporaryDirectory(prefix="archlint-") as folder:
        top = repository(paths[0])
        for path in paths:
            if repository(path) != top:
                raise RevisionError(f"{path} is in another git repository than {paths[0]}")
        commit = _beginning(top, revision)
        inside = {path: Path(os.path.realpath(path)).relative_to(top).as_posix() for path in paths}
        root = Path(folder) / top.name  # a folder's name may be told
        names = _written(top, commit, inside.values(), root)
        places = {path: root / name if os.path.lexists(root / name) else None for path, name in inside.items()}
        # what git ignores is not there, and no change to git
        yield Past(commit, places, None not in places.values() and _is_unchanged(top, commit, names))


def repository(path: Path) -> Path:
    """The folder of the repository that ``path`` is in.

    Raises:
        RevisionError: it is in none, or git does not read it.
    """
    folder = Path(os.path.realpath(path))
    while not folder.is_dir():
        folder = folder.parent
    try:
        return Path(os.path.realpath(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel")).rstrip("\n")))
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
    except RevisionError as error:
        if _git(top, "rev-parse", "--is-shallow-repository").strip() == b"true":
            raise RevisionError(
                f"the repository {top} was cloned without the history in which {revision!r} and the present part; "
                "fetch that first (actions/checkout: fetch-depth: 0)"
            ) from error
        return named  # their histories have nothing in common


def _written(top: Path, commit: str, names: Iterable[str], root: Path) -> list[str]:
    """Put what ``names`` were below ``root``; gives these, and what links in them lead to, which is there as well."""
    written: list[str] = []
    due = list(names)
    while due:
        if (name := due.pop()) not in written:
            written.append(name)
            due += _aims(_write(top, commit, name, root), root)
    return written


def _aims(links: Iterable[Path], root: Path) -> Iterator[str]:
    """What ``links`` lead to, by its name below ``root``; nothing where that is elsewhere."""
    for link in links:
        aim = Path(os.path.realpath(link))
        if aim.is_relative_to(top := Path(os.path.realpath(root))) and not aim.is_file():
            yield aim.relative_to(top).as_posix()


def _write(top: Path, commit: str, name: str, root: Path) -> list[Path]:
    """Put what ``name`` was below ``root``, at its own place; gives the links among that."""
    wanted = []
    for held in _held(top, commit, [name]):
        suffixes = {*_READ, ""} if held.mode == _LINK else _READ  # one without may lead to a folder
        is_read = held.path == name or Path(held.path).suffix in suffixes
        is_new = not os.path.lexists(root / held.path)
        if held.mode != _MODULE and is_read and held.size <= _LARGEST and is_new:
            wanted.append((held.mode, held.blob, root / held.path))
    contents = _git(top, "cat-file", "--batch", given="".join(f"{blob}\n" for _, blob, _ in wanted).encode())
    at = 0
    links = []
    own = os.path.realpath(root)
    for mode, _, file in wanted:
        start = contents.index(b"\n", at) + 1
        end = start + int(contents[at:start].split()[2])
        at = end + 1
        if not Path(os.path.realpath(file.parent)).is_relative_to(own):  # a name or a link that leads out of the tree
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        if mode == _LINK:
            file.symlink_to(os.fsdecode(contents[start:end]))
            links.append(file)
        else:
            file.write_bytes(contents[start:end])
    return links


@dataclass(frozen=True, slots=True)
class _Held:
    """What a commit has under a path: ``size`` is that of a file, and 0 of a submodule."""

    mode: str
    blob: str
    size: int
    path: str


def _held(top: Path, commit: str, names: Iterable[str]) -> Iterator[_Held]:
    """What a commit has below ``names``."""
    paths = [] if "." in names else names
    listed = _git(top, "ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths)
    for entry in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
        head, _, path = entry.partition("\t")
        mode, _, blob, size = head.split()
        yield _Held(mode, blob, int(size) if size.isdecimal() else 0, path)


def _is_unchanged(top: Path, commit: str, names: list[str]) -> bool:
    """Whether what is below ``names`` is what the commit has, byte by byte.

    git itself would run the filters that the repository's configuration names.
    """
    if not all(_is_same(top, held) for held in _held(top, commit, names)):
        return False
    return not _git(top, "ls-files", "--others", "--exclude-standard", "--", *names)


def _is_same(top: Path, held: _Held) -> bool:
    """Whether the file of today is the one that is held; of a submodule that is not known."""
    file = top / held.path
    try:
        if held.mode == _LINK:
            data = os.fsencode(file.readlink())
        elif held.mode == _MODULE or file.is_symlink() or file.stat().st_size != held.size:
            return False
        else:
            data = file.read_bytes()
    except OSError:
        return False
    algorithm = "sha256" if len(held.blob) == _SHA256 else "sha1"
    digest = hashlib.new(algorithm, b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest() == held.blob


def _git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    inherited = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    literal = {**inherited, "GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", *_ALONE, *arguments], cwd=folder, env=literal, input=given, capture_output=True)
    except FileNotFoundError as error:
        raise RevisionError("git is not installed") from error
    if done.returncode:
        raise RevisionError(done.stderr.decode(errors="replace").strip().removeprefix("fatal: ") or "git failed")
    return done.stdout
