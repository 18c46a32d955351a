"""The plans that people use unasked."""

from __future__ import annotations

from archlint.core.trial import Plan

STOCK_PLANS = (
    Plan("peft-default", {}),
    Plan("all-linear", {"target_modules": "all-linear"}),
    Plan(
        "name-list",
        {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]},
    ),
)
"""PEFT's default for the model type, every linear layer, and the list of names that most examples carry."""
