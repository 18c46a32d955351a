"""What an operation gives on the meta device, told from what it gave before.

The layers of a model do the same operations on tensors of the same shapes over and over. On the meta device a result
is a shape, and what torch runs to find it, Python for the most part, takes far longer than to look it up.

A result may stand for another where nothing but its arguments' metadata can decide it, which holds for all but these,
and those are left to torch:

- what writes to an argument, and what gives a view of one, whether it says so or not,
- what depends on content, and what has a generator, a tensor of another device or class, or an object that is no
  plain value among its arguments,
- what gives anything but new, strided, meta tensors, each with memory of its own and no more of it than it fills,
- what raises.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_MOST = 1 << 14
"""Results that are kept, about 1 KB each; a model makes for some thousand."""

_PLAIN = frozenset(
    {int, float, bool, complex, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format}
)
_TENSORS = frozenset({Tensor, nn.Parameter})
_BY_CONTENT = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})


class _Shape(NamedTuple):
    """All that there is to a new tensor without content."""

    size: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> _Shape:
        """The shape of ``tensor``.

        Raises:
            _NotToldError: there is more to it.
        """
        if type(tensor) is not Tensor or not tensor.is_meta or tensor.layout is not torch.strided:
            raise _NotToldError
        shape = cls(tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.is_conj() or tensor.is_neg() or tensor.storage_offset() or _memory(tensor) != _memory(shape.made()):
            raise _NotToldError
        return shape

    def made(self) -> Tensor:
        return torch.empty_strided(self.size, self.stride, dtype=self.dtype, device=_META)


class _NotToldError(Exception):
    """Not only metadata decides a result, or there is more to it."""


_META = torch.device("meta")
_known: dict[Hashable, _Shape | tuple[_Shape | None, ...]] = {}
"""The results of operations by all that decides them; ``None`` for one that is not asked for, as a gradient may be."""


def result_of(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """``func(*args, **kwargs)``, where ``func`` is an operation of torch as a ``TorchDispatchMode`` gets it.

    Raises:
        Exception: whatever torch raises.
    """
    if not _makes_new(func):
        return func(*args, **kwargs)
    try:
        key = func, torch.get_default_dtype(), _described(args), _described(kwargs.items())
    except _NotToldError:
        return func(*args, **kwargs)
    known = _known.get(key)
    if known is not None:
        return known.made() if isinstance(known, _Shape) else tuple(shape and shape.made() for shape in known)
    found = func(*args, **kwargs)
    with contextlib.suppress(_NotToldError):
        shapes = _shapes(found, {_address(tensor) for tensor in tensors([args, list(kwargs.values())])})
        if len(_known) >= _MOST:
            _known.clear()
        _known[key] = shapes
    return found


@functools.cache
def _makes_new(func: Any) -> bool:
    """Whether an operation promises one or more tensors that are new, and does not look at content for them."""
    schema = func._schema
    return (
        not schema.is_mutable
        and not _BY_CONTENT & set(func.tags)
        and all(isinstance(given.type, torch.TensorType) and given.alias_info is None for given in schema.returns)
    )


def _described(values: Iterable[Any]) -> Hashable:
    """What of ``values`` a result may depend on.

    Raises:
        _NotToldError: more than can be held against another.
    """
    return tuple(map(_description, values))


def _description(value: Any) -> Hashable:
    kind = type(value)
    if kind in _TENSORS:
        if value.is_meta and value.layout is torch.strided:
            return value.dtype, value.shape, value.stride()
    elif kind in _PLAIN:
        return kind, value  # 1, 1.0 and True are equal, and give other dtypes
    elif kind is list or kind is tuple:
        return _described(value)
    raise _NotToldError


def _shapes(found: Any, given: Collection[int]) -> _Shape | tuple[_Shape | None, ...]:
    """The shapes of a result, none of which has its memory among the addresses ``given``.

    Raises:
        _NotToldError: it is more than shapes.
    """
    addresses = [_address(tensor) for tensor in tensors(found)]
    if len({*addresses, *given}) < len(addresses) + len(given):
        raise _NotToldError
    if isinstance(found, tuple):
        return tuple(None if part is None else _Shape.of(part) for part in found)
    return _Shape.of(found)


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in ``value``, a tensor or lists of what may be some."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors(part)


def _address(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
