"""Find out what trainers make of a model, by running its own code on the meta device."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archlint.core.training import TOLERANCE, OwnLoss, Tail, Training
from archlint.core.trial import Crash
from archlint.running import Batch, configs, crash_of, one_thread, plain_tokens, restored
from archlint.training import fused_head, mending, reward_model
from archlint.training.behaviour import Behaviour
from archlint.training.fused_head import Logits
from archlint.training.tail import NotMeasurableError, TailProbe, main_output

_TOKENS = 6
"""Length of the rows that are computed on real numbers."""
_ITEMS = 1000
"""A ``num_items_in_batch`` that no batch of that length has."""
_CLOSE = 1e-3
"""Relative difference of two losses that are the same."""


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
        has_router_logits=hasattr(text, "output_router_logits"),
        coefficient=own if trl.coefficient is None else trl.coefficient,
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
    inputs = collated(model, batch)
    attempt = partial(_crash, {id(module): path for path, module in model.named_modules()})
    fused = attempt(lambda: fused_head.run(model, inputs, trl, auxiliary=False))
    training = replace(
        inspect_model(model, trl),
        fused=fused,
        classifier=attempt(lambda: reward_model.run(model, inputs)),
    )
    if fused is None and training.has_router_logits:
        crash = attempt(lambda: fused_head.run(model, inputs, trl, auxiliary=True))
        training = replace(training, auxiliary=crash)
    if training.checkpointing is None and fused is None:
        training = replace(training, checkpointing=attempt(lambda: _checkpointed(model, inputs, trl)))
    if fused is None and batch.extra:
        bare = collated(model, batch.plain())
        training = replace(training, bare=attempt(lambda: fused_head.run(model, bare, trl, auxiliary=False)))
    base = _base(model, inputs, trl, fused)
    with one_thread():
        tail, loss = _measured(model, inputs, trl, passes_count=training.passes_count)
    if fused is None:
        return replace(training, tail=tail, loss=loss)
    if base is not None and not tail.reason and not tail.differs:
        training = replace(training, base=base)
    return replace(training, tail=Tail(), loss=loss)


def _crash(paths: Mapping[int, str], attempt: Callable[[], None]) -> Crash | None:
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


def _checkpointed(model: Any, inputs: Mapping[str, Any], trl: Behaviour) -> None:
    """A step as gradient checkpointing needs it of a model with adapters: its embeddings ask for a gradient.

    PEFT sees to that where checkpointing is on, and TRL where it turns it on; layers are not run twice here.
    """
    with restored(model):
        model.requires_grad_(False)
        model.enable_input_require_grads()
        fused_head.run(model, inputs, trl, auxiliary=False)


def _base(model: Any, inputs: Mapping[str, Any], trl: Behaviour, fused: Crash | None) -> str | None:
    """Where the fused head raises, an attribute of ``model`` with which it does not: that is its base model then."""
    if fused is None or model.base_model is not model:
        return None
    for name in mending.bases(model):
        model.base_model_prefix = name
        if _crash({}, lambda: fused_head.run(model, inputs, trl, auxiliary=False)) is None:
            return name
        del model.base_model_prefix
    return None


def _measured(
    model: nn.Module, inputs: Mapping[str, Any], trl: Behaviour, *, passes_count: bool
) -> tuple[Tail, OwnLoss]:
    """The model's own logits beside those of a fused head, and its own loss."""
    backbone: Any = getattr(model, "base_model", model)
    head: Any = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None  # type: ignore[operator]
    if backbone is model or getattr(head, "weight", None) is None:
        return Tail(reason="it has no backbone and head that can be told apart"), OwnLoss()
    for config in configs(model):
        if hasattr(config, "output_router_logits"):
            config.output_router_logits = False
    try:
        own = _Own(model, inputs, TailProbe(model, head), _sources(backbone, inputs))
        logits = own.logits()
        tail = _compared(own, head, logits, trl)
    except Exception as error:  # as above
        reason = str(error) if isinstance(error, NotMeasurableError) else f"{type(error).__name__}: {error}"
        return Tail(reason=" ".join(reason.split())), OwnLoss()
    return tail, _own_loss(own, logits, passes_count=passes_count)


@dataclass(frozen=True)
class _Own:
    """A model's own forward on ``inputs``, real from the hidden state on."""

    model: nn.Module
    inputs: Mapping[str, Any]
    probe: TailProbe
    sources: Sequence[nn.Module]

    def logits(self) -> Tensor:
        """``(rows, tokens, vocabulary)``."""
        logits = getattr(self.outputs(), "logits", None)
        if self.probe.hidden is None or logits is None:
            raise NotMeasurableError("its forward does not go through its backbone, or gives no logits")
        found: Tensor = logits
        return found

    def outputs(self, **more: Any) -> Any:
        with self.probe.beginning_at(self.sources):
            return self.model(**self.inputs, use_cache=False, **more)

    def loss(self, labels: Tensor, **more: Any) -> Tensor | None:
        """The loss for ``labels``; ``None`` where it raises, or its loss does not come of the hidden state."""
        try:
            loss = getattr(self.outputs(labels=labels, **more), "loss", None)
        except Exception:  # a model's code raises whatever its inputs lead it to
            return None
        return loss if self.probe.depends(loss) else None


