"""Changes to a loaded model with which a fused head computes what the model itself computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from archlint.running import configs
from archlint.training.behaviour import Behaviour
from archlint.training.fused_head import Logits
from archlint.training.tail import ROWS

_COLUMNS = 2 * ROWS
"""Of the vocabulary, that are looked at: the head's rows repeat after half of them."""
_CLOSE = 1e-4
"""Relative difference that rounding explains."""
_DIGITS = 6


def settings(model: nn.Module, behaviour: Behaviour, logits: Tensor, product: Tensor) -> Iterator[dict[str, Any]]:
    """Settings of the text config that may make the fused head compute ``logits``; each has to be tried.

    Args:
        logits: the model's own, ``(rows, tokens, vocabulary)``.
        product: of the same hidden state with the head.
    """
    own, plain = logits[..., :_COLUMNS].double(), product[..., :_COLUMNS].double()
    text = model.config.get_text_config()  # type: ignore[union-attr,operator]
    applied = {name for name, _ in Logits.read(model.config, behaviour).settings}
    uncapped = {behaviour.cap: None} if behaviour.cap in applied else {}
    scale = next((scale for scale in behaviour.scales if scale.name in applied), next(iter(behaviour.scales), None))
    factor = float((own * plain).sum() / (plain * plain).sum())
    if scale is not None and factor > 0 and _close(own, plain * factor):
        value = float(f"{scale.read(factor, text):.{_DIGITS}g}")
        yield {**uncapped, scale.name: value}
    unscaled = {} if scale is None or scale.name not in applied else {scale.name: 1.0}
    for cap in sorted(_numbers(model)):
        if _close(own, Logits(cap=cap).of(plain)):
            yield {**unscaled, behaviour.cap: cap}


def bases(model: nn.Module) -> Iterator[str]:
    """Parts of ``model`` that hold its embeddings and not its head: either of them may be its backbone."""
    try:
        inputs: Any = model.get_input_embeddings()  # type: ignore[operator]
        head: Any = model.get_output_embeddings()  # type: ignore[operator]
    except NotImplementedError:  # as transformers raises for what it finds no embeddings in
        return
    for name, part in model.named_children():
        modules = set(part.modules())
        if inputs in modules and head not in modules:
            yield name


def _close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= _CLOSE * float(one.abs().max())


def _numbers(model: nn.Module) -> set[float]:
    """The numbers above 1 among the settings of the model's configs: a cap below flattens everything."""
    values = (value for config in configs(model) for value in vars(config).values())
    return {float(value) for value in values if type(value) in (int, float) and value > 1}
