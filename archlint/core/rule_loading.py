"""Finding rules: those that packages register under the entry-point group ``archlint.rules``, and files.

An entry point names a package, a module or one class; of a package, every module is read.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import io
import itertools
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from archlint.core.catalog import RuleLoadError
from archlint.core.rule import Rule

GROUP = "archlint.rules"
BUILT_IN = "archlint.rules"


def load(files: Iterable[Path] = ()) -> tuple[dict[str, type[Rule]], tuple[RuleLoadError, ...]]:
    """Every registered rule and those in ``files``, by code, and the plugins that cannot be loaded.

    Raises:
        RuleLoadError: a file cannot be loaded, holds no rule, or claims a code that is taken.
    """
    failures: list[RuleLoadError] = []
    rules: dict[str, type[Rule]] = {}
    # without installed metadata (a plain checkout) the built-in rules are there all the same
    registered = dict.fromkeys([BUILT_IN, *(point.value for point in entry_points(group=GROUP))])
    for part in itertools.chain.from_iterable(map(_parts, registered)):
        try:
            rules = _joined(rules, _rules_of(_resolve(part)))
        except RuleLoadError as error:
            failures.append(RuleLoadError(f"rule plugin {part}: {error}"))
        except (Exception, SystemExit) as error:
            failures.append(RuleLoadError(f"rule plugin {part}: {type(error).__name__}: {error}"))
    for file in files:
        rules = _joined(rules, _rules_of_file(file))
    return dict(sorted(rules.items())), tuple(failures)


def _resolve(target: str) -> Any:
    module, _, attribute = target.partition(":")
    with _results_kept_apart():
        found: Any = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
    return found


def _results_kept_apart() -> contextlib.redirect_stdout[TextIO]:
    """Send what foreign code prints to standard error: standard output is for results."""
    return contextlib.redirect_stdout(sys.stderr or io.StringIO())


def _parts(target: str) -> Iterator[str]:
    """``target`` and, once that is imported and is a package, all modules in it: each may fail by itself."""
    yield target
    # whoever took the target has tried to import it: not walk_packages, which would import it once more
    path = getattr(sys.modules.get(target), "__path__", ())
    for module in pkgutil.iter_modules(path, f"{target}."):
        yield from _parts(module.name)


def _rules_of(found: Any) -> Iterable[type[Rule]]:
    if not isinstance(found, type):
        return _defined_in(found)
    if not issubclass(found, Rule):
        raise RuleLoadError(f"{found.__qualname__} is no rule (a class that inherits from archlint.Rule)")
    return [found]


def _defined_in(module: ModuleType) -> Iterator[type[Rule]]:
    # type(), not isinstance(): in Python 3.10 an alias such as tuple[str, ...] says that it is a class
    for found in (member for member in vars(module).values() if issubclass(type(member), type)):
        if issubclass(found, Rule) and found.__module__ == module.__name__ and not inspect.isabstract(found):
            yield found


def _rules_of_file(file: Path) -> list[type[Rule]]:
    name = str(file.resolve())  # no module of a package can have it
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise RuleLoadError(f"{file}: no Python file with rules")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _results_kept_apart():
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise RuleLoadError(f"{file}: {type(error).__name__}: {error}") from error
    rules = list(_defined_in(module))
    if not rules:
        raise RuleLoadError(f"{file}: defines no rule (a class that inherits from archlint.Rule)")
    return rules


def _joined(known: Mapping[str, type[Rule]], found: Iterable[type[Rule]]) -> dict[str, type[Rule]]:
    rules = dict(known)
    for rule in found:
        for attribute in ("code", "name", "severity", "why"):
            if not hasattr(rule, attribute):
                raise RuleLoadError(f"{rule.__module__}.{rule.__qualname__} has no {attribute}")
        if rules.setdefault(rule.code, rule) is not rule:
            raise RuleLoadError(f"{rule.code} is claimed by {rules[rule.code].__module__} and {rule.__module__}")
    return rules
