"""Settings with which a fused head computes what the model computes."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import PretrainedConfig

from archlint.core.training import TOLERANCE
from archlint.training import mending
from archlint.training.behaviour import behaviour_of
from archlint.training.fused_head import Logits

TRL = behaviour_of("1.16.0")
PRODUCT = torch.randn((2, 3, 40), generator=torch.Generator().manual_seed(0)) * 2


class Configured(nn.Module):
    """A model of which nothing but the config is looked at."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.config = PretrainedConfig(**settings)


def found(logits: Tensor, product: Tensor = PRODUCT, trl: Any = TRL, **settings: Any) -> list[dict[str, Any]]:
    return list(mending.settings(Configured(**settings), trl, logits, product))


def fused(changes: dict[str, Any], **settings: Any) -> Tensor:
    """What the fused head computes once ``changes`` are made."""
    return Logits.read(PretrainedConfig(**{**settings, **changes}), TRL).of(PRODUCT)


def off(one: Tensor, other: Tensor) -> float:
    return float((one.log_softmax(-1) - other.log_softmax(-1)).abs().max())


def test_a_cap_that_the_config_has_by_another_name() -> None:
    assert found(torch.tanh(PRODUCT / 3) * 3, my_cap=3.0) == [{"final_logit_softcapping": 3.0}]


def test_a_cap_that_no_config_states_is_not_made_up() -> None:
    assert found(torch.tanh(PRODUCT / 3) * 3, my_cap=4.0) == []


def test_a_factor_is_told_by_the_setting_that_trl_reads_first() -> None:
    assert found(PRODUCT / 16) == [{"logit_scale": 0.0625}]


def test_a_factor_that_the_fused_head_applies_and_the_model_does_not() -> None:
    assert found(PRODUCT, logit_scale=0.0625) == [{"logit_scale": 1.0}]


def test_a_factor_is_told_by_the_setting_that_the_config_has() -> None:
    assert found(PRODUCT / 8, logits_scaling=1.0) == [{"logits_scaling": 8.0}]


def test_a_cap_that_the_model_does_without_goes() -> None:
    changes = found(PRODUCT / 2, final_logit_softcapping=30.0)
    assert changes == [{"final_logit_softcapping": None, "logit_scale": 0.5}]
    assert off(fused(changes[0], final_logit_softcapping=30.0), PRODUCT / 2) < TOLERANCE


def test_a_factor_beside_a_cap_that_is_right_is_taken_out() -> None:
    given: dict[str, Any] = {"final_logit_softcapping": 5.0, "logit_scale": 0.5}
    own = torch.tanh(PRODUCT / 5) * 5
    (changes,) = found(own, **given)
    assert changes == {"final_logit_softcapping": 5.0, "logit_scale": 1.0}
    assert off(fused(changes, **given), own) < TOLERANCE


def test_a_transform_is_no_setting() -> None:
    generator = torch.Generator().manual_seed(1)
    turned = PRODUCT @ torch.randn((40, 40), generator=generator)
    assert found(turned, my_cap=5.0) == []
    assert found(PRODUCT + torch.randn(40, generator=generator), my_cap=5.0) == []
    assert found(-PRODUCT) == []


def test_a_version_that_reads_no_factor_is_given_none() -> None:
    assert found(PRODUCT / 16, trl=behaviour_of("1.6.0")) == []


def test_few_columns_of_a_vocabulary_are_enough() -> None:
    wide = PRODUCT.repeat(1, 1, 100)
    assert found(wide / 4, wide) == [{"logit_scale": 0.25}]


@profile(max_examples=60)
@given(st.floats(1e-3, 1e3), st.sampled_from([None, "logit_scale", "lm_head_multiplier", "logits_scaling"]))
def test_any_factor_is_found_and_mends(factor: float, setting: str | None) -> None:
    given: dict[str, Any] = {} if setting is None else {setting: 3.0}
    own = PRODUCT * factor
    (changes,) = found(own, **given)
    assert torch.allclose(fused(changes, **given), own, rtol=1e-4)
    assert set(changes) == {setting or "logit_scale"}


@profile(max_examples=60)
@given(st.floats(1.01, 200))
def test_any_cap_of_the_config_is_found_and_mends(cap: float) -> None:
    own = torch.tanh(PRODUCT / cap) * cap
    changes = found(own, of_my_own=cap)
    assert any(off(fused(change), own) < TOLERANCE for change in changes)
