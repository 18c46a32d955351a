"""The user's plan: LoraConfig arguments from the command line and from an ``adapter_config.json``."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from archlint.plans.document import PlanError

_EXPRESSION = re.compile(r"[\\*+?^$|()\[\]{}]")
"""What stands in regular expressions and never in the name of a module."""
_NAMES = ("target_modules", "target_parameters", "exclude_modules", "modules_to_save")
_EXPRESSIONS = ("target_modules", "exclude_modules")
_ALL_LINEAR = "all-linear"


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """What an ``adapter_config.json`` says of LoRA."""

    lora: Mapping[str, Any] = field(default_factory=dict)
    """LoraConfig arguments that differ from their defaults."""
    base_model: str | None = None
    """The model that the adapter is for."""
    unknown: tuple[str, ...] = ()
    """Keys that the installed PEFT does not know and ignores."""


def targets(values: Sequence[str]) -> str | list[str]:
    """The values of ``--target-modules`` or ``--exclude-modules`` as PEFT takes them.

    A value with characters of a regular expression (``* + ? ^ $ | ( ) [ ] { } \\``) is one, and so is
    ``all-linear`` a word of its own; anything else is a list of names, separated by commas. A dot alone makes
    no expression: ``self_attn.q_proj`` is a name.

    Raises:
        PlanError: no name is left, or an expression stands beside something else.
    """
    for value in values:
        if _EXPRESSION.search(value) or value.lower() == _ALL_LINEAR:
            if len(values) > 1:
                raise PlanError(f"{value!r} stands alone: it cannot be given together with others")
            return value
    found = names(values)
    if any(name.lower() == _ALL_LINEAR for name in found):
        raise PlanError(f"{_ALL_LINEAR} stands alone: it cannot be one of several names")
    return found


def names(values: Sequence[str]) -> list[str]:
    """A list of names from values that each hold one or several, separated by commas.

    Raises:
        PlanError: no name is left.
    """
    found = [name for value in values for part in value.split(",") if (name := part.strip())]
    if not found:
        raise PlanError(f"no name in {', '.join(map(repr, values))}")
    return list(dict.fromkeys(found))


def read_adapter_config(path: Path) -> AdapterConfig:
    """Read PEFT's ``adapter_config.json``, or the folder of an adapter that holds one.

    Bookkeeping (``peft_version``, ``inference_mode``, …) and arguments at their default are left out.

    Raises:
        PlanError: the file cannot be read, is no JSON object, holds another adapter type than LoRA, or something
            else than an adapter's settings.
    """
    file = path / "adapter_config.json" if path.is_dir() else path
    content = _read_object(file)
    peft_type = content.get("peft_type")
    if peft_type is not None and str(peft_type).upper() != "LORA":
        raise PlanError(f"{file}: peft_type is {peft_type!r}; only LORA can be checked")
    arguments, bookkeeping = _arguments()
    if peft_type is None:
        _check_is_adapter(file, content, arguments)
    unknown = [key for key in content if key not in arguments and key not in bookkeeping]
    lora = lora_arguments(content)
    for key in _NAMES:
        _check_names(file, key, lora.get(key))
    base_model = content.get("base_model_name_or_path")
    return AdapterConfig(lora, base_model if isinstance(base_model, str) and base_model else None, tuple(unknown))


def lora_arguments(content: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a LoraConfig's fields that are arguments of LoRA and not at their default, as JSON values."""
    arguments, _ = _arguments()
    return {
        key: sorted(value) if isinstance(value, (set, frozenset)) else value
        for key, value in content.items()
        if key in arguments and value is not None and value != arguments[key]
    }


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"), parse_constant=_no_constant)
    except OSError as error:
        raise PlanError(f"{file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{file}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise PlanError(f"{file}: a JSON object is expected, not {type(content).__name__}")
    return content


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _check_is_adapter(file: Path, content: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    # a model's config may share a key with LoraConfig, such as bias
    model = [f"{key} {content[key]}" for key in ("model_type", "architectures") if content.get(key)]
    if model:
        raise PlanError(f"{file}: looks like the config.json of a model ({model[0]}), not like an adapter_config.json")
    if arguments.keys().isdisjoint(content):
        raise PlanError(f"{file}: no adapter_config.json: it holds neither peft_type nor an argument of LoraConfig")


def _check_names(file: Path, key: str, value: Any) -> None:
    if value is None or (isinstance(value, str) and key in _EXPRESSIONS):
        return
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        wanted = "a string or a list of strings" if key in _EXPRESSIONS else "a list of strings"
        raise PlanError(f"{file}: {key} must be {wanted}, not {json.dumps(value)[:60]}")


@cache
def _arguments() -> tuple[dict[str, Any], frozenset[str]]:
    """LoraConfig's own arguments with their defaults, and PEFT's bookkeeping, by the source of the installed PEFT.

    Read from the source because importing PEFT takes seconds, and a usage error is to be told at once.
    """
    package = find_spec("peft")
    if package is None or not package.submodule_search_locations:
        raise PlanError("PEFT is not installed: its settings cannot be read")
    root = Path(package.submodule_search_locations[0])
    own = dict(_fields(root / "tuners" / "lora" / "config.py", "LoraConfig"))
    base = {name for owner in ("PeftConfigMixin", "PeftConfig") for name, _ in _fields(root / "config.py", owner)}
    return {**own, "task_type": None}, frozenset(base - {"task_type"})


def _fields(file: Path, owner: str) -> Iterator[tuple[str, Any]]:
    """Fields of the dataclass ``owner`` and their defaults, as far as those are literals."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == owner:
            for statement in node.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    yield statement.target.id, _default(statement.value)


def _default(value: ast.expr | None) -> Any:
    if isinstance(value, ast.Call):
        settings = {keyword.arg: keyword.value for keyword in value.keywords}
        factory = settings.get("default_factory")
        if isinstance(factory, ast.Name):
            return {"dict": {}, "list": []}.get(factory.id)
        value = settings.get("default")
    return value.value if isinstance(value, ast.Constant) else None
