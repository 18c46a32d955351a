"""A model's own logits beside those of a fused head, and its own loss: on real numbers from the hidden state on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archlint.core.training import TOLERANCE, OwnLoss, Tail
from archlint.running import configs, plain_tokens, restored
from archlint.training import mending
from archlint.training.backbone_outputs import BackboneOutputs
from archlint.training.behaviour import Behaviour
from archlint.training.fused_head import Logits
from archlint.training.tail import NotMeasurableError, TailProbe

_ITEMS = 1000
"""A ``num_items_in_batch`` that no batch here has."""
_TOKENS = 3
"""Of a decoder, where the inputs are no text."""
_CLOSE = 1e-3
"""Relative difference of two losses that are the same."""


def measured(
    model: Any,
    inputs: Mapping[str, Any],
    trl: Behaviour,
    run: BackboneOutputs,
    sources: Mapping[nn.Module, Any],
    *,
    passes_count: bool,
) -> tuple[Tail, OwnLoss]:
    """How the model's own logits differ from those of a fused head, and what its own loss is.

    Args:
        inputs: what a collator gives, without labels; on the device of the model.
        run: what the modules of the model gave for them, as far as they were run.
        sources: of these the backbone and what hands on the same hidden state; empty where it was not run to its end.
        passes_count: whether the Trainer gives the model ``num_items_in_batch``.
    """
    try:
        head = model.get_output_embeddings()
    except Exception:  # a model's code raises whatever it is led to
        head = None
    if not isinstance(head, nn.Module) or getattr(head, "weight", None) is None:
        return Tail(reason="it has no head that can be told"), OwnLoss()
    for config in configs(model):
        if hasattr(config, "output_router_logits"):
            config.output_router_logits = False
    try:
        if not sources:
            raise NotMeasurableError("it has no backbone that can be run by itself")
        own = OwnForward(model, inputs, TailProbe(model, head, sources), list(sources))
        logits = own.logits()
        tail = _compared(own, head, logits, trl)
    except Exception as error:  # as above
        tail = Tail(reason=_told(error))
    if not tail.reason and not tail.other_state:
        return tail, _own_loss(own, logits, passes_count=passes_count)
    try:  # a loss can be told from the logits on
        return tail, _loss_from_head(model, inputs, head, run, passes_count=passes_count)
    except Exception as error:  # as above
        return tail, OwnLoss(reason=_told(error) if _takes_labels(model) else "")


def _loss_from_head(
    model: nn.Module, inputs: Mapping[str, Any], head: nn.Module, run: BackboneOutputs, *, passes_count: bool
) -> OwnLoss:
    if not _takes_labels(model):
        return OwnLoss()
    given = _with_decoder(model, inputs)
    if given.keys() == inputs.keys():
        repeated = run.before(head)
    else:
        repeated, run = {}, BackboneOutputs(model)
    own = OwnForward(model, given, TailProbe(model, head), [head], repeated)
    if repeated:
        return _own_loss(own, own.logits(), passes_count=passes_count)
    with run.recorded():
        logits = own.logits()
    return _own_loss(replace(own, repeated=run.before(head)), logits, passes_count=passes_count)


def _told(error: Exception) -> str:
    reason = str(error) if isinstance(error, NotMeasurableError) else f"{type(error).__name__}: {error}"
    return " ".join(reason.split())


def _takes_labels(model: nn.Module) -> bool:
    return "labels" in inspect.signature(type(model).forward).parameters


def _with_decoder(model: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``inputs`` with those of a decoder, where the class takes some: it makes them of labels otherwise."""
    if "decoder_input_ids" not in inspect.signature(type(model).forward).parameters:
        return dict(inputs)
    ids = inputs.get("input_ids")
    if ids is None:
        rows = next(len(value) for value in inputs.values() if isinstance(value, Tensor))
        ids = torch.full((rows, _TOKENS), next(plain_tokens(model)))
    return {**inputs, "decoder_input_ids": ids}


