"""What a model's own forward makes of its last hidden state, computed on real numbers.

A backbone has billions of weights and its head hundreds of millions, but what a model does between the two and after
them is a handful of lines. So the backbone's hidden state is replaced by random numbers, the head by one whose rows
repeat a few random ones, and every other weight that the model's code then asks for by random numbers when it asks.
The model's own Python runs as it is, for a model of any size, in milliseconds.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._pytree import tree_flatten, tree_map_only

from archlint.core.training import Step
from archlint.survey.source_code import shown_path

ROWS = 256
"""Rows of the head that differ; the others repeat them."""
_SPREAD = 2.0
"""Standard deviation of the logits: that of trained language models, roughly."""
_MOST = 2**24
"""Elements of a weight that is made up: 64 MB in single precision."""
_SEED = 0
_NOTHING: Mapping[nn.Module, Any] = {}
_SELECTING = frozenset({"__getitem__", "contiguous", "float", "to", "view", "reshape", "clone"})
"""Functions that change no number."""


class NotMeasurableError(Exception):
    """What the model's code does with the hidden state cannot be computed here; the message says why."""


class TailProbe(TorchFunctionMode):
    """The part of a model's forward pass that comes after the backbone.

    Within :meth:`beginning_at`, ``model`` may be run on the meta device: once the backbone returns, what depends on
    its hidden state is computed in single precision on the processor. ``hidden`` is then that state, of shape
    ``(rows, tokens, hidden size)``.
    """

    def __init__(self, model: nn.Module, head: nn.Module, outputs: Mapping[nn.Module, Any] | None = None) -> None:
        """``outputs`` are what sources gave, where they were run already."""
        super().__init__()
        self.hidden: Tensor | None = None
        self.steps: list[Step] = []
        """What was done to it, in order, the product with the head's weight left out."""
        self.head: Step | None = None
        """The product with the head's weight."""
        self._weight: Any = head.weight
        named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
        self._names = {id(tensor): name for name, tensor in reversed(named)}
        self._saved = {
            name: buffer
            for path, module in model.named_modules()
            for key, buffer in module._buffers.items()
            if buffer is not None and key not in module._non_persistent_buffers_set
            for name in [f"{path}.{key}" if path else key]
        }
        self._made: dict[int, Tensor] = {}
        self._live: dict[int, Tensor] = {}
        self._random = torch.Generator("cpu").manual_seed(_SEED)
        self._rows: Tensor | None = None
        self._outputs = {id(source): self._with_numbers(given) for source, given in (outputs or {}).items()}

    @contextlib.contextmanager
    def beginning_at(
        self, sources: Sequence[nn.Module], repeated: Mapping[nn.Module, Any] = _NOTHING
    ) -> Iterator[None]:
        """Within the block, what ``sources`` return holds random numbers for the last hidden state.

        They are run in the first block at most; later ones get the same outputs.

        Args:
            sources: the backbone, and modules inside it that return the same hidden state.
            repeated: modules before them that are not run, and return what they did before.
        """
        self.steps = []
        with contextlib.ExitStack() as stack:
            for source in sources:
                source.forward = self._numbering(source, source.forward, stack)
                stack.callback(vars(source).pop, "forward")
            for module, outputs in repeated.items():
                module.forward = lambda *_, _outputs=outputs, **__: _copied(_outputs)
                stack.callback(vars(module).pop, "forward")
            yield

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names of the buffers that were made up and whose content a checkpoint has."""
        return tuple(name for name, buffer in self._saved.items() if id(buffer) in self._made)

    @contextlib.contextmanager
    def at_zero(self, buffers: Sequence[str]) -> Iterator[None]:
        """Within the block, ``buffers`` hold zeros."""
        made = dict(self._made)
        for name in buffers:
            buffer = self._saved[name]
            self._made[id(buffer)] = torch.zeros(buffer.shape, device="cpu")
        try:
            yield
        finally:
            self._made = made

    def _numbering(self, source: nn.Module, run: Callable[..., Any], stack: contextlib.ExitStack) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            if id(source) not in self._outputs:
                self._outputs[id(source)] = self._with_numbers(run(*args, **kwargs))
            if self not in _get_current_function_mode_stack():
                stack.enter_context(torch.device("cpu"))
                stack.enter_context(self)
            return _copied(self._outputs[id(source)])

        return forward

    def _with_numbers(self, outputs: Any) -> Any:
        if self.hidden is None:
            shape = outputs.shape if isinstance(outputs, Tensor) else main_output(outputs).shape
            self.hidden = self._alive(torch.empty(shape, device="cpu").normal_(generator=self._random))
        if isinstance(outputs, Tensor):
            return self.hidden
        if isinstance(outputs, tuple):
            values = (self.hidden, *outputs[1:])
            return type(outputs)(*values) if hasattr(outputs, "_fields") else values
        outputs.last_hidden_state = self.hidden
        return outputs

    def depends(self, tensor: object) -> bool:
        """Whether ``tensor`` was computed from the hidden state."""
        return id(tensor) in self._live

    def product(self, hidden: Tensor, bias: Tensor | None = None) -> Tensor:
        """What the head's weight makes of a hidden state ``(…, hidden size)``: logits ``(…, vocabulary)``."""
        size: int = self._weight.shape[0]
        if self._rows is None:
            spread = _SPREAD * hidden.shape[-1] ** -0.5
            rows = torch.empty((min(ROWS, size), hidden.shape[-1]), device="cpu")
            self._rows = rows.normal_(std=spread, generator=self._random)
        few = hidden.float() @ self._rows.T
        times = -(-size // len(self._rows))
        logits = few.repeat(*(1 for _ in few.shape[:-1]), times)[..., :size]
        return logits if bias is None else logits + self.numbers(bias)

    def numbers(self, weight: Tensor) -> Tensor:
        """Random numbers for a parameter or buffer of the model; the same whenever it is asked for.

        Raises:
            NotMeasurableError: it is too large.
        """
        if not weight.is_meta and id(weight) not in self._names:
            return weight
        if id(weight) not in self._made:
            name = self._names.get(id(weight), "a tensor")
            if weight.numel() > _MOST:
                raise NotMeasurableError(f"{name} has {weight.numel():,} elements, too many to make up")
            if not weight.is_floating_point():
                raise NotMeasurableError(f"{name} holds numbers that decide what is computed")
            made = torch.empty(weight.shape, device="cpu").normal_(generator=self._random)
            if weight.shape[:-1].numel() > 1:
                made *= weight.shape[-1] ** -0.5
            elif not name.endswith("bias"):  # a gain
                made = 1 + made / 4
            self._made[id(weight)] = made
        return self._made[id(weight)]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if name == "__get__":
            value = _attribute(func, args)
            return self._alive(value) if self.depends(args[0]) else value
        if self._is_head(func, args):
            bias = args[2] if len(args) > 2 else kwargs.get("bias")
            file, line = _place()
            self.head = Step(name, shown_path(file), line)
            return self._alive(self.product(args[0], bias))
        if not any(self.depends(value) for value in tree_flatten((args, kwargs))[0]):
            if name == "to" and id(args[0]) in self._names:  # a weight on its way to where the logits are
                return self.numbers(args[0])
            return func(*args, **kwargs)
        weights: list[str] = []

        def real(tensor: Tensor) -> Tensor:
            if id(tensor) not in self._names:
                if not tensor.is_meta:
                    return tensor
                raise NotMeasurableError(f"{name} at {shown_path(file)}:{line} takes a tensor without content")
            weights.append(self._names[id(tensor)])
            return self.numbers(tensor)

        if func is functional.dropout:  # at random, which is no part of what a model computes
            return args[0]
        file, line = _place()
        args, kwargs = tree_map_only(Tensor, real, (args, kwargs))
        args, kwargs = tree_map_only(torch.dtype, _single, (args, kwargs))
        result = func(*args, **kwargs)
        if name not in _SELECTING:
            self.steps.append(Step(name, shown_path(file), line, tuple(weights)))
        for value in tree_flatten(result)[0]:
            self._alive(value)
        return result

    def _is_head(self, func: Callable[..., Any], args: Sequence[Any]) -> bool:
        return func is functional.linear and args[1] is self._weight and self.depends(args[0])

    def _alive(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            self._live[id(value)] = value
        return value


def main_output(outputs: Any) -> Any:
    """The last hidden state among what a backbone returns; ``None`` where it returns none, or a bare tensor."""
    return outputs[0] if isinstance(outputs, tuple) and outputs else getattr(outputs, "last_hidden_state", None)


def _copied(outputs: Any) -> Any:
    """Outputs that may be changed without a change to ``outputs``."""
    return outputs if isinstance(outputs, Tensor) else copy.copy(outputs)


def _attribute(func: Callable[..., Any], args: Sequence[Any]) -> Any:
    """An attribute of a tensor, as if it were on the processor and in single precision."""
    value = func(*args)
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return _single(value) if isinstance(value, torch.dtype) else value


def _single(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype.is_floating_point else dtype


def _place() -> tuple[str, int]:
    """The line of the model's code that calls torch."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("torch.", __name__)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
