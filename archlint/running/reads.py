"""What a run of a model uses: the modules that are called, and the weights that are read past their module."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from archlint.survey.source_code import computes_with


@dataclass
class Use:
    """Modules by identity: those whose forward was called, and where the weights of others were read."""

    called: set[int] = field(default_factory=set)
    read: dict[int, tuple[str, int]] = field(default_factory=dict)
    """File and line of the first read of a module's weight by code that is not the module's own."""


@contextlib.contextmanager
def watched() -> Iterator[Use]:
    """Within the block every call of a module, and every read of a weight, is written down."""
    use = Use()

    def note(module: nn.Module, _: Any) -> None:
        use.called.add(id(module))

    found = nn.Module.__getattr__

    def lookup(module: nn.Module, name: str) -> Any:
        value = found(module, name)
        if isinstance(value, nn.Parameter):
            frame = sys._getframe(1)
            place = (frame.f_code.co_filename, frame.f_lineno)
            if frame.f_locals.get("self") is not module and computes_with(*place, name):
                use.read.setdefault(id(module), place)
        return value

    handle = register_module_forward_pre_hook(note)
    nn.Module.__getattr__ = lookup  # type: ignore[method-assign]
    try:
        yield use
    finally:
        nn.Module.__getattr__ = found  # type: ignore[method-assign]
        handle.remove()


def idle_parts(model: nn.Module, called: Iterable[str]) -> Iterator[str]:
    """The highest modules with parameters of which neither they nor any module inside them is ``called``."""
    used = {""}
    for path in called:
        while path and path not in used:
            used.add(path)
            path = path.rpartition(".")[0]
    for path, module in model.named_modules():
        if path not in used and path.rpartition(".")[0] in used and next(module.parameters(), None) is not None:
            yield path
