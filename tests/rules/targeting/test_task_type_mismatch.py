"""ARC514: PEFT's task types, and the classes that they are for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peft import AutoPeftModelForCausalLM, AutoPeftModelForSeq2SeqLM, LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from archlint import Example, lint
from archlint.core.finding import Severity
from archlint.rules.targeting.task_type_mismatch import TaskTypeMismatch
from archlint.testing import findings


@pytest.mark.parametrize("task_type", ["CAUSAL_LM", "SEQ_2_SEQ_LM"])
def test_peft_needs_a_class_that_generates(adapt: Callable[..., Any], task_type: str) -> None:
    plan = {"target_modules": ["query"], "task_type": task_type}
    with pytest.raises(AttributeError, match="prepare_inputs_for_generation"):
        adapt("heads.classifier", **plan)
    (finding,) = findings(TaskTypeMismatch, Example("toy:heads.classifier", plan=plan))
    assert finding.severity is Severity.ERROR
    adapt("heads.classifier", **finding.remedies[0].plan)


def test_an_adapter_of_the_wrong_type_does_not_load_as_what_it_is(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    base = str(tmp_path / "base")
    LlamaForCausalLM(config).save_pretrained(base)
    model = LlamaForCausalLM.from_pretrained(base)
    get_peft_model(model, LoraConfig(task_type="SEQ_2_SEQ_LM", target_modules=["q_proj"])).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="task type"):
        AutoPeftModelForCausalLM.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="Unrecognized configuration class"):
        AutoPeftModelForSeq2SeqLM.from_pretrained(tmp_path)
    plan = {"target_modules": ["q_proj"], "task_type": "SEQ_2_SEQ_LM"}
    (finding,) = findings(TaskTypeMismatch, Example("meta-llama/Llama-3.2-1B", plan=plan))
    assert finding.severity is Severity.WARNING
    assert finding.remedies[0].value == "CAUSAL_LM"


@pytest.mark.parametrize(
    ("model", "task_type"),
    [
        ("meta-llama/Llama-3.2-1B", "CAUSAL_LM"),
        ("google/gemma-3-4b-it", "CAUSAL_LM"),
        ("google-t5/t5-small", "SEQ_2_SEQ_LM"),
        ("openai/whisper-tiny", "SEQ_2_SEQ_LM"),
        ("google-bert/bert-base-uncased", "FEATURE_EXTRACTION"),
    ],
)
def test_the_type_that_fits_is_silent(model: str, task_type: str) -> None:
    plan = {"target_modules": "all-linear", "task_type": task_type}
    assert findings(TaskTypeMismatch, Example(model, plan=plan)) == []


def test_a_head_that_the_class_lacks_is_asked_for() -> None:
    plan = {"target_modules": ["query"], "task_type": "SEQ_CLS"}
    (finding,) = findings(TaskTypeMismatch, Example("google-bert/bert-base-uncased", plan=plan))
    assert finding.severity is Severity.INFO
    assert "is another class to be trained?" in finding.message


def test_the_saved_modules_that_are_not_there_are_told() -> None:
    plan = {"target_modules": ["q_proj"], "task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]}
    (finding,) = findings(TaskTypeMismatch, Example("toy:heads.Untied", plan=plan))
    assert finding.severity is Severity.INFO
    assert "classifier, score in modules_to_save reaches nothing" in finding.message


@pytest.mark.parametrize("task_type", ["SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"])
def test_the_class_with_the_head_is_named(shallow: Callable[[str], str], task_type: str) -> None:
    model, plan = shallow("type:llama"), {"target_modules": ["q_proj"], "task_type": task_type}
    (finding,) = findings(TaskTypeMismatch, Example(model, plan=plan))
    (remedy,) = finding.remedies
    assert isinstance(remedy.value, str)
    assert remedy.text.endswith(f"--class {remedy.value}")
    report = lint(model, offline=True, plan=plan, class_name=remedy.value, select=["ARC514"], trainers=[])
    assert report.findings == ()
