"""Tensors: small ones are computed, of others the shape is, on the meta device."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from archlint.reading.limits import MAX_TENSOR, Budget
from archlint.reading.plain import SCALARS, NotPlainError
from archlint.reading.values import Value

_MAKERS = frozenset(
    {"empty", "zeros", "ones", "full", "rand", "randn", "arange", "linspace", "logspace", "tensor", "eye", "randint"}
    | {"as_tensor", "Tensor", "FloatTensor", "LongTensor", "normal", "randperm"}
)
_LIKE = frozenset({"empty_like", "zeros_like", "ones_like", "full_like", "randn_like", "rand_like"})
_FUNCTIONS = _LIKE | frozenset(
    {"cat", "concat", "stack", "tril", "triu", "outer", "exp", "log", "sqrt", "sin", "cos", "pow", "meshgrid", "cumsum"}
    | {"flatten", "reshape", "transpose", "permute", "squeeze", "unsqueeze", "sum", "mean", "clamp", "abs", "sigmoid"}
    | {"log2", "ceil", "floor", "round", "div", "mul", "add", "sub", "where", "repeat_interleave", "flip", "roll"}
    | {"max", "min", "maximum", "minimum", "einsum", "matmul", "diag", "kron", "hann_window", "diff"}
    | {"cumprod", "expm1", "log1p", "argmin", "argmax", "argsort", "square", "rsqrt", "tanh", "softmax", "prod"}
)
_METHODS = _FUNCTIONS | frozenset(
    {"float", "half", "bfloat16", "long", "int", "double", "bool", "to", "type", "view", "expand", "repeat", "clone"}
    | {"detach", "contiguous", "t", "new_zeros", "new_ones", "new_empty", "masked_fill", "size", "numel", "dim"}
    | {"requires_grad_", "fill_diagonal_", "cpu", "view_as", "expand_as", "type_as", "neg", "tile"}
)
_ATTRIBUTES = frozenset({"shape", "ndim", "dtype", "T", "requires_grad", "is_meta", "itemsize"})
_ITSELF = frozenset({"data", "cuda", "share_memory_"})
_CONVERTED = frozenset({"astype", "numpy"})
_DATA_MAKING = frozenset({"tensor", "as_tensor"})


def is_maker(name: str) -> bool:
    """Whether ``torch.name`` gives a tensor that can be made."""
    return name in _MAKERS or name in _FUNCTIONS


def call(name: str, args: list[Value], kwargs: dict[str, Value], budget: Budget) -> Value:
    """What ``torch.name(…)`` gives.

    Raises:
        NotPlainError: nothing that can be told.
    """
    kwargs = _plain_options(kwargs)
    function = getattr(torch, name)
    if name in _DATA_MAKING or (name.endswith("Tensor") and args and isinstance(args[0], (list, tuple))):
        if not isinstance(args[0], torch.Tensor) and not _is_numbers(args[0]):
            raise NotPlainError
        return _done(torch.tensor if name.endswith("Tensor") else function, args, kwargs, budget)
    if name.endswith("Tensor"):
        function = torch.empty
    if name in _MAKERS:
        args = [_number(arg) for arg in args]
    if name in _MAKERS and not any(isinstance(arg, torch.Tensor) for arg in args):
        meta = _done(function, args, {**kwargs, "device": "meta"}, budget)
        return _done(function, args, kwargs, budget) if _is_cheap(meta) else meta
    return _apply(function, args, kwargs, budget)


def _number(value: Value) -> Value:
    """The number that a tensor without dimensions is, where one stands for a size."""
    is_one = isinstance(value, torch.Tensor) and value.ndim == 0 and not value.is_meta
    return value.item() if is_one else value


def method(tensor: torch.Tensor, name: str, args: list[Value], kwargs: dict[str, Value], budget: Budget) -> Value:
    """What ``tensor.name(…)`` gives."""
    if name in ("item", "tolist"):
        if tensor.is_meta or tensor.numel() > MAX_TENSOR or (name == "item" and tensor.numel() != 1):
            raise NotPlainError
        budget.take(tensor.numel())
        return tensor.tolist()
    if name == "size":
        return tensor.shape[args[0]] if args and isinstance(args[0], int) else tuple(tensor.shape)
    if name in ("numel", "dim"):
        return getattr(tensor, name)()
    if (name.endswith("_") and not name.endswith("__")) or name in _ITSELF | _CONVERTED:
        return tensor  # changed in place
    if name not in _METHODS:
        raise NotPlainError
    return _apply(getattr(torch.Tensor, name), [tensor, *args], _plain_options(kwargs), budget)


def has_method(name: str) -> bool:
    return name in _METHODS | _CONVERTED or name in ("item", "tolist") or name.endswith("_")


def attribute(tensor: torch.Tensor, name: str) -> Value:
    if name in _ITSELF:
        return tensor
    if name == "device":
        return "cpu"
    if name not in _ATTRIBUTES:
        raise NotPlainError
    value = getattr(tensor, name)
    return tuple(value) if isinstance(value, torch.Size) else value


_BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "Pow": operator.pow,
    "MatMult": operator.matmul,
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}


def binary(kind: str, left: Value, right: Value, budget: Budget) -> Value:
    if kind not in _BINARY:
        raise NotPlainError
    return _apply(_BINARY[kind], [left, right], {}, budget)


def element(tensor: torch.Tensor, index: Value, budget: Budget) -> Value:
    return _apply(lambda whole: whole[index], [tensor], {}, budget)


def set_element(tensor: torch.Tensor, index: Value, value: Value) -> None:
    """Change numbers of a tensor in place, where they are known."""
    if not tensor.is_meta and isinstance(index, (int, slice)) and isinstance(value, (bool, int, float)):
        try:
            tensor[index] = value
        except Exception as error:  # torch refuses in many ways
            raise NotPlainError from error


def elements(tensor: torch.Tensor, budget: Budget) -> list[Value]:
    if tensor.ndim == 0 or len(tensor) > MAX_TENSOR:
        raise NotPlainError
    budget.take(len(tensor))
    return [tensor[place] for place in range(len(tensor))]


def _plain_options(kwargs: dict[str, Value]) -> dict[str, Value]:
    """Without where a tensor is to be, and what is not known of its type."""
    kept = {name: value for name, value in kwargs.items() if name not in ("device", "pin_memory", "layout")}
    if "dtype" in kept and not isinstance(kept["dtype"], torch.dtype):
        del kept["dtype"]
    return kept


def _is_numbers(value: Value) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= MAX_TENSOR and all(_is_numbers(part) for part in value)
    return isinstance(value, (bool, int, float, torch.Tensor))


def _is_cheap(*values: Value) -> bool:
    return all(not isinstance(value, torch.Tensor) or value.numel() <= MAX_TENSOR for value in values)


def _apply(function: Callable[..., Any], args: list[Value], kwargs: dict[str, Value], budget: Budget) -> Value:
    """On the meta device first, which tells whether the numbers themselves are few enough."""
    parts = _tensors([*args, *kwargs.values()])
    if getattr(function, "__name__", "") in _LIKE and not any(part.is_meta for part in parts):
        return _done(function, args, kwargs, budget)
    meta = _done(function, [_moved(arg) for arg in args], {k: _moved(v) for k, v in kwargs.items()}, budget)
    if any(part.is_meta for part in parts) or not _is_cheap(*_tensors([meta])):
        return meta
    return _done(function, args, kwargs, budget)


def _moved(value: Value) -> Value:
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(part) for part in value)
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def _tensors(values: Any) -> list[torch.Tensor]:
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _tensors(value)
    return found


def _done(function: Callable[..., Any], args: list[Value], kwargs: dict[str, Value], budget: Budget) -> Value:
    for value in (*args, *kwargs.values()):
        if not _is_allowed(value):
            raise NotPlainError
    try:
        with torch.no_grad():
            made = function(*args, **kwargs)
    except Exception as error:  # torch refuses in many ways
        raise NotPlainError from error
    for tensor in _tensors([made]):
        budget.take(1 if tensor.is_meta else tensor.numel())
    return made


def _is_allowed(value: Value) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= MAX_TENSOR and all(_is_allowed(part) for part in value)
    return isinstance(value, (*SCALARS, torch.Tensor, torch.dtype, slice, type(Ellipsis)))


def parameter(value: Value, requires_grad: bool = True) -> nn.Parameter:
    """A parameter of a tensor's shape; always on the meta device."""
    if not isinstance(value, torch.Tensor):
        raise NotPlainError
    learns = requires_grad and (value.is_floating_point() or value.is_complex())
    return nn.Parameter(torch.empty(value.shape, dtype=value.dtype, device="meta"), requires_grad=learns)
