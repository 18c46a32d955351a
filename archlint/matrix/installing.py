"""uv where it is on the path, else pip: what is asked of them, and what they say when they cannot."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import Version

from archlint.matrix.processes import Ended, run
from archlint.report.quoting import clip

_LONGEST = 300
_OF_PYTHON_HERE = ("PYTHONPATH", "PYTHONHOME")
"""With these pip takes what is here for what is installed there, or installs it here."""
_PYTHON = "{python}"
_FIRST_FOR_OTHERS = Version("22.3")
"""The first pip that installs into another environment than its own."""
_PIP_SETTING = re.compile(r"^(?:global|install|:env:)\.\.?([\w-]+)=(.+)$")
_DRAWN = re.compile(r"[╰├│─▶×]+|-+>")
"""What uv draws around its words."""
_NO_MATTER = re.compile(r"^(?:error: )?(?:No solution found when resolving dependencies:?\s*(?:cause: )?)?")
"""How all its complaints begin."""


class InstallError(Exception):
    """Something cannot be installed; the message is the installer's reason, on one line."""


@dataclass(frozen=True)
class Installer:
    """A program that installs packages into an environment, given the path of its interpreter."""

    command: tuple[str, ...]
    """With :data:`_PYTHON` for that interpreter."""
    needs_pip: bool = False
    """The environment must have pip for it."""
    variables: Mapping[str, str] = field(default_factory=dict)
    in_folder: bool = True
    """It runs in the environment's folder, not in the working directory, whose modules it would import."""

    def install(self, requirements: Sequence[str], python: Path, folder: Path) -> None:
        """Install ``requirements`` for ``python``, of the environment in ``folder``.

        Raises:
            InstallError: it cannot be done.
        """
        command = [part.replace(_PYTHON, str(python)) for part in self.command]
        own = {name: value for name, value in os.environ.items() if name not in _OF_PYTHON_HERE}
        environment = {**own, **self.variables}
        try:
            ended = run([*command, *requirements], cwd=folder if self.in_folder else None, env=environment)
        except OSError as error:
            raise InstallError(f"{command[0]}: {error.strerror or error}") from error
        if ended.code:
            raise InstallError(reason(ended))


def installer() -> Installer:
    """The one to use."""
    if uv := shutil.which("uv"):
        command = (uv, "pip", "install", "--no-progress", "--color", "never", "--python", _PYTHON)
        return Installer(command, variables=_as_uv_has_them(_pip_settings()), in_folder=False)
    options = ("install", "--no-input", "--disable-pip-version-check", "--quiet")
    variables = {"PIP_USER": "0"}
    try:
        if Version(version("pip")) >= _FIRST_FOR_OTHERS:
            return Installer((sys.executable, "-m", "pip", "--python", _PYTHON, *options), variables=variables)
    except PackageNotFoundError:
        pass
    return Installer((_PYTHON, "-m", "pip", *options), needs_pip=True, variables=variables)


def _pip_settings() -> dict[str, list[str]]:
    """What pip here is set to, in its files and in the environment; nothing where there is no pip."""
    try:
        ended = run([sys.executable, "-m", "pip", "config", "list"], cwd=Path(sys.prefix))
    except OSError:
        return {}
    found: dict[str, list[str]] = {}
    for line in ended.out.splitlines():
        if match := _PIP_SETTING.match(line):
            found[match[1]] = str(ast.literal_eval(match[2])).split()  # later ones win: files, then the environment
    return found


def _as_uv_has_them(settings: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Where packages come from, told to uv, which does not read pip's settings. uv's own win."""
    return {name: value for name, value in _sources(settings) if name not in os.environ}


def _sources(settings: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    if index := settings.get("index-url"):
        yield "UV_DEFAULT_INDEX", index[-1]
    if indexes := settings.get("extra-index-url"):
        yield "UV_INDEX", " ".join(indexes)
        yield "UV_INDEX_STRATEGY", "unsafe-best-match"  # as pip has it: all indexes are asked
    if links := settings.get("find-links"):
        yield "UV_FIND_LINKS", ",".join(links)
    if constraints := settings.get("constraint"):
        yield "UV_CONSTRAINT", " ".join(constraints)
    if certificates := settings.get("cert"):
        yield "SSL_CERT_FILE", certificates[-1]


def reason(ended: Ended) -> str:
    """Why an installer failed, on one line."""
    lines = [line.strip() for line in ended.error.splitlines()]
    errors = [line for line in lines if line.startswith("ERROR:") and "ResolutionImpossible" not in line]
    if errors:
        return clip(errors[-1].removeprefix("ERROR:"), _LONGEST)
    said = [line for line in lines if line and not line.startswith(("Using Python", "warning:", "WARNING:", "hint:"))]
    words = _DRAWN.sub(" ", " ".join(said)).strip()
    return clip(_NO_MATTER.sub("", words), _LONGEST) or f"the installer ended with {ended.code}"
