"""One call of a module as a module of its own: what it was called with besides one tensor is kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from archlint.running import Batch, one_thread
from archlint.running.step import forward
from archlint.surgery.measuring import NotPossibleError
from archlint.surgery.patch import Patch

_SEED = 0


class Replay(nn.Module):
    """A module that takes one tensor and calls ``module`` with it, and with what else it was called with."""

    def __init__(self, module: nn.Module, others: Sequence[Any] = (), named: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.module = module
        self.others = tuple(others)
        self.named = dict(named or {})

    def forward(self, given: Tensor) -> Any:
        """What ``module`` gives; it may write into the copies of tensors that it gets."""

        def fresh(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value.to(given.dtype, copy=True) if value.is_floating_point() else value.clone()

        others, named = tree_map(fresh, (self.others, self.named))
        return self.module(given.clone(), *others, **named)


Call = tuple[Replay, Tensor]
"""A module to call, and the tensor to call it with."""


def calls(model: nn.Module, batches: Iterable[Batch], wanted: Callable[[nn.Module], str | None]) -> dict[str, Call]:
    """The first call of each module of ``model`` that is wanted, by the key that ``wanted`` gives it.

    Small copies see few kinds of tokens, and have small weights: matrices of the modules, and the tensors that they
    are called with, are random numbers in the calls.

    Args:
        model: on the processor, with real numbers; its weights change.
        batches: the first that runs is taken.
        wanted: ``None`` for a module of no interest; of several with one key, the first that is called counts.
    """
    found: dict[str, Call] = {}
    random = torch.Generator().manual_seed(_SEED)

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        key = wanted(module)
        if key is None or key in found:
            return
        named = dict(kwargs)
        first, *others = args if args else (named.pop(next(iter(named)), None),)
        if isinstance(first, Tensor) and first.is_floating_point() and first.numel():
            kept = tree_map(lambda value: value.clone() if isinstance(value, Tensor) else value, (others, named))
            found[key] = Replay(module, *kept), torch.randn(first.shape, generator=random)

    hooks = [module.register_forward_pre_hook(note, with_kwargs=True) for module in model.modules()]
    try:
        with one_thread(), torch.no_grad():
            for batch in batches:
                found.clear()
                try:
                    forward(model.eval(), batch, "cpu")
                except Exception:  # a model's code raises whatever its inputs lead it to
                    continue
                break
    finally:
        for hook in hooks:
            hook.remove()
    for replay, _ in found.values():
        for parameter in replay.parameters():
            if parameter.dim() > 1:
                spread = parameter.shape[-1] ** -0.5
                parameter.data.copy_(torch.randn(parameter.shape, generator=random) * spread)
    return found


def compare(call: Call, patch: Patch, *, rewrapped: bool) -> None:
    """Call the module unwrapped, and as it is or rewrapped, in single precision and in bfloat16.

    Raises:
        NotPossibleError: something raises, or the outputs are not the same.
    """
    unwrap, rewrap = patch.function("unwrap"), patch.function("rewrap")
    assert unwrap is not None
    assert rewrap is not None
    for kind in (torch.float32, torch.bfloat16):
        replay, given = copy.deepcopy(call)
        replay.to(kind)
        try:
            before = _outputs(replay, given.to(kind))
            unwrap(replay)
            after = _outputs(replay, given.to(kind))
            if rewrapped:
                rewrap(replay)
                before = _outputs(replay, given.to(kind))
        except Exception as error:  # a model's code raises whatever it is led to
            raise NotPossibleError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
        if not all(map(torch.equal, before, after)):
            raise NotPossibleError("it computes something else when it is unwrapped")


def _outputs(replay: nn.Module, given: Tensor) -> list[Tensor]:
    with one_thread(), torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [leaf for leaf in tree_leaves(replay(given)) if isinstance(leaf, Tensor)]
