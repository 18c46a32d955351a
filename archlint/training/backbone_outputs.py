"""What the modules of a model give back in one run of its backbone."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from archlint.training.tail import main_output


@dataclass(frozen=True)
class _Call:
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: Any


class BackboneOutputs:
    """What each module of a model was given and gave back; empty where nothing was run."""

    def __init__(self, model: Any) -> None:
        self._model: Any = model
        self._backbone: Any = getattr(model, "base_model", model)
        self._calls: list[_Call] = []

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Within the block calls are kept, and those of before are forgotten."""
        self._calls.clear()
        handles = [module.register_forward_hook(self._keep, with_kwargs=True) for module in self._model.modules()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _keep(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], outputs: Any) -> None:
        self._calls.append(_Call(module, args, kwargs, outputs))

    @property
    def is_complete(self) -> bool:
        """Whether the backbone was run to its end."""
        return bool(self._calls) and self._calls[-1].module is self._backbone

    @property
    def last(self) -> Any:
        """What was given back last: by the backbone, where it was run to its end."""
        return self._calls[-1].outputs

    def given(self, module: nn.Module, inputs: Mapping[str, Any]) -> Any:
        """What ``module`` gave back for ``inputs``; ``None`` where it was not called with just these, or flags."""
        for call in self._calls:
            if call.module is module and not call.args:
                named = {
                    name: value
                    for name, value in call.kwargs.items()
                    if value is not None and not isinstance(value, bool)
                }
                if named.keys() == inputs.keys() and all(named[name] is value for name, value in inputs.items()):
                    return call.outputs
        return None

    def sources(self, backbone: nn.Module | None = None) -> dict[nn.Module, Any]:
        """The backbone, and the modules inside it whose hidden state it hands on, each with what it gave back.

        A model may call one of these instead of the backbone. Empty where it was not run to its end, or is the model.

        Args:
            backbone: another module than the one that the model says is its backbone.
        """
        if backbone is None and (not self.is_complete or self._backbone is self._model):
            return {}
        outermost = self._backbone if backbone is None else backbone
        calls = [call for call in self._calls if call.module is outermost]
        if not calls:
            return {}
        last = main_output(calls[-1].outputs)
        inside = set(outermost.modules())
        return {
            call.module: call.outputs
            for call in self._calls
            if call.module in inside and main_output(call.outputs) is last
        }

    def before(self, head: nn.Module) -> dict[nn.Module, Any]:
        """The outermost modules that were called once, before ``head`` and not around it, with what they gave back."""
        until = next((n for n, call in enumerate(self._calls) if call.module is head), len(self._calls))
        outputs = {call.module: call.outputs for call in self._calls[:until]}
        times = Counter(call.module for call in self._calls)
        around = {module for module in self._model.modules() if any(part is head for part in module.modules())}

        def outermost(module: nn.Module) -> Iterator[nn.Module]:
            for part in module.children():
                if part in around or part not in times:
                    yield from outermost(part)
                elif times[part] == 1 and part in outputs:
                    yield part

        return {module: outputs[module] for module in outermost(self._model)}
