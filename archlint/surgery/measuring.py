"""What a patch for one wrapper changes: the patch itself is run on the wrapper, with random numbers."""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from archlint.core.surgery import Difference, Effect
from archlint.running import one_thread

_PLACE = "0"
"""The path of the module in the model that is made around it."""
_WIDER = (1e2, 1e6)
"""By how much inputs are wider, in turn, where narrower ones show no difference: some limits are passed only then."""
_ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 0.1}
"""How far sums of the same products may lie apart, in standard deviations of the outputs."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a module gives: the tensors, and what they stand in."""

    form: str
    tensors: list[Tensor]


class NotPossibleError(Exception):
    """A surgery does not work on a module; the message says why."""


@dataclass(frozen=True)
class Surgery:
    """What is done to a model before PEFT gets it, and undone once its adapters are merged; ``None``: nothing."""

    unwrap: Callable[[nn.Module], Any] | None = None
    rewrap: Callable[[nn.Module], Any] | None = None
    register: Callable[[Any, nn.Module], Any] | None = None
    """What is done to a config of PEFT's instead; it returns the config."""
    target: str = "{}"
    """Where PEFT then finds the linear of the module at the path ``{}``."""


def measure(
    module: nn.Module, given: Tensor | Sequence[Any], surgery: Surgery, *, rounded: bool = False, tied: str = ""
) -> Effect:
    """What ``surgery`` changes of what ``module`` computes.

    Args:
        module: on the processor, with real numbers; it stays as it is.
        given: an input that it takes, or all of its positional arguments.
        rounded: whether sums of the same products may be rounded otherwise without adapters too, as they are once
            adapters are merged.
        tied: the name of a weight of ``module`` that other modules have too: merging changes it for them.

    Raises:
        NotPossibleError: the surgery raises, gives something of another shape, or lets PEFT place no adapter that
            has an effect and gets a gradient.
    """
    given = (given,) if isinstance(given, Tensor) else tuple(given)
    kept = _ROUNDING if rounded else {}
    with one_thread(), torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            effects = list(_effects(module, given, surgery, kept, tied))
        except NotPossibleError:
            raise
        except Exception as error:  # a model's code raises whatever it is led to
            raise NotPossibleError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
    return Effect(*map(_first_seen, zip(*map(_parts, effects), strict=True)))


def _effects(
    module: nn.Module, given: Sequence[Any], surgery: Surgery, rounding: Mapping[torch.dtype, float], tied: str
) -> Iterator[Effect]:
    """For inputs of each width; for wider ones than usual only where there is something to compare, and to find."""
    usual = _effect(module, given, surgery, rounding, tied)
    yield usual
    if all(part != Difference() for part in _parts(usual)):
        return
    for scale in _WIDER:
        wide = (given[0] * scale, *given[1:])
        with contextlib.suppress(Exception):  # an adapter without effect there, or whatever the module's code raises
            if all(_is_finite(module, wide, kind) for kind in _ROUNDING):
                yield _effect(module, wide, surgery, rounding, tied)


def _is_finite(module: nn.Module, given: Sequence[Any], kind: torch.dtype) -> bool:
    outputs = _output(_holding(module, kind, training=False), given)
    return all(bool(tensor.isfinite().all()) for tensor in outputs.tensors)


def _effect(
    module: nn.Module, given: Sequence[Any], surgery: Surgery, rounding: Mapping[torch.dtype, float], tied: str
) -> Effect:
    return Effect(
        forward=_difference(lambda kind: _before_and_after(module, given, surgery, kind, training=False), rounding),
        training=_difference(lambda kind: _before_and_after(module, given, surgery, kind, training=True), rounding),
        merged=_merged(lambda kind: _trained_and_merged(module, given, surgery, kind, tied)),
    )


def _merged(computed: Callable[[torch.dtype], tuple[Outputs, Outputs]]) -> Difference:
    """What merging changes beyond rounding: in double precision there is next to none."""
    return _difference(computed, {}) if _distance(*computed(torch.float64), _ROUNDING[torch.float32]) else Difference()


def _first_seen(differences: Sequence[Difference]) -> Difference:
    """What usual inputs show, or where they show nothing, what wider ones do."""
    return next((one for one in differences if one != Difference()), Difference())


