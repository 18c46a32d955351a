"""What a module is to PEFT: from its type where torch knows it, else from its structure and its code."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from archlint.core.blueprint import Kind, Trait
from archlint.survey.source_code import class_code, inherited_calls

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.LocalResponseNorm, _NormBase)
_NORMALIZES = frozenset({"rsqrt", "layer_norm", "rms_norm", "var", "norm", "normalize"})
_MEAN_SQUARE = (frozenset({"mean", "pow"}), frozenset({"mean", "square"}))
_HARMLESS = frozenset(
    {"clamp", "clip", "to", "float", "half", "type_as", "contiguous", "view", "reshape", "transpose", "permute"}
    | {"flatten", "squeeze", "unsqueeze", "mul", "add", "div", "dropout", "neg", "flip", "roll"}
    | {"chunk", "split", "cat", "concat", "normalize", "clamp_min", "clamp_max", "minimum", "maximum"}
)
_PASSIVE = (nn.Identity, nn.Dropout)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The kind of a module, and the traits that decided it."""

    kind: Kind
    traits: frozenset[str] = field(default_factory=frozenset)
    inner: str | None = None
    """For a wrapper: the name of the child that holds the weight."""


def classify(module: nn.Module) -> Verdict:
    """The kind of ``module`` by itself; routers, gates, experts and heads are told by their surroundings."""
    supported = frozenset({Trait.SUPPORTED})
    if isinstance(module, nn.MultiheadAttention):
        return Verdict(Kind.ATTENTION, supported)
    if isinstance(module, nn.Linear):
        if type(module).forward is nn.Linear.forward:
            return Verdict(Kind.LINEAR, supported)
        own = supported | {Trait.OWN_FORWARD} | ({Trait.LINEAR_SHAPED} if _behaves_linearly(module) else set())
        return Verdict(Kind.LINEAR_SUBCLASS, own | _tuple_trait(module))
    if _is_conv1d(module):
        return Verdict(Kind.CONV1D, supported)
    if isinstance(module, nn.Embedding):
        return Verdict(Kind.EMBEDDING, supported)
    if isinstance(module, _ConvNd):
        adaptable = isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
        return Verdict(Kind.CONV, supported if adaptable else frozenset())
    if isinstance(module, _NORMS):
        return Verdict(Kind.NORM, frozenset({Trait.LIBRARY_NORM}))
    if _normalizes(module):
        return Verdict(Kind.NORM)
    if (inner := _inner_linear(module)) is not None:
        return Verdict(Kind.WRAPPER, inner=inner)
    container = {Trait.CONTAINER} if any(_has_parameters(child) for child in module.children()) else set()
    return Verdict(Kind.OTHER, frozenset(container) | _tuple_trait(module))


def _tuple_trait(module: nn.Module) -> frozenset[str]:
    return frozenset({Trait.RETURNS_TUPLE}) if class_code(type(module)).returns_tuple else frozenset()


def _is_conv1d(module: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _normalizes(module: nn.Module) -> bool:
    """A leaf with vectors at most, whose code divides by a norm or a deviation."""
    if any(_has_parameters(child) for child in module.children()):
        return False
    if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False)):
        return False
    calls = inherited_calls(type(module))
    return bool(calls & _NORMALIZES) or any(pair <= calls for pair in _MEAN_SQUARE)


def _required_inputs(module: nn.Module) -> int:
    parameters = inspect.signature(type(module).forward).parameters.values()
    return sum(
        parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        for parameter in parameters
    ) - len(("self",))


def _behaves_linearly(module: nn.Linear) -> bool:
    """Whether a forward of its own maps ``(…, in_features)`` to ``(…, out_features)``, as LoRA expects."""
    inputs = torch.empty(1, 2, module.in_features, dtype=module.weight.dtype, device="meta")
    try:
        with torch.no_grad():
            outputs = copy.deepcopy(module).to("meta")(inputs)
    except Exception:  # any refusal of a plain input is the answer
        return False
    return isinstance(outputs, torch.Tensor) and outputs.shape == (1, 2, module.out_features)


def _inner_linear(module: nn.Module) -> str | None:
    """The one linear that ``module`` passes its input through, where it does little else."""
    if next(module.parameters(recurse=False), None) is not None or isinstance(module, (nn.Sequential, nn.ModuleList)):
        return None
    children = {name: child for name, child in module.named_children() if not isinstance(child, _PASSIVE)}
    if len(children) != 1:
        return None
    ((name, child),) = children.items()
    if not isinstance(child, nn.Linear) or type(child).forward is not nn.Linear.forward:
        return None
    if _required_inputs(module) != 1:
        return None  # a residual sum, say, is no mere wrapper
    calls = class_code(type(module)).forward_calls
    return name if name in calls and calls <= _HARMLESS | {name} else None
