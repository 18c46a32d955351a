"""Operators, methods and functions on plain values, none of which can take long or make much."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from archlint.reading.limits import MAX_BITS, MAX_LENGTH, SMALL, Budget
from archlint.reading.values import Unknown, Value

SCALARS = (bool, int, float, str, bytes, type(None))
CONTAINERS = (list, tuple, dict, set, frozenset)

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.MatMult: operator.matmul,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class NotPlainError(Exception):
    """The operation is none of those that are done here, or Python refuses it."""


def size(value: Value, limit: int = SMALL) -> int:
    """Elements at all depths, those that are in several places counted at each, up to just over ``limit``."""
    total, waiting = 0, [value]
    while waiting and total <= limit:
        part = waiting.pop()
        total += 1
        if isinstance(part, (str, bytes)):
            total += len(part) // 64
        elif isinstance(part, dict):
            waiting += list(part.keys())[: limit + 1]
            waiting += list(part.values())[: limit + 1]
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting += list(part)[: limit + 1]
    return total


def is_small(*values: Value) -> bool:
    return all(size(value) <= SMALL for value in values)


def is_plain(value: Value) -> bool:
    """Whether it is a number, a text, or a small container of such."""
    if isinstance(value, SCALARS):
        return True
    if not isinstance(value, CONTAINERS) or not is_small(value):
        return False
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return all(is_plain(part) for part in parts)


def binary(kind: ast.operator, left: Value, right: Value, budget: Budget) -> Value:
    """What an operator gives.

    Raises:
        NotPlainError: nothing that can be told.
        TooMuchError: more than any model needs.
    """
    numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    if numbers:
        if isinstance(kind, ast.Pow) and isinstance(left, int) and isinstance(right, int):
            if max(left.bit_length(), 1) * abs(right) > MAX_BITS:
                raise NotPlainError
        elif isinstance(kind, ast.LShift) and isinstance(right, int) and right > MAX_BITS:
            raise NotPlainError
    elif isinstance(kind, ast.Mult):
        text, count = (left, right) if isinstance(right, int) else (right, left)
        if not isinstance(text, (str, list, tuple, bytes)) or not isinstance(count, int):
            raise NotPlainError
        budget.take(max(len(text) * count, 0))
    elif isinstance(kind, ast.Add):
        if not (type(left) is type(right) and isinstance(left, (str, list, tuple, bytes))):
            raise NotPlainError
        budget.take(len(left) + len(right))
    elif isinstance(kind, ast.Mod) and isinstance(left, str):
        return _percent(left, right, budget)
    elif isinstance(kind, (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)):
        kinds = (set, frozenset)
        if isinstance(left, dict) and isinstance(right, dict) and isinstance(kind, ast.BitOr):
            kinds = (dict,)  # type: ignore[assignment]
        if not (isinstance(left, kinds) and isinstance(right, kinds)):
            raise NotPlainError
        budget.take(len(left) + len(right))
    else:
        raise NotPlainError
    try:
        return bounded(_BINARY[type(kind)](left, right))
    except (ArithmeticError, ValueError, TypeError) as error:
        raise NotPlainError from error


def bounded(value: Value) -> Value:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise NotPlainError
    if isinstance(value, complex):
        raise NotPlainError
    return value


def _percent(text: str, values: Value, budget: Budget) -> str:
    parts = values if isinstance(values, tuple) else (values,)
    if re.search(r"%[^sdf%]", text) or not all(isinstance(part, SCALARS) for part in parts):
        raise NotPlainError
    budget.take(len(text) + sum(len(shown(part)) for part in parts))
    try:
        return text % parts
    except (TypeError, ValueError) as error:
        raise NotPlainError from error


def unary(kind: ast.unaryop, value: Value) -> Value:
    if not isinstance(value, (int, float)):
        raise NotPlainError
    try:
        return _UNARY[type(kind)](value)
    except TypeError as error:
        raise NotPlainError from error


def compare(kind: ast.cmpop, left: Value, right: Value) -> bool:
    """What a comparison gives; containment and identity are the caller's."""
    if not (is_small(left) and is_small(right)):
        raise NotPlainError
    if isinstance(kind, (ast.Eq, ast.NotEq)) and not (_is_comparable(left) and _is_comparable(right)):
        raise NotPlainError
    try:
        return bool(_COMPARE[type(kind)](left, right))
    except (TypeError, ValueError, RecursionError) as error:
        raise NotPlainError from error


def _is_comparable(value: Value) -> bool:
    """Whether nothing in it is unknown, or compares by code of its own."""
    if isinstance(value, SCALARS):
        return True
    if isinstance(value, CONTAINERS):
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        return all(_is_comparable(part) for part in parts)
    return not isinstance(value, Unknown) and (
        type(value).__module__.startswith("archlint.") or type(value).__qualname__ in ("dtype", "Size", "Version")
    )


