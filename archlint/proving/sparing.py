"""PEFT matches a plan with every layer of a model; the adapter it makes for a layer like another is the same again."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Hashable, Iterator, Mapping, Sized
from typing import Any, NamedTuple

import torch
from torch import nn

from archlint.core.trial import LORA, USER, Plan

_PLACING = frozenset({"target_modules", "exclude_modules", "target_parameters", "modules_to_save"})
"""Settings with which PEFT makes equal adapters for equal layers, whatever their index."""

_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device)


def is_sparing(plan: Plan) -> bool:
    """Whether adapters of ``plan`` may be left out; of the user's every weight and every file entry is told."""
    return plan.tuner == LORA and plan.name != USER and plan.lora.keys() <= _PLACING


class Sparing:
    """Injects a LoRA without the adapters that would be like those of another layer.

    PEFT goes through the whole model as ever: it matches each module, checks each target, and raises and warns as it
    does. Only the making of an adapter is left out, where PEFT made one, without a warning, in the layer that stands
    in: with the same rank and the same scale, for a target that is the same in all but its tensors' content.

    New adapters are on the meta device. That is so while they are made only: torch, where it watches for new tensors,
    takes several times as long for all else that PEFT does.

    Args:
        stand_ins: for layers that need no adapters of their own, the paths of those that stand in for them.
        notices: what PEFT warned of, which grows as it warns.
    """

    def __init__(self, stand_ins: Mapping[str, str], notices: Sized) -> None:
        self._stand_ins = stand_ins
        self._notices = notices
        self._made: dict[str, _Made] = {}
        self._spared: list[_Made] = []

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Within the block PEFT leaves out what may be left out."""
        from peft.tuners.lora import LoraModel

        tuners: Any = LoraModel
        create, meta = tuners._create_and_replace, torch.device("meta")

        def sparing(
            tuner: Any, config: Any, name: str, target: Any, *where: Any, current_key: str, **more: Any
        ) -> None:
            call = _call(config, target, where, current_key, more)
            other = self._made.get(self._stand_in(current_key) or "")
            if other is not None and other.call == call:
                self._spared.append(other)
                return
            warned = len(self._notices)
            with meta:
                create(tuner, config, name, target, *where, current_key=current_key, **more)
            if len(self._notices) == warned:
                target_name, parent = where
                self._made[current_key] = _Made(call, parent.get_submodule(target_name))

        tuners._create_and_replace = sparing
        try:
            yield
        finally:
            tuners._create_and_replace = create

    def trainable(self) -> int:
        """The number of trainable weights in the adapters that were left out."""
        sizes: dict[int, int] = {}
        for made in self._spared:
            if id(made) not in sizes:
                sizes[id(made)] = sum(weight.numel() for weight in _own(made.layer) if weight.requires_grad)
        return sum(sizes[id(made)] for made in self._spared)

    def _stand_in(self, key: str) -> str | None:
        """What ``key`` is called in the layer that stands in for its own."""
        end = key.find(".")
        while end > 0:
            if (layer := self._stand_ins.get(key[:end])) is not None:
                return layer + key[end:]
            end = key.find(".", end + 1)
        return None


class _Made(NamedTuple):
    """An adapter that PEFT made: all that decided how, and PEFT's layer."""

    call: Hashable
    layer: nn.Module


def _call(config: Any, target: nn.Module, where: Collection[Any], key: str, more: Mapping[str, Any]) -> Hashable:
    from peft.tuners.lora.layer import ParamWrapper
    from peft.utils.other import get_pattern_key

    while isinstance(target, ParamWrapper):  # one for another parameter of the same module
        target = target.get_base_layer()
    patterns = (config.rank_pattern, config.alpha_pattern)
    keyed = (pattern.get(get_pattern_key(pattern.keys(), key)) for pattern in patterns if pattern)
    return (*keyed, next(iter(where)), tuple(more.items()), _likeness(target))


def _likeness(target: nn.Module) -> Hashable:
    """All of ``target`` that PEFT can tell apart, its tensors' content left out; other objects count as they are."""
    return tuple(
        (
            name,
            type(part),
            tuple((own, _described(value)) for own, value in vars(part).items() if own != "_modules"),
        )
        for name, part in target.named_modules()
    )


def _described(value: Any) -> Hashable:
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, torch.Tensor):
        return type(value), value.shape, value.dtype, value.device
    if isinstance(value, dict):
        return tuple((key, _described(part)) for key, part in value.items())
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(_described, value))
    if isinstance(value, (set, frozenset)) and not value:
        return type(value)
    return id(value)


def _own(layer: nn.Module) -> Iterator[nn.Parameter]:
    """The weights of PEFT's layer, without those that it wraps."""
    return (weight for name, weight in layer.named_parameters() if not name.startswith("base_layer."))
