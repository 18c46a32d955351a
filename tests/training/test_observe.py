"""What trainers make of a model, held against TRL itself on small real copies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from archlint.core.blueprint import ModelInfo
from archlint.core.training import DEFAULT_TRAINERS, TOLERANCE, Trainer, Training
from archlint.running import Runner, small_copy
from archlint.skeleton import build
from archlint.sources import SourceOptions, resolve
from archlint.survey import survey
from archlint.training import behaviour, observe

trl = pytest.importorskip("trl.trainer.utils", reason="TRL is not installed")

SAME = ["llama", "gemma2", "granite", "cohere", "gpt2", "opt"]
OTHER = ["bert", "recurrent_gemma", "prophetnet", "cohere2_vision"]
RAISES = ["llama4_text", "electra", "t5"]


CLASSES = {
    "bart": "BartForCausalLM",
    "bert": "BertLMHeadModel",
    "electra": "ElectraForCausalLM",
    "llama4_text": "Llama4ForCausalLM",
    "prophetnet": "ProphetNetForCausalLM",
    "xlnet": "XLNetLMHeadModel",
}
"""Classes of types whose default is another one."""


def skeleton(name: str, class_name: str | None = None, **changes: Any) -> nn.Module:
    config = resolve(f"type:{name}", SourceOptions(offline=True)).config
    assert config is not None
    return build({**config, **changes}, class_name=class_name or CLASSES.get(name)).model


def observed(model: nn.Module) -> Training:
    from archlint.skeleton import Skeleton

    blueprint = survey(Skeleton(model), ModelInfo("m", "object", "", "", 0, 0), None)
    found = Runner(model, blueprint).observe(lambda model, batch: observe(model, batch, behaviour()))
    assert found is not None
    return found.by(DEFAULT_TRAINERS)


def spread(model: nn.Module) -> None:
    """Weights that show what is done with them: no bias is zero, and logits differ by a few units.

    Buffers stay as they were made, which is what most checkpoints have.
    """
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if weight.is_floating_point() and (weight.ndim > 1 or name.endswith("bias")):
            weight.data.normal_(std=0.3 if weight.ndim == 1 else weight.shape[-1] ** -0.5)


def fused(model: nn.Module) -> float | Exception:
    """The largest difference between TRL's log-probabilities and the model's own, or what TRL raises."""
    spread(model)
    ids = torch.arange(2 * 7).reshape(2, 7) % 5 + 3
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        model.eval()
        try:
            own = functional.log_softmax(model(**inputs).logits[:, :-1].float(), -1)
            own = own.gather(-1, ids[:, 1:, None]).squeeze(-1)
        except ValueError:  # an encoder–decoder without decoder inputs
            own = torch.zeros(2, 6)
        try:
            trl.add_fused_lm_head(model)
            return float((model(**inputs, labels=ids, use_cache=False, fused_lm_head=True).log_probs - own).abs().max())
        except Exception as error:
            return error


@pytest.mark.parametrize("name", SAME)
def test_a_head_that_is_all_there_is(name: str) -> None:
    model = skeleton(name)
    found = observed(model)
    assert found.fused is None
    assert found.auxiliary is None
    assert (found.tail.reason, found.tail.differs) == ("", False)
    difference = fused(small_copy(model))
    assert isinstance(difference, float)
    assert difference < TOLERANCE


@pytest.mark.parametrize("name", OTHER)
def test_what_a_fused_head_leaves_out_or_adds(name: str) -> None:
    model = skeleton(name)
    found = observed(model)
    assert found.fused is None
    assert found.tail.differs
    assert found.tail.other_state or found.tail.skipped or found.tail.applied
    difference = fused(small_copy(model))
    assert isinstance(difference, float)
    assert difference > TOLERANCE


@pytest.mark.parametrize("name", RAISES)
def test_what_a_fused_head_raises(name: str) -> None:
    model = skeleton(name)
    found = observed(model)
    assert found.fused is not None
    raised = fused(small_copy(model))
    assert type(raised).__name__ == found.fused.type


@pytest.mark.parametrize(
    ("name", "changes", "raised"),
    [
        ("mpt", {"logit_scale": "inv_sqrt_d_model"}, "TypeError"),
        ("llama", {"logits_scaling": 0}, "ZeroDivisionError"),
        ("llama", {"final_logit_softcapping": "30"}, "TypeError"),
    ],
)
def test_a_setting_that_trl_cannot_compute_with(name: str, changes: dict[str, Any], raised: str) -> None:
    model = skeleton(name, **changes)
    found = observed(model)
    assert found.fused is not None
    assert found.fused.type == raised
    copy = small_copy(model)
    error = fused(copy)
    assert type(error).__name__ == raised


def test_a_cap_of_zero_is_taken_for_one() -> None:
    found = observed(skeleton("llama", final_logit_softcapping=0.0))
    assert (found.fused, found.tail.differs) == (None, True)
    difference = fused(small_copy(skeleton("llama", final_logit_softcapping=0.0)))
    assert isinstance(difference, float)
    assert difference > TOLERANCE


@pytest.mark.parametrize("name", ["bart", "mbart", "plbart", "mvp"])
def test_a_buffer_that_is_zero_unless_a_checkpoint_has_it_other(name: str) -> None:
    model = skeleton(name, {"mbart": "MBart", "plbart": "PLBart"}.get(name, name.title()) + "ForConditionalGeneration")
    found = observed(model)
    assert found.fused is None
    assert (found.tail.differs, found.tail.buffers) == (False, ("final_logits_bias",))
    copy = small_copy(model)
    difference = fused(copy)
    assert isinstance(difference, float)
    assert difference < TOLERANCE
    copy = small_copy(model)
    copy.get_buffer("final_logits_bias").normal_()
    difference = fused(copy)
    assert isinstance(difference, float)
    assert difference > TOLERANCE


@pytest.mark.parametrize("name", ["llama", "deepseek_v3", "glm4_moe"])
def test_router_logits_that_a_config_asks_for_and_no_argument_turns_off(name: str) -> None:
    model = skeleton(name, output_router_logits=True)
    found = observed(model).by(DEFAULT_TRAINERS, router_aux_loss_coef=0.0)
    assert found.always_balances
    assert found.fused is None
    assert found.refuses_balance
    assert found.needed_by(Trainer.SFT) is None
    raised = fused(small_copy(model))
    assert found.auxiliary is not None
    assert type(raised).__name__ == found.auxiliary.type == "AttributeError"
    mended = skeleton(name, output_router_logits=False)
    assert observed(mended).needed_by(Trainer.SFT) == {}
    assert isinstance(fused(small_copy(mended)), float)


def test_embeddings_that_are_written_to_and_may_not_ask_for_gradients() -> None:
    found = observed(skeleton("git", "GitForCausalLM"))
    assert (found.fused, found.checkpointing) == (None, None)
    assert found.input_gradients is not None
    assert "in-place" in found.input_gradients.message


def test_the_auxiliary_loss_of_experts() -> None:
    found = observed(skeleton("granitemoe"))
    assert found.fused is None
    assert found.auxiliary is not None
    assert "num_experts" in found.auxiliary.message


@pytest.mark.parametrize(("name", "shifted"), [("llama", True), ("bart", False), ("gpt2", True), ("xlnet", False)])
def test_whether_the_own_loss_is_shifted(name: str, shifted: bool) -> None:
    assert observed(skeleton(name)).loss.shifted is shifted


def test_the_line_that_is_skipped_is_told() -> None:
    (step,) = [step for step in observed(skeleton("recurrent_gemma")).tail.skipped if step.name == "tanh"]
    assert step.file.endswith("modeling_recurrent_gemma.py")
    assert step.line > 0
