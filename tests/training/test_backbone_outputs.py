"""What the modules of a backbone give back in a run of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from archlint.fixtures.toys.trainers import HiddenStates, Plain
from archlint.training.backbone_outputs import BackboneOutputs

IDS = torch.arange(6).reshape(2, 3)


class Outer(nn.Module):
    """A backbone around another one."""

    def __init__(self, *, scale: float = 1.0, breaks: bool = False) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(4, 4)
        self.language_model = HiddenStates()
        self.scale, self.breaks = scale, breaks

    def forward(self, input_ids: torch.Tensor) -> Any:
        self.embed_tokens(input_ids % 4)
        outputs = self.language_model(input_ids)
        if self.breaks:
            raise RuntimeError("no")
        return outputs if self.scale == 1 else (outputs.last_hidden_state * self.scale,)


class Wrapped(nn.Module):
    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.base_model = Outer(**settings)
        self.beside = nn.Linear(2, 2)


def run(model: Any) -> BackboneOutputs:
    outputs = BackboneOutputs(model)
    with outputs.recorded():
        model.base_model(IDS)
    return outputs


def test_the_backbone_and_the_part_whose_state_it_hands_on() -> None:
    model = Wrapped()
    sources = run(model).sources()
    assert set(sources) == {model.base_model, model.base_model.language_model}
    inner, outer = sources[model.base_model.language_model], sources[model.base_model]
    assert inner.last_hidden_state is outer.last_hidden_state


def test_a_part_whose_state_is_changed_is_none_of_them() -> None:
    model = Wrapped(scale=2.0)
    assert set(run(model).sources()) == {model.base_model}


def test_a_model_of_transformers_has_its_base_model_for_one() -> None:
    model = Plain()
    assert set(run(model).sources()) == {model.model}


def test_nothing_is_handed_on_without_a_run_to_the_end() -> None:
    model = Wrapped(breaks=True)
    outputs = BackboneOutputs(model)
    assert outputs.sources() == {}
    with pytest.raises(RuntimeError), outputs.recorded():
        model.base_model(IDS)
    assert outputs.sources() == {}


def test_what_a_part_gave_for_the_same_inputs() -> None:
    model = Plain()
    outputs = BackboneOutputs(model)
    with outputs.recorded():
        states = model.base_model(input_ids=IDS, use_cache=False)
    assert outputs.given(model.model, {"input_ids": IDS}) is states
    assert outputs.given(model.model, {"input_ids": IDS.clone()}) is None
    assert outputs.given(model.model, {"input_ids": IDS, "attention_mask": IDS}) is None
    assert outputs.given(model.lm_head, {"input_ids": IDS}) is None
    assert set(outputs.sources(model.model)) == {model.model}


def test_what_is_run_before_a_head_and_has_no_part_in_it() -> None:
    model = Plain()
    outputs = BackboneOutputs(model)
    with outputs.recorded():
        model(input_ids=IDS)
    assert list(outputs.before(model.lm_head)) == [model.model]
    assert outputs.sources() == {}  # the run went on
    with outputs.recorded():
        model.base_model(IDS)
        model.base_model(IDS)
    assert outputs.before(model.lm_head) == {}  # twice: not known which is which


def test_a_run_forgets_the_one_before_and_leaves_no_hook() -> None:
    model = Wrapped()
    outputs = run(model)
    before = outputs.sources()[model.base_model]
    model.base_model(IDS)
    assert outputs.sources()[model.base_model] is before
    with outputs.recorded():
        model.base_model(IDS)
    assert outputs.sources()[model.base_model] is not before
    with outputs.recorded():
        pass
    assert outputs.sources() == {}
    assert not any(module._forward_hooks for module in model.modules())