def shown(value: Value, spec: str = "") -> str:
    """The text of a plain value."""
    if not is_plain(value) or re.search(r"\d{3}", spec):
        raise NotPlainError
    try:
        return format(value, spec) if spec else str(value)
    except (TypeError, ValueError) as error:
        raise NotPlainError from error


def truth(value: Value) -> bool | None:
    """Whether it counts as true; ``None`` where that cannot be told."""
    if isinstance(value, (*SCALARS, *CONTAINERS)):
        return bool(value)
    return None


_TEXT = frozenset(
    {"lower", "upper", "strip", "lstrip", "rstrip", "split", "rsplit", "startswith", "endswith", "partition"}
    | {"rpartition", "find", "rfind", "index", "count", "isdigit", "isalpha", "isnumeric", "isidentifier", "title"}
    | {"capitalize", "removeprefix", "removesuffix", "casefold", "splitlines", "isupper", "islower"}
)
_LIST = frozenset({"append", "extend", "insert", "pop", "remove", "index", "count", "copy", "reverse", "clear", "sort"})
_DICT = frozenset({"get", "items", "keys", "values", "pop", "update", "setdefault", "copy", "clear", "popitem"})
_SET = frozenset({"add", "update", "discard", "remove", "union", "intersection", "difference", "issubset", "copy"})
_METHODS: Mapping[type, frozenset[str]] = {
    str: _TEXT,
    list: _LIST,
    dict: _DICT,
    tuple: frozenset({"index", "count"}),
    set: _SET,
    frozenset: frozenset({"union", "intersection", "difference", "issubset", "copy"}),
    int: frozenset({"bit_length"}),
    float: frozenset({"is_integer"}),
}


def has_method(value: Value, name: str) -> bool:
    return name in _methods(value) or (isinstance(value, str) and name in ("join", "replace", "format"))


def _methods(value: Value) -> frozenset[str]:
    return next((names for kind, names in _METHODS.items() if isinstance(value, kind)), frozenset())


def call_method(value: Value, name: str, args: list[Value], kwargs: dict[str, Value], budget: Budget) -> Value:
    """What a method of a plain value gives; a ``KeyError`` and its like are passed on.

    Raises:
        NotPlainError: nothing that can be told.
    """
    if isinstance(value, str) and name in ("join", "replace", "format"):
        return _made_text(value, name, args, kwargs, budget)
    if name not in _methods(value):
        raise NotPlainError
    if isinstance(value, dict) and any(not _is_hashable(arg) for arg in args[:1]) and name not in ("update",):
        raise NotPlainError
    if name in ("index", "count", "remove") and not is_small(value, *args):
        raise NotPlainError
    if name == "sort" and (kwargs.keys() - {"reverse"} or not is_plain(value)):
        raise NotPlainError
    budget.take(_growth(value, name, args))
    try:
        made = getattr(value, name)(*args, **kwargs)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise NotPlainError from error
    return list(made) if isinstance(value, dict) and name in ("items", "keys", "values") else made


def _growth(value: Value, name: str, args: list[Value]) -> int:
    if name in ("extend", "update", "union", "intersection", "difference", "issubset"):
        if not all(isinstance(arg, (*CONTAINERS, str)) for arg in args):
            raise NotPlainError
        if name == "update" and isinstance(value, dict) and not all(isinstance(arg, dict) for arg in args):
            raise NotPlainError
        if isinstance(value, (set, frozenset)) and not all(_is_hashable(part) for arg in args for part in arg):
            raise NotPlainError
        return sum(len(arg) for arg in args) + 1
    if isinstance(value, (set, frozenset)) and not all(_is_hashable(arg) for arg in args):
        raise NotPlainError
    if name in ("copy", "items", "keys", "values", "split", "rsplit", "splitlines", "lower", "upper", "title"):
        return len(value) + 1
    return 1


def _is_hashable(value: Value) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return is_small(value) and all(_is_hashable(part) for part in value)
    return isinstance(value, SCALARS) or not isinstance(value, (list, dict, set, Unknown))


def is_key(value: Value) -> bool:
    """Whether it can be looked up in a table."""
    return _is_hashable(value)


_FIELD = re.compile(r"\{\{|\}\}|\{(\w*)\}")


