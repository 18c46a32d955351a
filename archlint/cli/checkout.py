"""The repository that archlint is called in, whose files findings are shown in, and what sources are read from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archlint.engine import Options
    from archlint.report.places import Checkout, ConfigFile


def checkout(options: Mapping[str, Options]) -> Checkout:
    """That of the working directory; ``options`` is how each source was checked."""
    from archlint.report.places import Checkout

    here = Path.cwd()
    files = {source: how.plan_file for source, how in options.items()}
    plans = {source: str(file.path) for source, file in files.items() if file is not None}
    return Checkout(root(here), here, dict(_configs(options)), plans)


def root(folder: Path) -> Path:
    """The top of the git repository that ``folder`` is in; ``folder`` where it is in none.

    CI systems name files from there, wherever in it a command is called.
    """
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)


def _configs(options: Mapping[str, Options]) -> Iterator[tuple[str, ConfigFile]]:
    """Each source that is a path, and the file in it that is read, or is missing."""
    from archlint.report.places import ConfigFile
    from archlint.sources.contents import ADAPTER_CONFIG, CONFIG

    for source, how in options.items():
        subfolder = how.source.subfolder
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # a name that no path can have
            path = Path(source).expanduser()
            if path.is_dir():
                folder = path / subfolder if subfolder else path
                is_adapter = (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()
                path = folder / (ADAPTER_CONFIG if is_adapter else CONFIG)
            elif not path.is_file():
                continue
            yield source, ConfigFile(str(path), _lines(path))


def _lines(file: Path) -> Mapping[str, int]:
    """The line of each key of a JSON object; none where the file is no such thing."""
    from archlint.plans import PlanError
    from archlint.plans.documents.json_document import JsonDocument

    with contextlib.suppress(OSError, ValueError, PlanError):
        (section,) = JsonDocument(file, file.read_text(encoding="utf-8-sig")).sections
        return {key: entry.line for key, entry in section.entries.items()}
    return {}
