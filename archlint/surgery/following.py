"""Which rows of a fused layer's weight make which tensor in the module that calls it, found by following them.

Beside the output of the layer goes a tensor of the same shape that holds, for each number, the index of the row that
it comes from. Whatever only selects or moves numbers does so to that tensor too: an operation is one of these where it
does the same to other labels, whatever they are. One that keeps the shape, with a single such operand, keeps the rows.
Any other ends the trail.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

_MOST = 1 << 25
"""Numbers of an output up to which it is followed."""
_SEED = 0

Rows = frozenset[int]


@dataclass
class Trail:
    """What becomes of the outputs of one layer."""

    rows: int
    """Of its weight, as ``(out, in)``."""
    found: dict[Rows, str] = field(default_factory=dict)
    """Sets of rows that tensors of the caller hold, smaller than all; and the first local variable that held each."""

    @property
    def largest(self) -> list[tuple[Rows, str]]:
        """Those that lie in no other, by their first rows."""
        outer = [part for part in self.found if not any(part < other for other in self.found)]
        return [(part, self.found[part]) for part in sorted(outer, key=min)]


@contextlib.contextmanager
def followed(callers: Mapping[nn.Module, nn.Module]) -> Iterator[dict[nn.Module, Trail]]:
    """Within the block layers are followed; gives the trail of each that is called.

    Args:
        callers: by layer, the module whose methods call it.
    """
    follower = _Follower(frozenset(map(id, callers.values())))
    with contextlib.ExitStack() as stack:
        for layer in callers:
            stack.callback(layer.register_forward_hook(follower.start).remove)
        stack.enter_context(follower)
        yield follower.trails


@dataclass(frozen=True)
class _Mark:
    trail: Trail
    indices: Tensor
    """Of the rows, in the shape of the tensor that is marked."""
    rows: Rows


class _Follower(TorchFunctionMode):
    def __init__(self, callers: Collection[int]) -> None:
        super().__init__()
        self.trails: dict[nn.Module, Trail] = {}
        self._callers = callers
        self._marks: Any = WeakTensorKeyDictionary()
        self._random = torch.Generator("cpu").manual_seed(_SEED)

    def start(self, layer: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim > 1 and output.numel() <= _MOST:
            rows = output.shape[-1]
            trail = self.trails.setdefault(layer, Trail(rows))
            indices = torch.arange(rows, dtype=torch.int32, device="cpu").expand(output.shape).clone()
            self._marks[output] = _Mark(trail, indices, frozenset(range(rows)))

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._marks:
            self._name(sys._getframe(1))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        marked = {id(tensor): tensor for tensor in given if tensor in self._marks}
        made = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        if outputs and len(marked) == 1:
            (tensor,) = marked.values()
            with torch._C.DisableTorchFunction(), _disable_current_modes():  # of those who run the model
                self._go_on(func, args, kwargs, tensor, given, outputs)
        return made

    def _go_on(
        self,
        func: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        tensor: Tensor,
        given: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> None:
        mark = self._marks[tensor]
        selected = self._selected(func, args, kwargs, tensor, mark)
        if selected is not None and [part.shape for part in selected] == [output.shape for output in outputs]:
            for output, indices in zip(outputs, selected, strict=True):
                rows = frozenset(indices.flatten().bincount().nonzero().flatten().tolist())
                self._marks[output] = _Mark(mark.trail, indices, rows)
                if 0 < len(rows) < mark.trail.rows:
                    mark.trail.found.setdefault(rows, "")
        elif len(outputs) == 1 and outputs[0].shape == tensor.shape and all(_spread(other, tensor) for other in given):
            self._marks[outputs[0]] = mark

    def _selected(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], tensor: Tensor, mark: _Mark
    ) -> list[Tensor] | None:
        """The indices of what ``func`` gives; ``None`` where it does more than to select and move."""
        rows = mark.trail.rows
        labels = torch.randint(1 << 30, (rows,), dtype=torch.int32, device="cpu", generator=self._random)

        def on(stand_in: Tensor) -> list[Tensor]:
            swapped = tree_map_only(Tensor, lambda leaf: stand_in if leaf is tensor else leaf, (args, kwargs))
            return [leaf for leaf in tree_leaves(func(*swapped[0], **swapped[1])) if isinstance(leaf, Tensor)]

        try:
            indices, labelled = on(mark.indices.clone()), on(labels[mark.indices])
        except Exception:  # made for other numbers
            return None
        fine = all(part.dtype is torch.int32 and not part.is_meta for part in (*indices, *labelled)) and all(
            part.numel() == 0 or bool((part.min() >= 0) & (part.max() < mark.trail.rows)) for part in indices
        )
        return indices if fine and all(map(torch.equal, (labels[part] for part in indices), labelled)) else None

    def _name(self, frame: FrameType | None) -> None:
        """Note what the callers on the stack call the parts that they hold, the outermost first."""
        frames = []
        while frame is not None:
            if id(frame.f_locals.get("self")) in self._callers:
                frames.append(frame)
            frame = frame.f_back
        for frame in reversed(frames):
            for name, value in frame.f_locals.items():
                mark = self._marks.get(value) if isinstance(value, Tensor) else None
                if mark is not None and mark.trail.found.get(mark.rows) == "":
                    mark.trail.found[mark.rows] = name


def _spread(other: Tensor, tensor: Tensor) -> bool:
    """Whether an operand is spread over ``tensor``, as a bias is."""
    try:
        return bool(torch.broadcast_shapes(other.shape, tensor.shape) == tensor.shape)
    except RuntimeError:
        return False
