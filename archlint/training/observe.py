"""Find out what trainers make of a model, by running its own code on the meta device."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archlint.core.training import OwnLoss, Tail, Trainer, Training
from archlint.core.trial import Crash
from archlint.running import Batch, configs, crash_of, one_thread
from archlint.training import fused_head
from archlint.training.behaviour import Behaviour
from archlint.training.fused_head import Logits
from archlint.training.tail import NotMeasurableError, TailProbe, main_output

_TOKENS = 6
"""Length of the rows that are computed on real numbers."""
_ITEMS = 1000
"""A ``num_items_in_batch`` that no batch of that length has."""
_CLOSE = 1e-3
"""Relative difference of two losses that are the same."""


def observe(
    model: nn.Module, batch: Batch, trainers: Sequence[Trainer], arguments: Mapping[str, Any], trl: Behaviour
) -> Training:
    """What ``trainers`` make of ``model``, which can be run on ``batch`` at the moment.

    Args:
        model: on the meta device, without adapters, in training mode.
        arguments: those of the trainer that differ from its defaults.
    """
    text = model.config.get_text_config()  # type: ignore[union-attr,operator]
    training = Training(
        trainers=tuple(trainers),
        arguments=arguments,
        trl=trl.version,
        is_installed=trl.is_installed,
        has_router_logits=hasattr(text, "output_router_logits"),
        coefficient=float(getattr(text, "router_aux_loss_coef", None) or 0.0),
        checkpointing=bool(getattr(model, "supports_gradient_checkpointing", False)),
        passes_count=_passes_count(model),
    )
    inputs = collated(model, batch)
    if training.fusing:
        fused = _crash(model, inputs, trl, auxiliary=False)
        auxiliary = None
        if fused is None and training.has_router_logits:
            auxiliary = _crash(model, inputs, trl, auxiliary=True)
        training = replace(training, fused=fused, auxiliary=auxiliary)
    with one_thread():
        tail, loss = _measured(model, inputs, trl, passes_count=training.passes_count)
    return replace(training, tail=tail if training.fused is None else Tail(), loss=loss)


def _crash(model: nn.Module, inputs: Mapping[str, Any], trl: Behaviour, *, auxiliary: bool) -> Crash | None:
    paths = {id(module): path for path, module in model.named_modules()}
    try:
        fused_head.run(model, inputs, trl, auxiliary=auxiliary)
    except Exception as error:  # a model's code raises whatever its inputs lead it to
        return crash_of(error, paths)
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
    probe = TailProbe(model, head)
    try:
        own = _Own(model, inputs, probe, _sources(backbone, inputs))
        logits = getattr(own.outputs(), "logits", None)
        if probe.hidden is None or logits is None:
            return Tail(reason="its forward does not go through its backbone, or gives no logits"), OwnLoss()
        tail = _compared(probe, head, logits, Logits.read(model.config, trl))
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


def _compared(probe: TailProbe, head: Any, logits: Tensor, fused: Logits) -> Tail:
    """How the model's own logits differ from those of a fused head.

    Args:
        logits: ``(rows, tokens, vocabulary)``.
    """
    if not probe.depends(logits):
        return Tail(other_state=True)
    assert probe.hidden is not None
    product = probe.product(probe.hidden, head.bias)
    if product.shape != logits.shape:
        raise NotMeasurableError(f"its logits are {tuple(logits.shape)}, and the head makes {tuple(product.shape)}")
    difference = _difference(logits, fused.of(product))
    applied = dict(fused.settings) if _difference(fused.of(product), product) else {}
    return Tail(difference, skipped=tuple(probe.steps), applied=applied)


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
        given["input_ids"] = torch.full_like(given["input_ids"], _plain_token(model))
    return {name: value.to("meta") if isinstance(value, Tensor) else value for name, value in given.items()}


def _plain_token(model: nn.Module) -> int:
    """A token that no config gives a meaning to, such as that of padding."""
    special = {
        value
        for config in configs(model)
        for name, value in vars(config).items()
        if name.endswith(("_token_id", "_token_index")) and isinstance(value, int)
    }
    return next(token for token in itertools.count(1) if token not in special)
