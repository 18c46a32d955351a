"""What the modules of a backbone give back in one run of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from archlint.training.tail import main_output


class HandedOn:
    """The last output of each module of a model's backbone; empty where it was not run to its end."""

    def __init__(self, model: Any) -> None:
        self._backbone: Any = getattr(model, "base_model", model)
        self._outputs: list[tuple[nn.Module, Any]] = []

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Within the block outputs are kept, and those of before are forgotten."""
        self._outputs.clear()
        handles = [
            module.register_forward_hook(lambda part, _, outputs: self._outputs.append((part, outputs)))
            for module in self._backbone.modules()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @property
    def last(self) -> Any:
        """What the backbone gave back."""
        return self._outputs[-1][1]

    def sources(self) -> dict[nn.Module, Any]:
        """The backbone, and the modules inside it whose hidden state it hands on, each with what it gave back.

        A model may call one of these instead of the backbone. Empty where there is no such run.
        """
        if not self._outputs or self._outputs[-1][0] is not self._backbone:
            return {}
        last = main_output(self._outputs[-1][1])
        return {module: outputs for module, outputs in self._outputs if main_output(outputs) is last}
