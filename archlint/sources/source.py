"""What a source is once it is resolved, what resolving may be told, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What the user says about how to look for a source."""

    offline: bool = False
    """Do not ask the hub: start at its cache."""
    revision: str | None = None
    """Branch, tag or commit of a hub repository."""
    subfolder: str | None = None
    """Folder inside the repository, or inside the local folder, that holds config.json."""
    cache_dir: Path | None = None
    """The hub cache to use; the usual one where it is ``None``."""
    trust_remote_code: bool = False
    """Run the repository's own code where nothing else has the architecture; nothing is run here."""
    require_sandbox: bool = False
    """Run it only where files, network and processes are closed to it."""
    class_name: str | None = None
    """The class to build, where the user names it: the configuration may then lack ``model_type``."""


@dataclass(frozen=True, slots=True)
class Source:
    """An architecture's configuration and where it came from."""

    name: str
    """As the user wrote it."""
    id: str
    """What was resolved: a repository id, a path, or the name of a model type."""
    origin: str
    """``hub``, ``cache``, ``local``, ``snapshot`` or ``type``."""
    config: Mapping[str, Any] | None
    """The content of config.json; for a model type its ``model_type`` alone."""
    revision: str | None = None
    """The commit where it is known, else the revision that was asked for."""
    folder: Path | None = None
    """Where the code files that ``auto_map`` names lie, where they are needed and at hand."""
    family: tuple[str, ...] = ()
    """Other members, where a family's representative was taken."""
    notes: tuple[str, ...] = ()
    """What the reader should know of how this was found, a line each."""


class SourceError(Exception):
    """A source cannot be used. The text is one line that says what is wrong and what to do.

    Attributes:
        message: what is wrong.
        hint: what to do, where there is something to say.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(_one_line(f"{message}; {hint}" if hint else message))


def _one_line(text: str) -> str:
    """``text`` without line breaks or control characters, which names in somebody's file may hold."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
