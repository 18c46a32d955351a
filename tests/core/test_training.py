"""What a trainer needs, does and refuses, from what was found out of a model once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archlint.core.training import DEFAULT_TRAINERS, TOLERANCE, Tail, Trainer, Training
from archlint.core.trial import Crash

CRASH = Crash("ValueError", "no")
SFT, DPO, REWARD, OWN = Trainer.SFT, Trainer.DPO, Trainer.REWARD, Trainer.TRANSFORMERS
MODEL = Training(fused_by=(SFT, DPO, Trainer.GRPO, Trainer.KTO), trl="1.16.0")
BALANCED = replace(MODEL, has_router_logits=True, coefficient=0.01)


@pytest.mark.parametrize(
    ("trainer", "label", "config"),
    [
        (SFT, "SFTTrainer", "SFTConfig"),
        (DPO, "DPOTrainer", "DPOConfig"),
        (Trainer.GRPO, "GRPOTrainer", "GRPOConfig"),
        (Trainer.KTO, "KTOTrainer", "KTOConfig"),
        (REWARD, "RewardTrainer", "RewardConfig"),
        (OWN, "transformers' Trainer", "TrainingArguments"),
    ],
)
def test_trainers_and_what_takes_their_arguments(trainer: Trainer, label: str, config: str) -> None:
    assert (trainer.label, trainer.config, trainer.is_trl) == (label, config, trainer is not OWN)


def test_who_takes_the_heads_weight_and_who_checkpoints_by_default() -> None:
    asked = MODEL.by(list(Trainer))
    assert asked.fusing == (SFT, DPO, Trainer.GRPO, Trainer.KTO)
    assert asked.checkpointed == (SFT, DPO, Trainer.GRPO, Trainer.KTO, REWARD)


@pytest.mark.parametrize(("given", "who"), [(True, (SFT, OWN)), (False, ()), (None, (SFT,))])
def test_checkpointing_as_it_is_given(given: bool | None, who: tuple[Trainer, ...]) -> None:
    assert MODEL.by(DEFAULT_TRAINERS, gradient_checkpointing=given).checkpointed == who


@pytest.mark.parametrize(
    ("trainer", "needs"),
    [
        (SFT, {"gradient_checkpointing": False, "router_aux_loss_coef": 0.0}),
        (DPO, {"gradient_checkpointing": False, "router_aux_loss_coef": 0.0}),
        (REWARD, {"gradient_checkpointing": False}),
        (OWN, {}),
    ],
)
def test_what_each_trainer_needs(trainer: Trainer, needs: dict[str, Any]) -> None:
    training = replace(BALANCED, checkpointing=CRASH, auxiliary=CRASH).by([trainer])
    assert training.needed_by(trainer) == training.needs == needs
    assert training.by([], **needs).needs == {}


def test_what_several_need_is_put_together() -> None:
    training = replace(BALANCED, auxiliary=CRASH, checkpointing=CRASH).by([REWARD, OWN, SFT])
    assert training.needs == {"gradient_checkpointing": False, "router_aux_loss_coef": 0.0}
    assert MODEL.by(list(Trainer)).needs == {}
    assert MODEL.needs == {}


def test_a_trainer_that_no_argument_helps() -> None:
    training = replace(BALANCED, fused=CRASH, auxiliary=CRASH).by(DEFAULT_TRAINERS)
    assert (training.needed_by(SFT), training.needed_by(OWN), training.needs) == (None, {}, None)
    assert training.by([OWN]).needs == {}
    assert training.by([REWARD]).needs == {}


def test_a_classifier_is_the_reward_trainers_alone() -> None:
    training = replace(MODEL, classifier=CRASH)
    assert training.by([REWARD]).needs is None
    assert training.by([SFT, DPO]).needs == {}


def test_a_trainer_of_a_version_that_does_not_take_the_heads_weight_needs_nothing_for_it() -> None:
    training = replace(BALANCED, fused_by=(SFT,), fused=CRASH, auxiliary=CRASH)
    assert training.by([DPO]).needs == {}
    assert training.by([SFT]).needs is None


@pytest.mark.parametrize(
    ("training", "given", "weight", "balances"),
    [
        (BALANCED, {}, 0.01, True),
        (BALANCED, {"router_aux_loss_coef": None}, 0.01, True),
        (BALANCED, {"router_aux_loss_coef": 0}, 0.0, False),
        (BALANCED, {"router_aux_loss_coef": 0.5}, 0.5, True),
        (replace(BALANCED, coefficient=0.0), {}, 0.0, False),
        (MODEL, {}, 0.0, False),
        (MODEL, {"router_aux_loss_coef": 0.5}, 0.5, False),
    ],
)
def test_whether_experts_are_balanced(training: Training, given: dict[str, Any], weight: float, balances: bool) -> None:
    asked = training.by([SFT], **given)
    assert (asked.balancing, asked.balances) == (weight, balances)
    assert not replace(asked, has_router_logits=True).refuses_balance  # nothing raises for it


@pytest.mark.parametrize(("given", "refused"), [({}, False), ({"router_aux_loss_coef": 0.0}, False)])
def test_a_weight_that_says_nothing_is_taken_by_any_model(given: dict[str, Any], refused: bool) -> None:
    assert MODEL.by([SFT], **given).refuses_balance is refused


def test_a_weight_that_a_model_has_nothing_for_is_refused_and_zero_mends_it() -> None:
    training = MODEL.by([SFT], router_aux_loss_coef=0.1)
    assert training.refuses_balance
    assert training.needs == {"router_aux_loss_coef": 0.0}
    assert training.by([OWN]).needs == {}


OLD = replace(MODEL, fused_by=(SFT,), own_loss_types=("nll", "dft"), trl="1.10.0")


@pytest.mark.parametrize(
    ("given", "fuses"), [({}, True), ({"loss_type": "chunked_nll"}, True), ({"loss_type": "nll"}, False)]
)
def test_a_version_that_takes_the_own_forward_for_another_loss(given: dict[str, Any], fuses: bool) -> None:
    training = OLD.by(DEFAULT_TRAINERS, **given)
    assert training.fusing == training.bypassing == ((SFT,) if fuses else ())
    crashing = replace(training, fused=CRASH)
    assert crashing.needed_by(SFT) == ({"loss_type": "nll"} if fuses else {})
    assert crashing.by([], loss_type="nll").needs == {}
    assert MODEL.by(DEFAULT_TRAINERS, **given).fusing == (SFT,)


@pytest.mark.parametrize(
    ("given", "bypassing"),
    [
        ({"label_smoothing_factor": 0.1}, (DPO,)),
        ({"label_smoothing_factor": 0.0}, (SFT, DPO)),
        ({"label_smoothing_factor": 0.1, "loss_type": "nll"}, (DPO,)),
        ({"label_smoothing_factor": 0.1, "loss_type": "dft"}, (SFT, DPO)),
    ],
)
def test_label_smoothing_takes_the_own_loss_and_runs_the_fused_head_too(
    given: dict[str, Any], bypassing: tuple[Trainer, ...]
) -> None:
    training = replace(MODEL, smooths_own=True, fused=CRASH).by([SFT, DPO], **given)
    assert (training.fusing, training.bypassing) == ((SFT, DPO), bypassing)
    assert training.needed_by(SFT) is None
    assert replace(training, smooths_own=False).bypassing == (SFT, DPO)


def test_a_loss_of_experts_that_no_argument_turns_off() -> None:
    training = replace(MODEL, has_router_logits=True, always_balances=True, auxiliary=CRASH).by(DEFAULT_TRAINERS)
    assert training.balances
    assert training.needed_by(SFT) is None
    assert training.by([], router_aux_loss_coef=0.0).needed_by(SFT) is None
    assert replace(training, auxiliary=None).needs == {}


def test_embeddings_that_may_not_ask_for_gradients_concern_trl_alone() -> None:
    training = replace(MODEL, input_gradients=CRASH).by([SFT, OWN], gradient_checkpointing=True)
    assert training.needed_by(SFT) == {"gradient_checkpointing": False}
    assert training.needed_by(OWN) == {}
    assert training.by([], gradient_checkpointing=False).needs == {}


def test_other_trainers_and_more_arguments_leave_the_rest() -> None:
    training = MODEL.by([SFT], weight_decay=0.1).by([], gradient_checkpointing=False)
    assert training.trainers == (SFT,)
    assert training.arguments == {"weight_decay": 0.1, "gradient_checkpointing": False}
    assert training.by([OWN], weight_decay=0.2).arguments["weight_decay"] == 0.2
    assert (training.by([OWN]).trainers, training.trl, MODEL.arguments) == ((OWN,), "1.16.0", {})


def test_a_difference_that_rounding_explains_is_none() -> None:
    assert not Tail(difference=TOLERANCE).differs
    assert Tail(difference=2 * TOLERANCE).differs
    assert Tail(other_state=True).differs
