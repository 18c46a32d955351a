"""A rule's example for those who read about it: a model, a plan, what is said of them, and a fix.

The rule's own tests run it, and compare what it shows.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from archlint.core.finding import Remedy
from archlint.core.rule import Example, Rule
from archlint.report.fixes import is_argument
from archlint.report.snippet import WIDTH, assignment, literal, lora_config

_TOYS = "archlint.fixtures.toys"
_BELOW = ": the recipe below"


@dataclass(frozen=True)
class Shown:
    """An example in words, code and output."""

    code: str
    """What a reader can run."""
    at: str
    """Where in the model something is found; empty where the example does not say."""
    says: str
    """What is found, in a line."""
    model: str
    """The source of the model's class, where it is one of archlint's own; else empty."""
    fix: str
    """A fix in words; empty where there is nothing to mend."""
    change: str
    """The argument of a LoraConfig that is the fix, if one is."""


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
    text = (resources.files("archlint.fixtures") / "toys" / f"{module}.py").read_text(encoding="utf-8")
    nodes = {node.name: node for node in ast.parse(text).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    wanted: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in nodes and one not in wanted:
            wanted.add(one)
            waiting += (node.id for part in nodes[one].body for node in ast.walk(part) if isinstance(node, ast.Name))
    return "\n\n\n".join(ast.get_source_segment(text, nodes[one]) or "" for one in nodes if one in wanted)
