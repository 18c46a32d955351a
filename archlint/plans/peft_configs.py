"""PEFT's config classes, by the source of the installed PEFT.

Read from the source because importing PEFT takes seconds, and a usage error is to be told at once.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archlint.core.trial import LORA
from archlint.plans.annotations import lacking
from archlint.plans.document import PlanError

_BASES = ("PeftConfigMixin", "PeftConfig")


@dataclass(frozen=True, slots=True)
class ConfigClass:
    """A tuner's config: its ``peft_type``, the name of its class, and its own arguments with their defaults.

    A default that is no literal is ``None``. The annotations are those of the source.
    """

    tuner: str
    name: str
    arguments: Mapping[str, Any]
    annotations: Mapping[str, ast.expr] = field(repr=False, compare=False)

    @property
    def places_by_module(self) -> bool:
        """Whether it says which modules get an adapter: prompt tuning and its kin do not."""
        return "target_modules" in self.arguments

    def lacking(self, argument: str, value: Any) -> str | None:
        """What belongs in an argument, in words, where ``value`` is of another type; see :mod:`.annotations`."""
        annotation = self.annotations.get(argument)
        return None if annotation is None else lacking(argument, annotation, value)

    def given(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Those of ``content`` that are arguments and not at their default, as JSON values."""
        return {
            key: sorted(value) if isinstance(value, (set, frozenset)) else value
            for key, value in content.items()
            if key in self.arguments and value is not None and value != self.arguments[key]
        }


def config_class(tuner: str) -> ConfigClass:
    """The config class of a ``peft_type``.

    Raises:
        PlanError: the installed PEFT has none for it, or is not installed.
    """
    found = _lora() if tuner == LORA else _classes().get(tuner)
    if found is None:
        known = ", ".join(sorted(_classes()))
        raise PlanError(f"the installed PEFT has no peft_type {tuner!r}; it has {known}")
    return found


def class_named(name: str) -> ConfigClass | None:
    """The config class called ``name``; ``None`` where the installed PEFT has no such config."""
    if name == _lora().name:
        return _lora()
    return next((found for found in _classes().values() if found.name == name), None)


@cache
def bookkeeping() -> frozenset[str]:
    """Keys that PEFT writes into every ``adapter_config.json``, and that place no adapter."""
    fields = {name for owner in _BASES for name in _own_fields(_root() / "config.py", owner)}
    return frozenset(fields - {"task_type"})


@cache
def _lora() -> ConfigClass:
    return next(_configs(_root() / "tuners" / "lora" / "config.py"))


@cache
def _classes() -> dict[str, ConfigClass]:
    files = sorted((_root() / "tuners").glob("*/config.py"))
    return {found.tuner: found for file in files for found in _configs(file)}


def _root() -> Path:
    package = find_spec("peft")
    if package is None or not package.submodule_search_locations:
        raise PlanError("PEFT is not installed: its settings cannot be read")
    return Path(package.submodule_search_locations[0])


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _configs(file: Path) -> Iterator[ConfigClass]:
    """The classes of a file that set ``self.peft_type``."""
    for node in _parsed(file).body:
        if isinstance(node, ast.ClassDef) and (tuner := _tuner(node)) is not None:
            fields = {name: found for name, found in _fields(file, node.name).items() if name not in bookkeeping()}
            arguments = {name: _default(found.value) for name, found in fields.items()}
            annotations = {name: found.annotation for name, found in fields.items()}
            yield ConfigClass(tuner, node.name, {**arguments, "task_type": None}, annotations)


def _tuner(owner: ast.ClassDef) -> str | None:
    """The member of ``PeftType`` that a class gives to ``self.peft_type``."""
    for node in ast.walk(owner):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
            target = node.targets[0]
            value = node.value
            if isinstance(target, ast.Attribute) and target.attr == "peft_type" and _is_name(value.value, "PeftType"):
                return value.attr
    return None


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _fields(file: Path, owner: str) -> dict[str, ast.AnnAssign]:
    """Fields of a dataclass and of its bases, those of the bases first."""
    fields: dict[str, ast.AnnAssign] = {}
    bases = next(
        (node.bases for node in _parsed(file).body if isinstance(node, ast.ClassDef) and node.name == owner), []
    )
    for base in bases:
        if isinstance(base, ast.Name) and (place := _home(file, base.id)) is not None:
            fields |= _fields(place, base.id)
    return fields | _own_fields(file, owner)


def _home(file: Path, name: str) -> Path | None:
    """The file of PEFT in which a class that ``file`` mentions is defined."""
    module = _parsed(file)
    if any(isinstance(node, ast.ClassDef) and node.name == name for node in module.body):
        return file
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            above = file.parents[node.level - 1] if node.level else _root().parent
            place = above.joinpath(*(node.module or "").split("."))
            for found in (place.with_suffix(".py"), place / "config.py", place / "__init__.py"):
                if found.is_file() and any(
                    isinstance(other, ast.ClassDef) and other.name == name for other in _parsed(found).body
                ):
                    return found
    return None


def _own_fields(file: Path, owner: str) -> dict[str, ast.AnnAssign]:
    """The fields that a dataclass has itself."""
    return {
        statement.target.id: statement
        for node in _parsed(file).body
        if isinstance(node, ast.ClassDef) and node.name == owner
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def _default(value: ast.expr | None) -> Any:
    """The default of a field as far as it is a literal."""
    if isinstance(value, ast.Call):
        settings = {keyword.arg: keyword.value for keyword in value.keywords}
        factory = settings.get("default_factory")
        if isinstance(factory, ast.Name):
            return {"dict": {}, "list": []}.get(factory.id)
        value = settings.get("default")
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) and isinstance(value.operand, ast.Constant):
        return -value.operand.value  # type: ignore[operator]
    return value.value if isinstance(value, ast.Constant) else None