def _made_text(text: str, name: str, args: list[Value], kwargs: dict[str, Value], budget: Budget) -> str:
    if name == "join":
        if len(args) != 1 or not isinstance(args[0], (list, tuple)) or not all(isinstance(p, str) for p in args[0]):
            raise NotPlainError
        budget.take(sum(len(part) + len(text) for part in args[0]))
        return text.join(args[0])
    if name == "replace":
        if len(args) != 2 or not all(isinstance(arg, str) for arg in args):
            raise NotPlainError
        budget.take(len(text) + (text.count(args[0]) + 1) * len(args[1]))
        return text.replace(*args)
    if set(_FIELD.sub("", text)) & set("{}") or not all(isinstance(v, SCALARS) for v in (*args, *kwargs.values())):
        raise NotPlainError
    budget.take(
        len(text) + len(_FIELD.findall(text)) * max((len(shown(v)) for v in (*args, *kwargs.values())), default=0)
    )
    try:
        return text.format(*args, **kwargs)
    except (LookupError, ValueError) as error:
        raise NotPlainError from error


def subscript(value: Value, index: Value) -> Value:
    """An element, or a slice.

    Raises:
        LookupError: there is none.
        NotPlainError: nothing that can be told.
    """
    if isinstance(value, dict):
        if not _is_hashable(index):
            raise NotPlainError
        return value[index]
    if isinstance(value, (list, tuple, str)) and isinstance(index, (int, slice)):
        try:
            return value[index]
        except (TypeError, ValueError) as error:
            raise NotPlainError from error
    raise NotPlainError


def _sum(values: Iterable[Any], start: Any = 0) -> Any:
    values = list(values)
    if not all(isinstance(value, (int, float)) for value in (*values, start)):
        raise NotPlainError
    return sum(values, start)


def _range(*args: Any) -> Any:
    made = range(*args)
    if len(made) > MAX_LENGTH:
        raise NotPlainError
    return made


def _sorted(values: Any, reverse: bool = False) -> Any:
    if not is_plain(list(values)):
        raise NotPlainError
    return sorted(values, reverse=reverse)


def _pow(base: Any, exponent: Any) -> Any:
    return binary(ast.Pow(), base, exponent, Budget())


def _int(value: Any = 0, *rest: Any) -> int:
    if isinstance(value, str) and len(value) > 100:
        raise NotPlainError
    return int(value, *rest)


def _set(values: Any = ()) -> set[Any]:
    return set(_keys(values))


def _keys(values: Any) -> list[Any]:
    made = list(values)
    if not all(_is_hashable(value) for value in made):
        raise NotPlainError
    return made


def _all(values: Any) -> bool | Unknown:
    found = [truth(value) for value in values]
    return False if False in found else (Unknown("not all is known") if None in found else True)


def _any(values: Any) -> bool | Unknown:
    found = [truth(value) for value in values]
    return True if True in found else (Unknown("not all is known") if None in found else False)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "all": _all,
    "any": _any,
    "bin": bin,
    "bool": bool,
    "chr": chr,
    "divmod": divmod,
    "enumerate": lambda values, start=0: [(start + place, value) for place, value in enumerate(values)],
    "float": float,
    "frozenset": lambda values=(): frozenset(_keys(values)),
    "hex": hex,
    "int": _int,
    "len": len,
    "list": lambda values=(): list(values),
    "max": lambda *args, **kwargs: _extreme(max, *args, **kwargs),
    "min": lambda *args, **kwargs: _extreme(min, *args, **kwargs),
    "ord": ord,
    "pow": _pow,
    "range": _range,
    "repr": lambda value: repr(value) if isinstance(value, SCALARS) else shown(value),
    "reversed": lambda values: list(reversed(list(values))),
    "round": round,
    "set": _set,
    "slice": slice,
    "sorted": _sorted,
    "str": lambda value="": shown(value),
    "sum": _sum,
    "tuple": lambda values=(): tuple(values),
    "zip": lambda *args, strict=False: list(zip(*args)),  # noqa: B905
}
"""Functions that Python has without an import, as far as they are safe to call on plain values."""


def _extreme(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    values = list(args[0]) if len(args) == 1 else list(args)
    if not is_plain(values) or kwargs.keys() - {"default"}:
        raise NotPlainError
    return function(values, **kwargs)


_MATH = frozenset(
    {"ceil", "floor", "sqrt", "log", "log2", "log10", "exp", "sin", "cos", "tan", "atan", "tanh", "gcd", "isqrt"}
    | {"prod", "trunc", "fabs", "copysign", "isclose", "isinf", "isnan", "radians", "degrees", "hypot", "lcm"}
)


def mathematics(name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """What a function of the module math gives."""
    if name == "pow":
        return _pow(*(float(arg) for arg in args))
    if name not in _MATH or not all(is_plain(arg) for arg in args) or kwargs:
        raise NotPlainError
    if name == "prod" and not all(isinstance(value, (int, float)) for value in args[0][:100]):
        raise NotPlainError
    try:
        return bounded(getattr(math, name)(*([args[0][:100]] if name == "prod" else args)))
    except (ArithmeticError, ValueError, TypeError) as error:
        raise NotPlainError from error
