"""A rule's example for those who read about it: a model, a plan, what is said of them, and a fix.

The rule's own tests run it, and compare what it shows.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from archlint.core.finding import Remedy
from archlint.core.rule import Example, Rule
from archlint.report.fixes import is_argument
from archlint.report.rule_pages import RulePage, Shown
from archlint.report.snippet import WIDTH, assignment, literal, lora_config

_TOYS = "archlint.fixtures.toys"
_BELOW = ": the recipe below"


def illustrated(rule: type[Rule]) -> RulePage:
    """The page of ``rule``, with its example."""
    return RulePage.of(rule, shown(rule))


def shown(rule: type[Rule]) -> Shown | None:
    """The first example of ``rule`` that says what is found; ``None`` where the rule's docstring has one itself."""
    example = next((example for example in rule.fires if example.says), None)
    if example is None or "Example" in rule.documentation().sections:
        return None
    severity = rule.severity if example.severity is None else example.severity
    fix = example.fix
    return Shown(
        code=_code(example),
        at=example.at or "",
        says=f"{severity.value} {rule.code} {rule.name}: {example.says}",
        model=_source(example.model),
        fix="" if fix is None else _told(fix),
        change=assignment(fix.kind, fix.value) if fix is not None and is_argument(fix) else "",
    )


def _code(example: Example) -> str:
    imports = ["import archlint"]
    model = literal(example.model)
    if example.model.startswith("toy:"):
        module, name = _toy(example.model)
        imports.append(f"from {_TOYS}.{module} import {name}")
        model = f"{name}()"
    arguments: dict[str, Any] = {}
    if example.trainers:
        arguments["trainers"] = [trainer.value for trainer in example.trainers]
    if example.arguments:
        arguments["trainer_args"] = example.arguments
    if example.scope is not None:
        arguments["scope"] = example.scope.value
    rest = "".join(f", {assignment(name, value)}" for name, value in arguments.items())
    if example.plan is None:
        return "\n".join([*imports, "", f"print(archlint.lint({model}{rest}))"])
    imports.append("from peft import LoraConfig")
    return "\n".join([*imports, "", _plan(example.plan), f"print(archlint.check_plan({model}, plan{rest}))"])


def _plan(lora: Mapping[str, Any]) -> str:
    line = f"plan = LoraConfig({', '.join(assignment(name, value) for name, value in lora.items())})"
    return line if len(line) <= WIDTH else f"plan = {lora_config(lora)}"


def _told(remedy: Remedy) -> str:
    text = remedy.text.removeprefix("or ")
    return f"{text.removesuffix(_BELOW)}: archlint.recipe() gives some" if text.endswith(_BELOW) else text


def _toy(model: str) -> tuple[str, str]:
    """Module and class of a toy."""
    module, _, name = model.removeprefix("toy:").rpartition(".")
    return module, name


def _source(model: str) -> str:
    """The definition of a toy, below those that it is made of, as far as they are in the same file and no bases."""
    if not model.startswith("toy:"):
        return ""
    module, name = _toy(model)
    known = _definitions(module)
    wanted: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in known and one not in wanted:
            wanted.add(one)
            waiting += known[one].names
    return "\n\n\n".join(definition.text for one, definition in known.items() if one in wanted)


def sources() -> list[str]:
    """The files that examples show something of."""
    folder = resources.files("archlint.fixtures") / "toys"  # a package of its own, that is not to be imported
    return [str(file) for file in folder.iterdir() if file.name.endswith(".py")]


class _Definition(NamedTuple):
    """A class or function of a module of toys."""

    text: str
    """Its source, without decorators."""
    names: frozenset[str]
    """Those that its body has."""


@functools.cache
def _definitions(module: str) -> Mapping[str, _Definition]:
    """The classes and functions of a module of toys, by name and in its order."""
    text = (resources.files("archlint.fixtures") / "toys" / f"{module}.py").read_text(encoding="utf-8")
    nodes = (node for node in ast.parse(text).body if isinstance(node, (ast.ClassDef, ast.FunctionDef)))
    return {node.name: _Definition(_segment(text.split("\n"), node), _names(node)) for node in nodes}


def _segment(lines: Sequence[str], node: ast.ClassDef | ast.FunctionDef) -> str:
    """What :func:`ast.get_source_segment` gives, which takes all of the text apart each time that it is called."""
    *first, last = lines[node.lineno - 1 : node.end_lineno]
    return "\n".join([*first, last.encode()[: node.end_col_offset].decode()])


def _names(node: ast.ClassDef | ast.FunctionDef) -> frozenset[str]:
    return frozenset(one.id for part in node.body for one in ast.walk(part) if isinstance(one, ast.Name))
