"""Adapters that change nothing and learn nothing, whatever the batch: they are multiplied by zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archlint.core.trial import Mute

if TYPE_CHECKING:
    from peft.tuners.tuners_utils import BaseTunerLayer


def muted(layer: BaseTunerLayer) -> Mute | None:
    """Why all gradients of the adapter on ``layer`` are exactly zero; ``None`` where they are not."""
    from peft.tuners.lora import Embedding, LoraLayer

    names = layer.active_adapters
    if not names or any(name in getattr(layer, "lora_variant", ()) for name in names):
        return None  # a variant, such as DoRA, may train more than what is scaled and dropped
    scaling = getattr(layer, "scaling", None)
    if isinstance(scaling, dict) and all(scaling.get(name) == 0 for name in names):
        return Mute.SCALING
    if isinstance(layer, LoraLayer) and not isinstance(layer, Embedding):  # whose input are indices
        rates = [getattr(layer.lora_dropout[name], "p", 0) if name in layer.lora_dropout else 0 for name in names]
        if all(rate == 1 for rate in rates) and not any(layer.lora_bias.get(name) for name in names):
            return Mute.DROPOUT
    return None