def _sources(backbone: nn.Module, inputs: Mapping[str, Any]) -> list[nn.Module]:
    """``backbone``, and the modules inside it whose output it hands on: models may call one of these instead."""
    states: list[tuple[nn.Module, Any]] = []
    handles = [
        module.register_forward_hook(lambda part, _, outputs: states.append((part, main_output(outputs))))
        for module in backbone.modules()
    ]
    try:
        backbone(**inputs, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    last = states[-1][1]
    return [module for module, state in states if state is last]


def _compared(own: _Own, head: Any, logits: Tensor, trl: Behaviour) -> Tail:
    """How the model's own logits differ from those of a fused head.

    Args:
        logits: ``(rows, tokens, vocabulary)``.
    """
    probe, config = own.probe, own.model.config
    if not probe.depends(logits):
        return Tail(other_state=True)
    assert probe.hidden is not None
    product = probe.product(probe.hidden, head.bias)
    if product.shape != logits.shape:
        raise NotMeasurableError(f"its logits are {tuple(logits.shape)}, and the head makes {tuple(product.shape)}")
    fused = Logits.read(config, trl)
    applied = dict(fused.settings) if _difference(fused.of(product), product) else {}
    tail = Tail(_difference(logits, fused.of(product)), tuple(probe.steps), applied, head=probe.head)
    if not tail.differs:
        return tail
    return replace(tail, mended_by=next(_mending(own, logits, product, trl), {}))


def _mending(own: _Own, logits: Tensor, product: Tensor, trl: Behaviour) -> Iterator[dict[str, Any]]:
    """Settings with which the fused head computes the logits that the model then computes itself."""
    text = own.model.config.get_text_config()  # type: ignore[union-attr,operator]
    for settings in mending.settings(own.model, trl, logits, product):
        with restored(own.model):
            for name, value in settings.items():
                setattr(text, name, value)
            if _difference(own.logits(), Logits.read(own.model.config, trl).of(product)) <= TOLERANCE:
                yield settings


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest difference of a token's log-probability."""
    return float((one.float().log_softmax(-1) - other.float().log_softmax(-1)).abs().max())


def _own_loss(own: _Own, logits: Tensor, *, passes_count: bool) -> OwnLoss:
    """What the model's own loss is, for labels of all sorts."""
    if "labels" not in inspect.signature(type(own.model).forward).parameters or not own.probe.depends(logits):
        return OwnLoss()
    rows, tokens, size = logits.shape
    labels = torch.arange(rows * tokens, device="cpu").reshape(rows, tokens) * 7 % min(size, 100)
    shifted = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
    plain = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
    loss = own.loss(labels)
    if loss is None or not (_same(loss, shifted) or _same(loss, plain)):
        return OwnLoss()
    is_shifted = _same(loss, shifted)
    if not passes_count:
        return OwnLoss(shifted=is_shifted)
    counted = own.loss(labels, num_items_in_batch=_ITEMS)
    items = rows * (tokens - 1 if is_shifted else tokens)
    return OwnLoss(is_shifted, None if counted is None else _same(counted * _ITEMS, loss * items))


def _same(one: Tensor, other: Tensor) -> bool:
    return abs(float(one) - float(other)) <= _CLOSE * abs(float(other))


def _passes_count(model: nn.Module) -> bool:
    """Whether the Trainer gives the model ``num_items_in_batch``: by the rule of ``transformers.Trainer.__init__``."""
    if hasattr(model, "accepts_loss_kwargs"):
        return bool(model.accepts_loss_kwargs)
    parameters = inspect.signature(type(model).forward).parameters.values()
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


def collated(model: nn.Module, batch: Batch) -> dict[str, Any]:
    """What a collator makes of ``batch``: without labels and what models make of labels, in short rows of text."""
    given = {name: value for name, value in batch.inputs.items() if name not in ("labels", "decoder_input_ids")}
    if all(value.ndim == 2 for value in given.values() if isinstance(value, Tensor)):
        given = {name: value[:, :_TOKENS] if isinstance(value, Tensor) else value for name, value in given.items()}
        given["input_ids"] = torch.full_like(given["input_ids"], next(plain_tokens(model)))
    device = next(model.parameters()).device
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in given.items()}
