"""archlint's own code, by content: a clone has new times at each run of CI, and an editable install no new version."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from archlint.digests import digest, key_of
from archlint.surroundings import content, files

AFTER = frozenset({"cli", "matrix", "report", "rules", "scanning", "suppressions"})
"""Folders that work on what the survey and the trials came to, and that nothing which makes these imports. All else
counts, so that a folder that is new does; but not the snapshots, whose content a source comes with."""

_READ = (".py", ".json")
_SNAPSHOTS, _RULES = "fixtures/", "rules/"


def survey_code() -> str:
    """Digest of the code that survey and trials depend on."""
    return _digests()[0]


def all_code() -> str:
    """Digest of all code, with the built-in rules. What plugins are made of is no part of it."""
    return key_of(*_digests())


@functools.cache
def _digests() -> tuple[str, str]:
    """Of the code up to the trials, and of that after them, as it was when it was first asked for."""
    until: list[list[str]] = []
    after: list[list[str]] = []
    for path, file in _code():
        (after if path.partition("/")[0] in AFTER else until).append([path, digest(content(file))])
    return key_of(sorted(until)), key_of(sorted(after))


def _code() -> Iterator[tuple[str, str]]:
    """All files, each by its path in the package as it is installed: in a checkout the rules stand beside it."""
    package = Path(__file__).parent
    yield from ((path, f"{package}/{path}") for path in files(package, _READ, {_SNAPSHOTS, _RULES}))
    spec = find_spec("archlint.rules")
    for root in map(Path, spec.submodule_search_locations or () if spec else ()):
        yield from ((_RULES + path, f"{root}/{path}") for path in files(root, _READ))
