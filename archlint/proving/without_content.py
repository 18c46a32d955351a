"""What PEFT asks of a tensor that has no content: told from real refusals, and answered where that does no harm."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def lacks_content(error: Exception) -> bool:
    """Whether PEFT raised ``error`` for want of values, or of a package, and not at what it was asked to do.

    Torch says so of tensors on the meta device; what PEFT raises in words of its own is a refusal.
    """
    if isinstance(error, ImportError):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    by_torch = bool(frames) and f"{frames[-1].f_globals.get('__name__', '')}.".startswith("torch.")
    return by_torch and (isinstance(error, NotImplementedError) or "meta" in str(error).lower())


@contextlib.contextmanager
def numbers_made_up() -> Iterator[None]:
    """Within the block a meta tensor gives one, or true, where code asks it for a number."""
    with _Ones():  # type: ignore[no-untyped-call]
        yield


class _Ones(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].device.type == "meta":
            return True if args[0].dtype is torch.bool else 1.0 if args[0].is_floating_point() else 1
        return func(*args, **(kwargs or {}))
