"""Sources that are files and folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from archlint.sources import custom_code, jsonfile
from archlint.sources.contents import ADAPTER_CONFIG, CONFIG, no_config
from archlint.sources.source import Source, SourceError, SourceOptions

_LISTED = 1000


def exists(name: str) -> bool:
    """Whether ``name`` is an existing path.

    Raises:
        SourceError: a folder on the way may not be searched.
    """
    try:
        _path(name).stat()
    except PermissionError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}") from error
    except (OSError, ValueError, RuntimeError):  # a name that no path can have, the home of a user that is not here
        return False
    return True


def looks_like_path(name: str) -> bool:
    """Whether ``name`` can only have been meant as a path: a hub id is ``name`` or ``organisation/name``."""
    return name.startswith((".", "~", "/")) or name.endswith(("/", ".json")) or "\\" in name or name.count("/") > 1


def load(name: str, options: SourceOptions) -> Source:
    """The configuration in the existing file or folder ``name``.

    Raises:
        SourceError: there is none, it may not be read, or it is not JSON.
    """
    try:
        return _load(name, _path(name), options)
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror or error}") from error


def _load(name: str, path: Path, options: SourceOptions) -> Source:
    notes = [f"{option} is ignored for a local path" for option in _useless_options(path, options)]
    root = path if path.is_dir() else path.parent
    file = path
    if path.is_dir():
        folder = path / options.subfolder if options.subfolder else path
        file = folder / CONFIG
        if not file.is_file():
            raise _no_config(name, folder)
    document = jsonfile.read(file)
    notes += jsonfile.remarks(document, file.name)
    return Source(
        name=name,
        id=str(path),
        origin="local",
        config=document.content,
        folder=custom_code.folder(document.content, file.parent, root),
        notes=tuple(notes),
    )


def _path(name: str) -> Path:
    return Path(name).expanduser()


def _useless_options(path: Path, options: SourceOptions) -> Iterator[str]:
    if options.revision:
        yield "--revision"
    if options.subfolder and not path.is_dir():
        yield "--subfolder"


def _no_config(name: str, folder: Path) -> SourceError:
    if not folder.is_dir():
        return SourceError(f"{name} has no folder {folder.name}")
    files = set(_files(folder))

    def read(file: str) -> Mapping[str, Any]:
        if not (folder / file).is_file():  # a pipe, from which nothing may ever come
            raise SourceError(f"{folder / file} is no file")
        return jsonfile.read(folder / file).content

    explained = no_config(str(folder), files, read, adapter_file=str(folder / ADAPTER_CONFIG))
    if name == folder.name:  # a bare word, which may have been meant as a model type
        return SourceError(explained.message, f"{explained.hint}; for the model type of this name write type:{name}")
    return explained


def _files(folder: Path) -> Iterator[str]:
    """What lies in ``folder``, and the configurations one level deeper."""
    yield from (path.name for path in islice(folder.iterdir(), _LISTED))
    yield from (f"{path.parent.name}/{CONFIG}" for path in islice(folder.glob(f"*/{CONFIG}"), _LISTED))
