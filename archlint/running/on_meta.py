"""Run a model's own Python on meta tensors: what asks for values gets stand-ins.

A meta tensor has a shape and no content. Where code needs content (``item()``, ``if mask.any()``, a boolean
index), every condition is taken as true, every mask as full and every number as one. That decides between
branches of the code, never between shapes.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from archlint.running.configs import configs
from archlint.running.content import content_kept
from archlint.running.results import result_of

_aten = torch.ops.aten

_COUNTED = 4096
"""Elements of a mask up to which the places of what is true are real numbers."""
_FEW = 8
"""Turns of a loop that say as much as all would."""


class _StandIns:
    """Runs operations, and answers those that no meta tensor can.

    Args:
        lengths: how many children of one class the modules have: a loop may go through them.
    """

    def __init__(self, lengths: Collection[int]) -> None:
        self._lengths = lengths

    def __call__(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if func is _aten.nonzero.default and _is_meta(args[0]):
            return self._places(args[0])
        answer = _ANSWERS.get(func.overloadpacket)
        if answer is not None:
            found = answer(*args, **kwargs)
            if found is not NotImplemented:
                return found
        try:
            return result_of(func, args, kwargs)
        except (RuntimeError, NotImplementedError):
            flat, spec = tree_flatten((args, kwargs))
            if not any(_is_meta(value) for value in flat) or not any(map(_has_content, flat)):
                raise
        moved = [value.to("meta") if _has_content(value) else value for value in flat]
        args, kwargs = tree_unflatten(moved, spec)
        return func(*args, **kwargs)

    def _places(self, mask: Tensor) -> Tensor:
        """Where a mask is true: everywhere, or at the first few experts that are no modules of their own."""
        if mask.numel() > _COUNTED:
            return torch.empty((mask.numel(), mask.ndim), dtype=torch.long, device="meta")
        # real numbers, so that a loop over the experts that were hit comes to one after the other
        places = torch.ones(mask.shape, dtype=torch.bool, device="cpu").nonzero()
        return places[:_FEW] if mask.ndim == 1 and len(mask) not in self._lengths else places


def _is_meta(value: object) -> bool:
    return isinstance(value, Tensor) and value.device.type == "meta"


def _has_content(value: object) -> bool:
    return isinstance(value, Tensor) and value.device.type != "meta"


def _number(tensor: Tensor) -> Any:
    if not _is_meta(tensor):
        return NotImplemented
    if tensor.dtype is torch.bool:
        return True
    return 1.0 if tensor.is_floating_point() else 1


def _copied(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
    device = kwargs.get("device")
    if not _is_meta(tensor) or device is None or torch.device(device).type == "meta":
        return NotImplemented
    dtype = kwargs.get("dtype") or tensor.dtype
    return torch.ones(tensor.shape, dtype=dtype, device=device)


def _chosen(tensor: Tensor, mask: Tensor) -> Any:
    if not (_is_meta(tensor) or _is_meta(mask)):
        return NotImplemented
    shape = torch.broadcast_shapes(tensor.shape, mask.shape)
    return torch.empty(shape, dtype=tensor.dtype, device="meta").reshape(-1)


def _indexed(tensor: Tensor, indices: Sequence[Tensor | None]) -> Any:
    if not _has_mask(indices):
        return NotImplemented
    numbers: list[Tensor | None] = []
    for index in indices:
        if index is not None and index.dtype is torch.bool:
            numbers += [torch.empty(index.numel(), dtype=torch.long, device="meta") for _ in range(index.ndim)]
        else:
            numbers.append(index)
    return _aten.index.Tensor(tensor, numbers)


def _has_mask(indices: Sequence[Tensor | None]) -> bool:
    return any(index is not None and _is_meta(index) and index.dtype is torch.bool for index in indices)


def _put(tensor: Tensor, indices: Sequence[Tensor | None], *_: Any, **__: Any) -> Any:
    return torch.empty_like(tensor) if _is_meta(tensor) and _has_mask(indices) else NotImplemented


def _put_in_place(tensor: Tensor, indices: Sequence[Tensor | None], *_: Any, **__: Any) -> Any:
    return tensor if _is_meta(tensor) and _has_mask(indices) else NotImplemented


def _unique(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
    if not _is_meta(tensor):
        return NotImplemented
    counts = torch.empty(tensor.numel(), dtype=torch.long, device="meta")
    return tensor.reshape(-1), torch.empty(tensor.shape, dtype=torch.long, device="meta"), counts


def _repeated(repeats: Tensor, *args: Any, output_size: int | None = None, **kwargs: Any) -> Any:
    if not _is_meta(repeats):
        return NotImplemented
    return torch.empty(output_size or repeats.numel(), dtype=torch.long, device="meta")


def _equal(one: Tensor, other: Tensor) -> Any:
    return True if _is_meta(one) or _is_meta(other) else NotImplemented


def _counted(tensor: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Any:
    if not _is_meta(tensor):
        return NotImplemented
    return torch.empty(max(minlength, 1), dtype=torch.long, device="meta")


def _aligned(scores: Tensor, labels: Tensor, *_: Any, **__: Any) -> Any:
    if not _is_meta(scores):
        return NotImplemented
    frames, rows = scores.shape[:2]
    return scores.new_empty(rows), scores.new_empty((rows, frames, 2 * labels.numel() + 1))


def _aligned_backward(loss: Tensor, scores: Tensor, *_: Any, **__: Any) -> Any:
    return torch.empty_like(scores) if _is_meta(scores) else NotImplemented


_ANSWERS: Mapping[Any, Callable[..., Any]] = {
    _aten._local_scalar_dense: _number,
    _aten._to_copy: _copied,
    _aten.masked_select: _chosen,
    _aten.index: _indexed,
    _aten.index_put: _put,
    _aten.index_put_: _put_in_place,
    _aten._unique2: _unique,
    _aten.unique_consecutive: _unique,
    _aten.unique_dim: _unique,
    _aten.repeat_interleave: _repeated,
    _aten.equal: _equal,
    _aten.bincount: _counted,
    _aten._ctc_loss: _aligned,
    _aten._ctc_loss_backward: _aligned_backward,
}
"""What stands in for the result of an operation; ``NotImplemented`` leaves it to torch."""


@contextlib.contextmanager
def runnable(model: nn.Module) -> Iterator[None]:
    """Within the block ``model`` can be run on meta tensors; all that was changed for it is put back."""
    autocast = torch.autocast
    with contextlib.ExitStack() as stack:
        stack.enter_context(_one_product_for_all_experts(model))
        torch.autocast = _autocast(autocast)  # type: ignore[misc, assignment]
        stack.callback(setattr, torch, "autocast", autocast)
        stack.enter_context(torch.device("meta"))
        stack.enter_context(
            content_kept(_StandIns(frozenset(_alike(part) for part in model.modules() if part._modules)))
        )
        yield


def _alike(module: nn.Module) -> int:
    """The number of children of one class."""
    return max(Counter(map(type, module.children())).values(), default=0)


def _autocast(real: Any) -> Callable[..., Any]:
    def autocast(device_type: str, *args: Any, **kwargs: Any) -> Any:
        return contextlib.nullcontext() if device_type == "meta" else real(device_type, *args, **kwargs)

    return autocast


@contextlib.contextmanager
def _one_product_for_all_experts(model: nn.Module) -> Iterator[None]:
    """Fused experts are computed in one batched product, which does not ask which expert got a token."""
    before = [
        (config, config._experts_implementation_internal)
        for config in configs(model)
        if hasattr(config, "_experts_implementation_internal")
    ]
    for config, _ in before:
        config._experts_implementation_internal = "batched_mm"
    try:
        yield
    finally:
        for config, implementation in before:
            config._experts_implementation_internal = implementation
