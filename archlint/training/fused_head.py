"""What TRL's trainers compute instead of a model's own forward: the backbone, then the head's weight.

This follows ``trl.trainer.utils.add_fused_lm_head`` and the trainers that call it, line by line where an exception
can come of it. TRL itself is not imported: that takes seconds, and it need not be installed.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archlint.training.behaviour import Behaviour


@dataclass(frozen=True)
class Logits:
    """What is done to the product of hidden state and head: a factor, then a cap by ``tanh``."""

    scale: float = 1.0
    cap: float | None = None
    settings: tuple[tuple[str, float], ...] = ()
    """Where in the text config the two come from; a config may hold no number there, and then nothing is computed."""

    @classmethod
    def read(cls, config: Any, behaviour: Behaviour) -> Logits:
        """What the trainer reads from a model's config when it patches the model.

        Raises:
            Exception: whatever the trainer's code raises for a setting that is no number it can take.
        """
        text = config.get_text_config()
        found: dict[str, float] = {}
        factors = ((scale, scale.factor(text)) for scale in behaviour.scales)
        first = next(((scale.name, factor) for scale, factor in factors if factor is not None), None)
        if first is not None:
            found[first[0]] = getattr(text, first[0])
        if (cap := getattr(text, behaviour.cap, None)) is not None:
            found[behaviour.cap] = cap
        scale = 1.0 if first is None else first[1]
        return cls(scale, cap, tuple(found.items()))

    def of(self, product: Tensor) -> Tensor:
        """The logits, of the shape of ``product``."""
        logits = product * self.scale
        if self.cap is None:
            return logits
        cap = self.cap or 1.0  # as the trainer takes a cap of 0
        return cap * torch.tanh(logits / cap)


def run(model: nn.Module, inputs: Mapping[str, Any], behaviour: Behaviour, *, auxiliary: bool) -> None:
    """One forward pass as the trainer does it, up to the logits.

    Args:
        inputs: what the collator gives, without labels; on the device of the model.
        auxiliary: with what the load-balancing loss of experts is computed from.

    Raises:
        Exception: whatever the trainer's or the model's code raises.
    """
    config: Any = model.config
    _ = model.generation_config.pad_token_id  # type: ignore[union-attr]  # which the trainer sets
    Logits.read(config, behaviour)
    text = config.get_text_config()
    if hasattr(text, "router_aux_loss_coef") or getattr(text, "output_router_logits", False):
        text.output_router_logits = auxiliary
    given: dict[str, Any] = {**inputs, "use_cache": False}
    if auxiliary or getattr(text, "output_router_logits", False):
        given["output_router_logits"] = True
    score(model, model.base_model(**given), inputs, behaviour)  # type: ignore[operator]


def score(model: Any, outputs: Any, inputs: Mapping[str, Any], behaviour: Behaviour) -> None:
    """What the trainer does with the ``outputs`` of the backbone.

    Raises:
        Exception: whatever the trainer's code raises.
    """
    hidden = outputs.last_hidden_state[:, :-1]
    head = model.get_output_embeddings()
    weight, _ = head.weight, head.bias
    scores = torch.mm(hidden.reshape(-1, hidden.size(-1)), weight.to(hidden.dtype).t())[:, 0]
    Logits.read(model.config, behaviour).of(scores).view(inputs["input_ids"][:, 1:].shape)


def balance(config: Any, outputs: Any, inputs: Mapping[str, Any], behaviour: Behaviour) -> None:
    """The load-balancing loss of experts, from what the backbone gave.

    Raises:
        Exception: whatever the trainer's code raises.
    """
    text = config.get_text_config()
    compute = pkgutil.resolve_name(behaviour.balancing)
    loss = compute(outputs.router_logits, text.num_experts, text.num_experts_per_tok, inputs.get("attention_mask"))
    loss.mean()  # a number where the backbone has no router logits, which the trainer's log does not expect