@dataclass(frozen=True)
class OwnForward:
    """A model's own forward on ``inputs``, real from the hidden state on."""

    model: nn.Module
    inputs: Mapping[str, Any]
    probe: TailProbe
    sources: Sequence[nn.Module]
    """Modules that the numbers begin at."""
    repeated: Mapping[nn.Module, Any] = field(default_factory=dict)
    """Modules before them that need not be run again, with what they gave back."""

    def logits(self) -> Tensor:
        """``(rows, tokens, vocabulary)``."""
        logits = getattr(self.outputs(), "logits", None)
        if self.probe.hidden is None or logits is None:
            raise NotMeasurableError("its forward does not go through its backbone, or gives no logits")
        found: Tensor = logits
        return found

    def outputs(self, **more: Any) -> Any:
        with self.probe.beginning_at(self.sources, self.repeated):
            return self.model(**self.inputs, use_cache=False, **more)

    def loss(self, labels: Tensor, **more: Any) -> Tensor | None:
        """The loss for ``labels``; ``None`` where it is not computed from the hidden state.

        Raises:
            Exception: whatever the model's code raises.
        """
        loss = getattr(self.outputs(labels=labels, **more), "loss", None)
        return loss if self.probe.depends(loss) else None


def _compared(own: OwnForward, head: Any, logits: Tensor, trl: Behaviour) -> Tail:
    """How the model's own logits differ from those of a fused head.

    Args:
        logits: ``(rows, tokens, vocabulary)``.
    """
    probe, config = own.probe, own.model.config
    if not probe.depends(logits):
        return Tail(other_state=True)
    assert probe.hidden is not None
    product = probe.product(probe.hidden, head.bias)
    left_off = product.shape[-1] - logits.shape[-1]
    if product.shape[:-1] != logits.shape[:-1] or left_off < 0:
        raise NotMeasurableError(f"its logits are {tuple(logits.shape)}, and the head makes {tuple(product.shape)}")
    fused = Logits.read(config, trl)
    applied = dict(fused.settings) if _difference(fused.of(product), product) else {}
    difference = _difference(logits, fused.of(product))
    tail = Tail(difference, tuple(probe.steps), applied, left_off, head=probe.head)
    if not tail.differs or left_off:
        return tail
    if buffers := probe.buffers:
        with probe.at_zero(buffers):
            difference = _difference(own.logits(), fused.of(product))
        if difference <= TOLERANCE:
            return replace(tail, difference=difference, buffers=buffers)
    return replace(tail, mended_by=next(_mending(own, logits, product, trl), {}))


def _mending(own: OwnForward, logits: Tensor, product: Tensor, trl: Behaviour) -> Iterator[dict[str, Any]]:
    """Settings with which the fused head computes the logits that the model then computes itself."""
    text = own.model.config.get_text_config()  # type: ignore[union-attr,operator]
    for settings in mending.settings(own.model, trl, logits, product):
        with restored(own.model):
            for name, value in settings.items():
                setattr(text, name, value)
            if _difference(own.logits(), Logits.read(own.model.config, trl).of(product)) <= TOLERANCE:
                yield settings


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest difference of a token's log-probability, for the tokens that both have."""
    size = min(one.shape[-1], other.shape[-1])
    return float((one.float().log_softmax(-1)[..., :size] - other.float().log_softmax(-1)[..., :size]).abs().max())


def _own_loss(own: OwnForward, logits: Tensor, *, passes_count: bool) -> OwnLoss:
    """What the model's own loss is, for labels of all sorts."""
    if not _takes_labels(own.model) or not own.probe.depends(logits):
        return OwnLoss()
    rows, tokens, size = logits.shape
    labels = torch.arange(rows * tokens, device="cpu").reshape(rows, tokens) * 7 % min(size, 100)
    shifted = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
    plain = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
    try:
        loss = own.loss(labels)
    except Exception as error:  # a model's code raises whatever its inputs lead it to
        return OwnLoss(reason=_told(error))
    if loss is None or not (_same(loss, shifted) or _same(loss, plain)):
        return OwnLoss()
    is_shifted = _same(loss, shifted)
    if not passes_count:
        return OwnLoss(shifted=is_shifted)
    try:
        counted = own.loss(labels, num_items_in_batch=_ITEMS)
    except Exception as error:  # as above
        return OwnLoss(is_shifted, reason=_told(error))
    items = rows * (tokens - 1 if is_shifted else tokens)
    return OwnLoss(is_shifted, None if counted is None else _same(counted * _ITEMS, loss * items))


def _same(one: Tensor, other: Tensor) -> bool:
    return abs(float(one) - float(other)) <= _CLOSE * abs(float(other))
