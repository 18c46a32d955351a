"""Find out what trainers make of a model, by running its own code on the meta device."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from archlint.core.training import Tail, Training
from archlint.core.trial import Crash
from archlint.running import Batch, crash_of, one_thread, plain_tokens, restored
from archlint.skeleton.classes import classifies
from archlint.training import fused_head, mending, reward_model
from archlint.training.backbone_outputs import BackboneOutputs
from archlint.training.behaviour import Behaviour
from archlint.training.own_forward import measured

_TOKENS = 3
"""Length of the rows that are computed on real numbers."""


def inspect_model(model: nn.Module, trl: Behaviour) -> Training:
    """What can be said of ``model`` without running it.

    Args:
        model: of transformers, without adapters.
        trl: what the trainers of TRL do.
    """
    text = model.config.get_text_config()  # type: ignore[union-attr,operator]
    own = float(getattr(text, "router_aux_loss_coef", None) or 0.0)
    return Training(
        fused_by=trl.fusing,
        fused_since=trl.fused_since,
        trl=trl.version,
        is_installed=trl.is_installed,
        own_loss_types=trl.own_loss_types,
        smooths_own=trl.smooths_own,
        has_router_logits=hasattr(text, "output_router_logits"),
        always_balances=trl.coefficient is None and _always_balances(text),
        coefficient=own if trl.coefficient is None else trl.coefficient,
        refuses_coefficient=trl.refuses_coefficient,
        has_classifier=classifies(model.config),  # type: ignore[arg-type]
        checkpointing=_crash({}, lambda: _checkpoint(model)),
        passes_count=_passes_count(model),
        tail=Tail(reason="the model cannot be run here"),
    )


def observe(model: nn.Module, batch: Batch, trl: Behaviour) -> Training:
    """What trainers make of ``model``, which can be run on ``batch`` at the moment.

    Args:
        model: without adapters, in training mode.
        trl: what the trainers of TRL do.
    """
    attempt = partial(_crash, {id(module): path for path, module in model.named_modules()})
    training, inputs, outputs = _fused(model, batch, trl, attempt)
    training = replace(training, classifier=attempt(lambda: reward_model.run(model, inputs)))
    if training.fused is None and batch.extra:
        bare = collated(model, batch.plain())
        training = replace(training, bare=attempt(lambda: fused_head.run(model, bare, trl, auxiliary=False)))
    base = _base(model, inputs, trl, outputs) if training.fused is not None else None
    sources = outputs.sources(None if base is None else getattr(model, base))
    with one_thread():
        tail, loss = measured(model, inputs, trl, outputs, sources, passes_count=training.passes_count)
    if training.fused is None:
        return replace(training, tail=tail, loss=loss)
    if base is not None and not tail.reason and not tail.differs:
        training = replace(training, base=base)
    return replace(training, tail=Tail(), loss=loss)


Attempt = Callable[[Callable[[], object]], "Crash | None"]
"""Calls something, and gives back the crash that came of it."""


def _fused(
    model: Any, batch: Batch, trl: Behaviour, attempt: Attempt
) -> tuple[Training, dict[str, Any], BackboneOutputs]:
    """What the fused head raises and in which way, the inputs that it was run on, and what the backbone gave."""
    training = inspect_model(model, trl)
    inputs = collated(model, batch)
    outputs = BackboneOutputs(model)
    supported, balanced = training.checkpointing is None, training.has_router_logits

    def run(*, auxiliary: bool = False, checkpointed: bool = False) -> Crash | None:
        def step() -> None:
            with outputs.recorded():
                fused_head.run(model, inputs, trl, auxiliary=auxiliary)

        return attempt(partial(_asking_for_gradients, model, step) if checkpointed else step)

    def balance() -> Crash | None:
        return attempt(lambda: fused_head.balance(model.config, outputs.last, inputs, trl))

    fused = run(auxiliary=balanced, checkpointed=supported)  # all at once: to run a backbone takes its time
    if fused is None:
        training = replace(training, auxiliary=balance() if balanced else None)
        if training.always_balances and training.auxiliary is not None:
            training = replace(training, fused=run())  # as it is once the config does not ask for the loss
        return training, inputs, outputs
    if not outputs.is_complete:
        fused = run()
    if fused is not None and not (outputs.is_complete and _keeps_length(outputs.last, inputs)):
        short, inputs = inputs, collated(model, batch, cut=False)  # there are models for rows of a certain length
        other = run()
        if other == fused:
            inputs = short
        fused = fused if other is not None else None
    training = replace(training, fused=fused)
    if fused is None:
        if balanced:
            training = replace(training, auxiliary=run(auxiliary=True) or balance())
        if supported:
            training = replace(training, input_gradients=run(checkpointed=True))
        run()  # for what it hands on
    return training, inputs, outputs


def _always_balances(text_config: Any) -> bool:
    """Whether the trainer leaves the config's wish for the auxiliary loss: without a coefficient it does not look."""
    return bool(getattr(text_config, "output_router_logits", False)) and not hasattr(
        text_config, "router_aux_loss_coef"
    )


