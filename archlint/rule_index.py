"""What the installed rules say of themselves, kept from the last time that they were loaded.

To list rules, to explain one or to know their codes, none has to be imported as long as all that they come from is as
it was, which is looked at each time. What is not kept, or no longer true, costs loading them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from archlint import __version__
from archlint.core.catalog import Catalog, Known
from archlint.digests import key_of
from archlint.report.rule_pages import RulePage, entry, read_entry
from archlint.rule_origins import Origins, State, installed
from archlint.store import Store, usual

if TYPE_CHECKING:
    from archlint.core.rule import Rule

_SETTLED = 2.0
"""Seconds after a file was changed from which another change shows in its time, whatever the file system."""


def read() -> dict[str, RulePage] | None:
    """The pages of all installed rules, by code; ``None`` where they are not known without importing the rules."""
    store, key = usual(), _key()
    content = None if store is None or key is None else store.get(key)
    if content is None:
        return None
    try:
        kept = json.loads(content)
        if not _origins(kept["origins"]).are_unchanged:
            return None
        pages = [read_entry(values) for values in kept["rules"]]
    except (ValueError, TypeError, LookupError, AttributeError):  # what nobody wrote who is asked here
        return None
    return {page.code: page for page in pages} or None


def load() -> Catalog:
    """All installed rules, really loaded; what they say is kept, unless a plugin among them cannot be loaded."""
    begin, before, key = time.time(), frozenset(sys.modules), _key()
    catalog = Catalog.load()
    is_fresh = before.isdisjoint(rule.__module__ for rule in catalog.rules.values())
    store = usual()
    if store is not None and key is not None and is_fresh and not catalog.failures:
        _keep(store, key, catalog.rules.values(), begin)
    return catalog


def catalog() -> Catalog:
    """All installed rules; where they are kept, they are loaded once more is asked for than what is known of each."""
    pages = read()
    return load() if pages is None else deferred(pages)


def deferred(pages: Mapping[str, RulePage]) -> Catalog:
    """The rules of ``pages``, which are loaded once one is asked for."""
    known = {code: Known(page.name, page.module) for code, page in pages.items()}
    return Catalog.deferred(known)


def _keep(store: Store, key: str, rules: Collection[type[Rule]], begin: float) -> None:
    """Keep what ``rules`` say, which were imported after ``begin``, where a change of their files would show."""
    from archlint.report.rule_examples import illustrated

    try:
        origins = Origins.of(rules)
        pages = [entry(illustrated(rule)) for rule in rules]
    except Exception:  # a plugin's example that cannot be shown, or a module like no other: what asks for it tells
        return
    last = begin - _SETTLED
    if all(0 < state.changed / 1e9 < last for state in origins.files.values()):
        store.put(key, json.dumps({"origins": origins._asdict(), "rules": pages}).encode())


def _key() -> str | None:
    """What says which packages are installed, for which Python; ``None`` where that cannot be told."""
    packages = installed()
    if packages is None:
        return None
    python = (sys.version, sys.flags.optimize)  # which takes docstrings away
    return key_of("rules", __version__, __file__, python, packages)


def _origins(values: Mapping[str, Any]) -> Origins:
    """Those that were written as ``values``."""
    files = {file: State(*state) for file, state in values["files"].items()}
    return Origins(values["packages"], values["folders"], files)
