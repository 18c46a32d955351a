"""What trainers that take the head's weight say of a head with adapters."""

from __future__ import annotations

from typing import Any

from torch import nn

from archlint.core.trial import Refusal


def refused_head(model: nn.Module) -> Refusal | None:
    """What TRL's trainers raise of the head that ``model`` has with its adapters; ``None`` where they take it.

    Since 1.15 all that compute log-probabilities refuse an adapted head when they are made, as ``SFTTrainer`` does
    in ``trl/trainer/sft_trainer.py``; ``add_fused_lm_head`` then takes the head's ``weight`` and ``bias``.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    try:
        head: Any = model.get_output_embeddings()  # type: ignore[operator]
    except Exception:  # a model's code raises what it will, and a model without this method has no head to look at
        return None
    path = next((path for path, module in model.named_modules() if module is head), None)
    if path is None:
        return None
    if isinstance(head, BaseTunerLayer):
        return Refusal("ValueError", f"Applying a PEFT adapter to `{path}` is not supported", at=path)
    base = getattr(head, "base_layer", None) or getattr(head, "original_module", head)
    for name in ("weight", "bias"):
        if hasattr(base, name) and not hasattr(head, name):
            return Refusal("AttributeError", f"{type(head).__name__!r} object has no attribute {name!r}", at=path)
    return None
