"""What trainers make of a model, held against TRL itself on small real copies."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from archlint.core.blueprint import ModelInfo
from archlint.core.training import DEFAULT_TRAINERS, TOLERANCE, Training
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


def skeleton(name: str) -> nn.Module:
    config = resolve(f"type:{name}", SourceOptions(offline=True)).config
    assert config is not None
    return build(config, class_name=CLASSES.get(name)).model


def observed(model: nn.Module) -> Training:
    from archlint.skeleton import Skeleton

    blueprint = survey(Skeleton(model), ModelInfo("m", "object", "", "", 0, 0), None)
    found = Runner(model, blueprint).observe(lambda model, batch: observe(model, batch, behaviour()))
    assert found is not None
    return found.by(DEFAULT_TRAINERS)


def spread(model: nn.Module) -> None:
    """Weights that show what is done with them: no bias is zero, no gain is one, and logits differ by a few units."""
    torch.manual_seed(0)
    for name, weight in [*model.named_parameters(), *model.named_buffers()]:
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
        trl.add_fused_lm_head(model)
        try:
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
