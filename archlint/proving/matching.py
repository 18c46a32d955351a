"""What each entry of a plan reaches, asked from PEFT's own matching functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from archlint.core.expressions import NO_EXPRESSION
from archlint.core.trial import Entry


def reached(config: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The module names that a PEFT config targets, by PEFT's matching, exclusions taken off.

    What PEFT cannot match by, at which it raises (a string that is no regular expression, a setting of another
    type), reaches nothing.
    """
    from peft.tuners.tuners_utils import _ExcludedModule, check_target_module_exists

    if config.target_modules is None and not getattr(config, "target_parameters", None):
        return ()
    found = ((name, check_target_module_exists(config, name)) for name in names if name)
    try:
        return tuple(name for name, hit in found if hit and not isinstance(hit, _ExcludedModule))
    except (*NO_EXPRESSION, TypeError):
        return ()


def entries(lora: Mapping[str, Any], names: Sequence[str], parameters: Sequence[str]) -> Iterator[Entry]:
    """Each value of a plan's settings by itself, and what it reaches.

    Args:
        lora: the plan's arguments, of whatever tuner.
        names: names of the model's modules.
        parameters: names of the model's parameters.
    """
    targets = lora.get("target_modules")
    if not (isinstance(targets, str) and targets.lower() == "all-linear"):
        for value in _values(targets):
            yield Entry("target_modules", value, reached(_single(targets, value), names))
    for value in _values(lora.get("exclude_modules")):
        yield Entry("exclude_modules", value, reached(_single(lora["exclude_modules"], value), names))
    for value in _values(lora.get("target_parameters")):
        yield Entry("target_parameters", value, tuple(_ends_with(parameters, value)))
    for value in _values(lora.get("modules_to_save")):
        # PEFT asks for no dot here: ``norm`` saves every ``input_layernorm`` as well
        yield Entry("modules_to_save", value, tuple(name for name in names if name.endswith(value)))
    for value in _values(lora.get("feedforward_modules")):  # of IA³: those of the targets whose input it scales
        yield Entry("feedforward_modules", value, _feedforward(lora["feedforward_modules"], value, names))
    yield from _layers(lora, names)
    yield from _patterns(lora, [*names, *parameters])


def _layers(lora: Mapping[str, Any], names: Sequence[str]) -> Iterator[Entry]:
    indices = lora.get("layers_to_transform")
    targets = lora.get("target_modules")
    if isinstance(targets, str) or not isinstance(targets, Collection):
        return
    listed = indices if isinstance(indices, Collection) and not isinstance(indices, str) else [indices]
    for index in (value for value in listed if isinstance(value, (int, str))):  # PEFT takes text, and finds no layer
        config = _single(list(targets), None)
        config.layers_to_transform = [index]
        config.layers_pattern = lora.get("layers_pattern")
        yield Entry("layers_to_transform", str(index), reached(config, names))


def _patterns(lora: Mapping[str, Any], names: Sequence[str]) -> Iterator[Entry]:
    """The keys of ``rank_pattern`` and its like: every tuner has its own, each a mapping to numbers."""
    for setting, patterns in lora.items():
        if setting.endswith("_pattern") and isinstance(patterns, Mapping):
            for pattern, value in patterns.items():
                if not isinstance(value, Collection):  # what AdaLoRA saves there is no setting
                    yield Entry(setting, pattern, _keyed(pattern, names))


def _feedforward(setting: Any, value: str, names: Iterable[str]) -> tuple[str, ...]:
    """As PEFT has it: a list matches by the ends of names, and asks for no dot."""
    if not isinstance(setting, str):
        return tuple(name for name in names if name.endswith(value))
    try:
        return tuple(name for name in names if re.fullmatch(value, name))
    except NO_EXPRESSION:
        return ()


def _keyed(pattern: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names for which PEFT takes a key of ``rank_pattern``."""
    from peft.utils.other import get_pattern_key

    try:
        return tuple(name for name in names if get_pattern_key([pattern], name) == pattern)
    except NO_EXPRESSION:
        return ()


def _single(setting: Any, value: str | None) -> Any:
    """A config that targets ``value`` alone, as one name of a list or as one pattern like ``setting`` is."""
    targets = setting if value is None or isinstance(setting, str) else [value]
    return SimpleNamespace(target_modules=targets, target_parameters=None)


def _values(setting: Any) -> Iterable[str]:
    if isinstance(setting, str):
        return [setting]
    # a value that is no collection reaches nothing: what PEFT makes of it is its own business
    return [str(value) for value in setting] if isinstance(setting, Collection) else []


def _ends_with(names: Iterable[str], suffix: str) -> Iterator[str]:
    return (name for name in names if name == suffix or name.endswith(f".{suffix}"))
