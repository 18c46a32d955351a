"""A function or a constant of a library as its module has it, without importing the module.

A module that is imported already is asked itself. Of any other the text is read: to import transformers' Trainer
brings a library for tables, and to import PEFT brings every tuner, which a survey has no use for. What is not plain
enough to be read by itself is imported after all.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import importlib.util
import inspect
import re
import symtable
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from operator import attrgetter
from typing import Any


def function(module: str, name: str) -> Callable[..., Any]:
    """The function or method ``name`` (``Class.method``) of ``module``.

    Raises:
        ImportError: there is no such module.
        AttributeError: it has no such function.
    """
    return _held(module, name, _written_function)  # type: ignore[no-any-return]


def constant(module: str, name: str) -> Any:
    """What ``module`` assigns to ``name``.

    Raises:
        ImportError: there is no such module.
        AttributeError: it has no such name.
    """
    return _held(module, name, _written_constant)


def find(module: str) -> ModuleSpec | None:
    """Where ``module`` is; unlike :func:`importlib.util.find_spec` this does not import what it lies in."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    for part in inner:
        if spec is None:
            return None
        folders = list(map(str, spec.submodule_search_locations or ()))  # transformers has paths there
        spec = PathFinder.find_spec(f"{spec.name}.{part}", folders)
    return spec


class _NotPlainError(Exception):
    """The text alone does not say it."""


def _held(module: str, name: str, written: Callable[[str, str], Any]) -> Any:
    if module not in sys.modules:
        try:
            return written(module, name)
        except (_NotPlainError, ImportError, SyntaxError):
            pass
    return attrgetter(name)(importlib.import_module(module))


@functools.cache
def _written_function(module: str, name: str) -> Callable[..., Any]:
    """The function, with those globals alone that it names; each comes from where ``module`` imports it."""
    source = _source(module)
    name = name.rpartition(".")[2]
    places = list(re.finditer(rf"^ *def {name}\(", source, re.MULTILINE))
    if len(places) != 1 or not source.endswith("\n\n", 0, places[0].start()):  # a decorator would stand there
        raise _NotPlainError(name)
    block = textwrap.dedent("".join(inspect.getblock(source[places[0].start() :].splitlines(keepends=True))))
    block = f"from __future__ import annotations\n{block}"  # which are not evaluated then
    imported = _imports(source, module.rpartition(".")[0])
    namespace: dict[str, Any] = {}
    for used in set(_globals(symtable.symtable(block, module, "exec"))) - {name} - set(dir(builtins)):
        made = re.search(rf"^(?:def |class )?{used} *[=:(]", source, re.MULTILINE)  # by the module itself
        if made or len(imported.get(used, ())) != 1:
            raise _NotPlainError(used)
        namespace[used] = _import_from(*imported[used][0])
    exec(compile(block, module, "exec", dont_inherit=True), namespace)
    found: Callable[..., Any] = namespace[name]
    return found


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    """Names that the code takes from around it."""
    whole = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() if whole else symbol.is_global():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals(inner)


def _imports(source: str, package: str) -> dict[str, list[tuple[str, str]]]:
    """What the module imports before its first class or function: by each name, module and name of what it may be."""
    first = re.search(r"^(?:class |def |@)", source, re.MULTILINE)
    found: dict[str, list[tuple[str, str]]] = {}
    for node in ast.walk(ast.parse(source[: first.start()] if first else source)):
        if isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, []).append((origin, alias.name))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                found.setdefault(alias.asname or whole, []).append((whole, ""))
    return found


def _import_from(module: str, name: str) -> Any:
    """What ``from module import name`` gives; the module itself where no name is given."""
    holder = importlib.import_module(module)
    if not name:
        return holder
    return getattr(holder, name) if hasattr(holder, name) else importlib.import_module(f"{module}.{name}")


@functools.cache
def _written_constant(module: str, name: str) -> Any:
    """The one literal that is assigned to ``name``, where nothing but copies is made of it later."""
    tree = ast.parse(_source(module))
    assigned = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
    ]
    copied = sum(
        isinstance(node, ast.Attribute)
        and node.attr == "copy"
        and isinstance(node.value, ast.Name)
        and node.value.id == name
        for node in ast.walk(tree)
    )
    named = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))
    if len(assigned) != 1 or named != 1 + copied:
        raise _NotPlainError(name)
    try:
        return ast.literal_eval(assigned[0])
    except ValueError as error:
        raise _NotPlainError(name) from error


def _source(module: str) -> str:
    spec = find(module)
    reader = getattr(spec.loader, "get_source", None) if spec is not None else None
    source = reader(module) if reader is not None else None
    if source is None:
        raise _NotPlainError(module)
    text: str = source
    return text
