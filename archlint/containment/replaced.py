"""What code of a repository put in the place of functions that archlint answers with."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

_WATCHED = ("builtins", "io", "json", "os", "pickle", "peft", "signal", "sys", "archlint")
"""Packages whose functions, and those of their classes, are to stay as they are."""
_FUNCTIONS = (FunctionType, BuiltinFunctionType, type, classmethod, staticmethod, property)
_STREAMS = ("stdin", "stdout", "stderr", "excepthook", "displayhook", "unraisablehook")
_NAMES = {int(one): one.name for one in signal.Signals}
_OWN_ALARMS = ("SIGALRM", "SIGPROF")
"""Which archlint's own deadlines set."""


class Replaced:
    """What there is at the beginning, to be compared later."""

    def __init__(self, installed: tuple[str, ...]) -> None:
        self._installed = tuple(f"{path}/" for path in installed)
        self._before = dict(_functions())
        self._code = {name: one.__code__ for name, one in self._before.items() if isinstance(one, FunctionType)}
        self._streams = {name: getattr(sys, name) for name in _STREAMS}
        self._handlers = _handlers()
        self._get, self._modules = getattr, sys.modules

    def found(self) -> Iterator[tuple[str, str]]:
        """The kind and the name of what was replaced since; libraries that put something of theirs there are passed
        over."""
        for name, one in self._before.items():
            owner, _, attribute = name.rpartition(".")
            now = self._value(owner, attribute)
            if now is not one and not self._is_of_library(now):
                yield "replace", name
        for name, code in self._code.items():
            function = self._before[name]
            if function.__code__ is not code:
                yield "replace", name
        for name, stream in self._streams.items():
            if self._get(sys, name, None) is not stream:
                yield "replace", f"sys.{name}"
        for number, handler in _handlers().items():
            if handler is not self._handlers.get(number):
                yield "handler", _NAMES.get(number, f"signal {number}")

    def _value(self, owner: str, attribute: str) -> Any:
        module, _, name = owner.partition(":")
        holder: Any = self._modules.get(module)
        if name:
            holder = self._get(holder, name, None)
        held = self._get(holder, "__dict__", {})
        return held.get(attribute)

    def _is_of_library(self, value: Any) -> bool:
        code = getattr(getattr(value, "__func__", value), "__code__", None)
        if code is not None:
            return str(code.co_filename).startswith(self._installed)
        module = sys.modules.get(str(getattr(value, "__module__", "")))
        return str(getattr(module, "__file__", "") or "").startswith(self._installed)


def _functions() -> Iterator[tuple[str, Any]]:
    """What is watched, by ``module.function`` and ``module:Class.function``."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in _WATCHED or not isinstance(module, ModuleType):
            continue
        for attribute, value in list(vars(module).items()):
            if isinstance(value, _FUNCTIONS):
                yield f"{name}.{attribute}", value
            if isinstance(value, type) and value.__module__ == name:
                own = [(inner, one) for inner, one in vars(value).items() if isinstance(one, _FUNCTIONS)]
                yield from ((f"{name}:{attribute}.{inner}", one) for inner, one in own)


def _handlers() -> dict[int, Any]:
    own = {getattr(signal, name, None) for name in _OWN_ALARMS}
    return {int(one): signal.getsignal(one) for one in signal.valid_signals() if one not in own}
