"""A module of the skeleton with real numbers, by itself on the processor."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

LIMIT = 2.0
"""What a limit without a value is drawn as, in standard deviations of what it bounds: it is passed now and then."""
_LOWER = frozenset({"clamp_min", "clamp_min_", "maximum"})
_UPPER = frozenset({"clamp_max", "clamp_max_", "minimum"})
_BOTH = frozenset({"clamp", "clamp_", "clip", "clip_", "hardtanh", "hardtanh_"})
_SEED = 0


class NoInputError(Exception):
    """A module takes none of the inputs that a layer takes; the message says what it raises."""


@dataclass(frozen=True)
class Specimen:
    """A module with real numbers, and an input that it takes."""

    module: nn.Module
    given: tuple[Any, ...]
    """Its positional arguments."""
    has_drawn_limits: bool
    """Whether a limit is :data:`LIMIT` for want of another value."""


def real(module: nn.Module, width: int, others: Sequence[Any] = ()) -> Specimen:
    """A copy of ``module`` on the processor, in single precision, and a random input that it takes.

    Values that are there are kept, but for limits that bound nothing (±∞): these, and limits without a value, become
    ±:data:`LIMIT`. Weights without values are drawn so that they keep the spread of what they are multiplied with;
    vectors and single numbers are drawn around 1.

    Args:
        width: ``in_features`` of the linear inside.
        others: what it is called with beside its input; tensors without content get one.

    Raises:
        NoInputError: it takes no input that was tried.
    """
    made = copy.deepcopy(module)
    random = torch.Generator("cpu").manual_seed(_SEED)
    drawn: set[int] = set()
    for owner in made.modules():
        for registry in (owner._parameters, owner._buffers):
            for name, tensor in registry.items():
                if tensor is None:
                    continue
                values = _values(tensor, random)
                if isinstance(tensor, nn.Parameter):
                    values = nn.Parameter(values, requires_grad=tensor.requires_grad)
                registry[name] = values  # type: ignore[assignment]
                if tensor.is_meta:
                    drawn.add(id(values))
    made.float()
    given = _input(
        made, width, random, [_values(other, random) if isinstance(other, Tensor) else other for other in others]
    )
    with torch.no_grad():
        drawn_limits = draw_limits(lambda: made(*given), drawn)
    return Specimen(made, given, has_drawn_limits=drawn_limits > 0)


def draw_limits(run: Callable[[], object], without_value: Collection[int] = ()) -> int:
    """Give a value to each limit that bounds nothing, as ``run`` shows them; the number of those limits.

    A limit becomes ±:data:`LIMIT` standard deviations of what it bounds.

    Args:
        run: computes with real numbers.
        without_value: ids of tensors whose value says nothing.
    """
    limits = _Limits()
    with limits:
        run()
    drawn = [
        (tensor, value)
        for tensor, value in limits.found.values()
        if id(tensor) in without_value or not tensor.isfinite().all()
    ]
    for tensor, value in drawn:
        tensor.data.fill_(value)
    return len(drawn)


def _values(tensor: Tensor, random: torch.Generator) -> Tensor:
    if not tensor.is_meta:
        return tensor.detach().clone().cpu()
    kind = tensor.dtype if not tensor.is_floating_point() else torch.float32
    values = torch.zeros(tensor.shape, dtype=kind, device="cpu")
    if not tensor.is_floating_point():
        return values
    values.normal_(generator=random)
    return values * tensor.shape[-1] ** -0.5 if tensor.ndim > 1 else 1 + values / 4


def _input(module: nn.Module, width: int, random: torch.Generator, others: Sequence[Any]) -> tuple[Any, ...]:
    """Random numbers of a shape that ``module`` takes: tokens of a sequence, channels first, or one row each."""
    reasons = []
    for shape in ((2, 5, width), (2, width, 5), (10, width), (2, 5, 5, width), (2, width, 5, 5)):
        given = (torch.empty(shape, device="cpu").normal_(generator=random), *others)
        try:
            with torch.no_grad():
                module(*given)
        except Exception as error:  # a model's code raises whatever its inputs lead it to
            reasons.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
        else:
            return given
    raise NoInputError(reasons[0])


class _Limits(TorchFunctionMode):
    """Sees which tensors bound others, and whether from below or above."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, tuple[Tensor, float]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _BOTH:
            self._bounds(args[0], [kwargs.get("min", args[1] if len(args) > 1 else None)], -LIMIT)
            self._bounds(args[0], [kwargs.get("max", args[2] if len(args) > 2 else None)], LIMIT)
        elif name in _LOWER or name in _UPPER:
            self._bounds(args[0], [*args[1:], *kwargs.values()], -LIMIT if name in _LOWER else LIMIT)
        return func(*args, **kwargs)

    def _bounds(self, bounded: Tensor, limits: Iterable[Any], value: float) -> None:
        for limit in limits:
            if isinstance(limit, Tensor) and limit.is_floating_point():
                self.found.setdefault(id(limit), (limit, value * float(bounded.detach().float().std())))
