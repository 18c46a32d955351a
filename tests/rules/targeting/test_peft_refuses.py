"""ARC515: refusals that nothing else explains, and none that something else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model

from archlint import Example
from archlint.core.catalog import Catalog
from archlint.core.finding import Severity
from archlint.judging import run_rules
from archlint.rules.targeting.peft_refuses import PeftRefuses
from archlint.testing import examine, findings


@pytest.mark.parametrize(
    ("model", "plan", "message"),
    [
        ("toy:projections.Dense", {"target_modules": ["q_proj"], "r": -1}, "`r` should be a positive integer"),
        ("toy:projections.Dense", {"target_modules": ["q_proj"], "no_such_setting": 1}, "no_such_setting"),
        ("toy:projections.Dense", {"target_modules": "(q_proj"}, "unterminated subpattern"),
        ("toy:targeting.Crowded", {"target_modules": ["attention"], "use_dora": True}, "does not support DoRA"),
    ],
)
def test_pefts_own_message_is_given(model: str, plan: dict[str, Any], message: str) -> None:
    (finding,) = findings(PeftRefuses, Example(model, plan=plan))
    assert finding.severity is Severity.ERROR
    assert message in finding.message


@pytest.mark.parametrize("setting", [{"r": 0}, {"bias": "most"}])
def test_the_setting_that_peft_names_is_what_it_is_about(setting: dict[str, Any]) -> None:
    (finding,) = findings(PeftRefuses, Example("toy:projections.Dense", plan={"target_modules": ["q_proj"], **setting}))
    assert finding.settings == tuple(setting)


REFUSED = [
    ("toy:projections.Dense", {}),
    ("toy:projections.Dense", {"target_modules": ["gate_proj"]}),
    ("toy:projections.Dense", {"target_modules": "all-linear", "layers_to_transform": [0]}),
    ("toy:projections.Wrapped", {"target_modules": ["q_proj"]}),
    ("toy:targeting.Experts", {}),
    ("toy:targeting.Experts", {"target_modules": ["w1"]}),
    ("toy:targeting.Experts", {"target_modules": ["w1", "w2", "w3"], "lora_dropout": 0.1}),
    ("toy:targeting.Experts", {"target_modules": ["experts"]}),
    ("toy:targeting.Blocked", {"target_modules": ["out_proj"]}),
    ("toy:targeting.Mixed", {"target_modules": ["dense"]}),
    ("toy:targeting.Hybrid", {"target_modules": ["self_attn"]}),
    ("toy:heads.Shy", {"target_modules": ["q_proj"]}),
    ("toy:heads.classifier", {"target_modules": ["query"], "task_type": "CAUSAL_LM"}),
    ("toy:heads.classifier", {"target_modules": "all-linear", "task_type": "TOKEN_CLS"}),
    ("toy:targeting.Crowded", {"target_modules": ["attention"], "use_dora": True}),
    ("toy:projections.Dense", {"target_modules": ["q_proj"], "r": 0}),
]


@pytest.mark.parametrize(("model", "plan"), REFUSED)
def test_one_rule_speaks_of_a_refusal(model: str, plan: dict[str, Any]) -> None:
    blueprint = examine(Example(model, plan=plan))
    assert blueprint.plan is not None
    assert blueprint.plan.raised is not None
    rules = [rule for rule in Catalog.load().rules.values() if rule.__module__.startswith("archlint.rules.")]
    errors = [finding for finding in run_rules(blueprint, rules)[0] if finding.severity is Severity.ERROR]
    assert len(errors) == 1, [(finding.code, finding.message) for finding in errors]


def test_rows_that_the_embedding_lacks_are_to_be_added(toy: Callable[[str], Any]) -> None:
    plan = {"target_modules": ["q_proj"], "trainable_token_indices": [3, 16]}
    with pytest.raises(IndexError) as error:
        get_peft_model(toy("heads.Untied"), LoraConfig(**plan))  # type: ignore[arg-type]
    (finding,) = findings(PeftRefuses, Example("toy:heads.Untied", plan=plan))
    assert finding.severity is Severity.ERROR
    assert str(error.value) in finding.message
    assert "resize_token_embeddings(17)" in finding.remedies[0].text