def _parts(effect: Effect) -> tuple[Difference, Difference, Difference]:
    return effect.forward, effect.training, effect.merged


def worst(effects: Sequence[Effect]) -> Effect:
    """The largest differences of ``effects``."""
    return Effect(*map(_largest, zip(*map(_parts, effects), strict=True)))


def _largest(differences: Sequence[Difference]) -> Difference:
    return Difference(max(one.single for one in differences), max(one.half for one in differences))


def _difference(
    computed: Callable[[torch.dtype], tuple[Outputs, Outputs]], rounding: Mapping[torch.dtype, float]
) -> Difference:
    return Difference(*(_distance(*computed(kind), rounding.get(kind, 0.0)) for kind in _ROUNDING))


def _distance(one: Outputs, other: Outputs, rounding: float) -> float:
    if one.form != other.form:
        raise NotPossibleError(f"it gives {other.form} instead of {one.form}")
    far = 0.0
    for before, after in zip(one.tensors, other.tensors, strict=True):
        if before.shape != after.shape:
            raise NotPossibleError(f"it gives {tuple(after.shape)} instead of {tuple(before.shape)}")
        differs = (before != after) & ~(before.isnan() & after.isnan())
        if differs.any():
            spread = before[before.isfinite()].double().std()
            distance = float((before - after)[differs].double().abs().max() / spread)
            far = max(far, distance if distance == distance else math.inf)
    return 0.0 if far <= rounding else far


def _before_and_after(
    module: nn.Module, given: Sequence[Any], surgery: Surgery, kind: torch.dtype, *, training: bool
) -> tuple[Outputs, Outputs]:
    root = _holding(module, kind, training)
    before = _output(root, given)
    if surgery.unwrap is not None:
        surgery.unwrap(root)
    return before, _output(root, given)


def _trained_and_merged(
    module: nn.Module, given: Sequence[Any], surgery: Surgery, kind: torch.dtype, tied: str
) -> tuple[Outputs, Outputs]:
    from peft import LoraConfig, get_peft_model

    root = _holding(module, kind, training=False)
    before = _output(root, given)
    others = _weights(root, tied)
    if surgery.unwrap is not None:
        surgery.unwrap(root)
    config = LoraConfig(target_modules=[surgery.target.format(_PLACE)], init_lora_weights=False)
    if surgery.register is not None:
        config = surgery.register(config, root)
    model: Any = get_peft_model(root, config, autocast_adapter_dtype=False)
    with torch.enable_grad():
        trained = _output(model.eval(), given)
    if not any(tensor.requires_grad for tensor in trained.tensors):
        raise NotPossibleError("an adapter gets no gradient there")
    if _distance(before, trained, 0.0) == 0:
        raise NotPossibleError("an adapter has no effect there")
    merged = model.merge_and_unload()
    if surgery.rewrap is not None:
        surgery.rewrap(merged)
    after = _output(merged, given)
    return (
        Outputs(trained.form, [*trained.tensors, *others]),
        Outputs(after.form, [*after.tensors, *_weights(merged, tied)]),
    )


def _weights(root: nn.Module, tied: str) -> list[Tensor]:
    """What others see of a weight that they share."""
    return [root.get_parameter(f"{_PLACE}.{tied}").detach().clone()] if tied else []


def _holding(module: nn.Module, kind: torch.dtype, training: bool) -> nn.Module:
    return _Holder(copy.deepcopy(module)).to(kind).train(training)


class _Holder(nn.Module):
    """A model of one module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.add_module(_PLACE, module)

    def forward(self, *given: Any) -> Any:
        return self.get_submodule(_PLACE)(*given)


def _cast(value: Any, kind: torch.dtype) -> Any:
    return value.to(kind) if isinstance(value, Tensor) and value.is_floating_point() else value


def _output(model: nn.Module, given: Sequence[Any]) -> Outputs:
    kind = next(parameter.dtype for parameter in model.parameters())
    torch.manual_seed(0)
    given = [_cast(value, kind) for value in given]
    leaves, form = tree_flatten(model(*given))
    return Outputs("a tensor" if form.is_leaf() else str(form), [leaf for leaf in leaves if isinstance(leaf, Tensor)])