def _keeps_length(outputs: Any, inputs: Mapping[str, Any]) -> bool:
    """Whether a backbone gave a hidden state for each token, or none at all: other rows would not change that."""
    hidden, ids = getattr(outputs, "last_hidden_state", None), inputs.get("input_ids")
    return hidden is None or (ids is not None and hidden.shape[:2] == ids.shape[:2])


def _crash(paths: Mapping[int, str], attempt: Callable[[], object]) -> Crash | None:
    try:
        attempt()
    except Exception as error:  # a model's code raises whatever its inputs lead it to
        return crash_of(error, paths)
    return None


def _checkpoint(model: Any) -> None:
    """Turn gradient checkpointing on as the Trainer does, and off again."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    with restored(model):
        enable()


def _asking_for_gradients(model: Any, step: Callable[[], object]) -> None:
    """``step`` as gradient checkpointing has it of a model with adapters: the embeddings ask for a gradient.

    PEFT sees to that where checkpointing is on, and TRL where it turns it on; layers are not run twice here.
    """
    with restored(model):
        model.requires_grad_(False)
        model.enable_input_require_grads()
        step()


def _base(model: Any, inputs: Mapping[str, Any], trl: Behaviour, outputs: BackboneOutputs) -> str | None:
    """Where the fused head raises, an attribute of ``model`` with which it does not: that is its base model then.

    Args:
        outputs: of the run that raised; where it does not tell, those of another one come in their place.
    """
    is_its_own_base = hasattr(model, "base_model") and model.base_model is model
    if not is_its_own_base or getattr(model.config, "is_encoder_decoder", False):
        return None
    for name in mending.bases(model):
        part = getattr(model, name)
        model.base_model_prefix = name
        if (given := outputs.given(part, inputs)) is not None:
            crash = _crash({}, partial(fused_head.score, model, given, inputs, trl))
        else:
            with outputs.recorded():
                crash = _crash({}, partial(fused_head.run, model, inputs, trl, auxiliary=False))
        if crash is None:
            return name
        del model.base_model_prefix
    return None


def _passes_count(model: nn.Module) -> bool:
    """Whether the Trainer gives the model ``num_items_in_batch``: by the rule of ``transformers.Trainer.__init__``."""
    if hasattr(model, "accepts_loss_kwargs"):
        return bool(model.accepts_loss_kwargs)
    parameters = inspect.signature(type(model).forward).parameters.values()
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


def collated(model: nn.Module, batch: Batch, *, cut: bool = True) -> dict[str, Any]:
    """What a collator makes of ``batch``: without labels and what models make of labels, in short rows of text.

    Args:
        cut: whether rows are shortened.
    """
    given = {name: value for name, value in batch.inputs.items() if name not in ("labels", "decoder_input_ids")}
    if "input_ids" in given and all(value.ndim == 2 for value in given.values() if isinstance(value, Tensor)):
        if cut:
            given = {name: value[:, :_TOKENS] if isinstance(value, Tensor) else value for name, value in given.items()}
        given["input_ids"] = torch.full_like(given["input_ids"], next(plain_tokens(model)))
    device = next(model.parameters()).device
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in given.items()}
