"""What TRL's RewardTrainer does with a model: it takes one number from a sequence classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def run(model: Any, inputs: Mapping[str, Any]) -> None:
    """One forward pass as ``trl/trainer/reward_trainer.py`` of TRL 1.16 does it.

    Args:
        inputs: what the collator gives, without labels; on the device of the model.

    Raises:
        Exception: whatever the trainer's or the model's code raises.
    """
    if getattr(model.config, "num_labels", None) != 1:
        raise ValueError(f"the model has num_labels={model.config.num_labels}, and reward models have 1")
    model.config.get_text_config().pad_token_id = 0  # as the tokenizer has it
    rewards = model(**inputs, use_cache=False).logits.squeeze(-1)
    if rewards.shape != inputs["input_ids"].shape[:1]:
        raise ValueError(f"the model gives rewards of shape {tuple(rewards.shape)}, and there is one for each row")
