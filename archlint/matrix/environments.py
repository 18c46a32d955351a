"""Environments to check in: built once for the same question, then used again.

Of what a stack does not ask for, an environment has what is installed here, as far as the stack lets it: the
installer finds that there already, and replaces only what does not fit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from archlint.matrix.adopting import adopt, closure
from archlint.matrix.installing import Installer, InstallError
from archlint.matrix.packing import Package
from archlint.matrix.processes import run
from archlint.matrix.spec import Stack
from archlint.report.quoting import clip

_VERSIONS = "versions.json"
_UNUSED = 30 * 24 * 3600
"""Seconds after which an environment that nobody used is removed."""
_BUILDING = ".building-"
_SITE_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"
_INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps({one.metadata["Name"]: one.version for one in reversed(list(distributions()))}))
"""
_AS_HERE = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]  # else a json.py of the working directory would be run
import json, runpy
sys.path[:] = json.loads(sys.argv.pop(1))
runpy.run_module("archlint", run_name="__main__", alter_sys=True)
"""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Environment:
    """Where archlint can be run."""

    archlint: tuple[str, ...]
    """The command, to which arguments are added."""
    versions: Mapping[str, str]
    """Of all that is installed there, by canonical name."""


def here() -> Environment:
    """The one that this process runs in."""
    path = json.dumps([str(Path(entry).absolute()) for entry in sys.path])
    found = {one.metadata["Name"]: one.version for one in reversed(list(distributions()))}
    return Environment((sys.executable, "-c", _AS_HERE, path), _canonical(found))


def cache() -> Path:
    """The folder of all environments, in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "archlint" / "environments"


def environment(stack: Stack, package: Package, installer: Installer, tell: Tell) -> Environment:
    """The one for ``stack``, built unless it is there already.

    Args:
        stack: what it is to have.
        package: archlint.
        installer: what builds it.
        tell: what is told each stage.

    Raises:
        InstallError: it cannot be built.
    """
    adopted = _adopted(stack, package)
    folder = cache() / _key(stack, package, adopted)
    if any(requirement.url is not None for requirement in stack.requirements):
        shutil.rmtree(folder, ignore_errors=True)  # what is at an address may have changed
    try:
        if not folder.is_dir():
            _build(folder, stack, package, adopted, installer, tell)
        os.utime(folder)
        versions = json.loads((folder / _VERSIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InstallError(clip(f"{folder}: {error}", 300)) from error
    return Environment((str(_python(folder)), "-I", "-m", "archlint"), versions)


def _adopted(stack: Stack, package: Package) -> dict[str, Distribution]:
    """What is installed here of that which archlint needs, less what ``stack`` asks another version of."""
    needed = map(Requirement, (*package.dependencies, *package.optional))
    installed = closure([*needed, *stack.requirements])
    asked = zip(stack.packages, stack.requirements, strict=True)
    other = {name for name, wanted in asked if name in installed and not _is(installed[name], wanted, stack)}
    return {name: one for name, one in installed.items() if name not in other}


def _is(installed: Distribution, wanted: Requirement, stack: Stack) -> bool:
    """Whether it is the very version that is asked for; where others would do, the installer chooses."""
    pinned = stack.pinned(canonicalize_name(wanted.name))
    return pinned is not None and wanted.specifier.contains(installed.version, prereleases=True)


def _key(stack: Stack, package: Package, adopted: Mapping[str, Distribution]) -> str:
    question = {
        "requirements": sorted(map(str, stack.requirements)),
        "archlint": package.digest,
        "python": [sys.version, sys.base_prefix],
        "installed": [(name, one.version, one.read_text("direct_url.json")) for name, one in sorted(adopted.items())],
    }
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]


def _build(
    folder: Path,
    stack: Stack,
    package: Package,
    adopted: Mapping[str, Distribution],
    installer: Installer,
    tell: Tell,
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_unused(folder.parent)
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_BUILDING))
    try:
        tell("making an environment")
        venv.EnvBuilder(symlinks=os.name != "nt", with_pip=installer.needs_pip).create(making)
        python = _python(making)
        adopt(adopted.values(), Path(_asked(python, _SITE_PACKAGES)))
        tell("installing")
        optional = [name for name in package.optional if canonicalize_name(name) in adopted]
        wheel = package.wheel(making)
        installer.install([str(wheel), *map(str, stack.requirements), *optional], python, making)
        wheel.unlink()
        versions = _canonical(json.loads(_asked(python, _INSTALLED)))
        if elsewhere := [name for name in stack.packages if name not in versions]:
            raise InstallError(f"{', '.join(elsewhere)}: the installer put it elsewhere, as with PIP_TARGET")
        (making / _VERSIONS).write_text(json.dumps(versions), encoding="utf-8")
        _publish(making, folder)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise


def _publish(making: Path, folder: Path) -> None:
    """Give an environment its name, under which only whole ones are found."""
    try:
        making.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(making, ignore_errors=True)  # another process was first


def _asked(python: Path, code: str) -> str:
    ended = run([str(python), "-I", "-c", code])
    if ended.code:
        raise InstallError(clip(ended.error.strip().rpartition("\n")[2], 300))
    return ended.out.strip()


def _python(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def _canonical(versions: Mapping[str, str]) -> dict[str, str]:
    return {str(canonicalize_name(name)): version for name, version in versions.items()}


def _remove_unused(folder: Path) -> None:
    before = time.time() - _UNUSED
    for old in folder.iterdir():
        with contextlib.suppress(OSError):
            if old.stat().st_mtime < before:
                shutil.rmtree(old)
