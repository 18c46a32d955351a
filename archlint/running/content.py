"""What the inputs alone decide is known on the meta device too: token ids, masks, grids, lengths.

A meta tensor has a shape and no content. The content of a batch's numbers and flags is kept beside them, and so is
that of whatever is computed from nothing else, so that code which asks for it (``tolist()``, ``if mask.all()``, a
boolean index) gets what it would get on any other device. What depends on a weight stays without content.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from archlint.running.results import tensors

_aten = torch.ops.aten

_MOST = 1 << 18
"""Elements of a tensor of integers or flags up to which its content is kept."""
_MOST_FLOATS = 1 << 12
_MOST_VIEWED = 1 << 24
"""Elements that the same content may be spread over."""

_UNSET = frozenset({_aten.empty, _aten.empty_like, _aten.empty_strided, _aten.new_empty, _aten.new_empty_strided})
"""Operations whose result has any content, and is written to next."""
_Contents = dict[int, tuple[StorageWeakRef, Tensor]]
"""The content of storages, by their address; the weak reference keeps an address from being used again."""

_BY_CONTENT = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})
"""Marks operations of which the meta device cannot even tell the shape of the result."""

Runs = Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]
"""Runs an operation on positional and named arguments."""


class Content(TorchDispatchMode):
    """Keeps the content of small meta tensors while it follows from the inputs.

    Args:
        runs: what runs operations on meta tensors.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and to be left alone by the compiler takes longer than the rest

    def __init__(self, runs: Runs) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._runs = runs
        self._kept: _Contents = {}
        self._blank: _Contents = {}
        """Of what has no content until it is written to."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunction():  # what torch does in an operation is not the model's code
            return self._run(func, args, kwargs or {})

    def _run(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if not _writes(func) and any(isinstance(value, Tensor) and self._is_unknown(value) for value in args):
            return self._run_unknown(func, args, kwargs)  # most operations: the rest is not worth a look
        flat, spec = tree_flatten((args, kwargs))
        for written in _written(func, args, kwargs):
            self._fill(written, flat)
        contents = self._contents(flat)
        if contents is None:
            return self._run_unknown(func, args, kwargs)
        if not any(map(_concerns_meta, flat)):
            return self._runs(func, args, kwargs)
        cpu_args, cpu_kwargs = tree_unflatten(contents, spec)
        if _BY_CONTENT & set(func.tags):
            return tree_map_only(Tensor, self._on_meta, func(*cpu_args, **cpu_kwargs))
        if func.overloadpacket is _aten._to_copy and not _leads_to_meta(*args, **kwargs):
            return func(*cpu_args, **cpu_kwargs)
        found = self._runs(func, args, kwargs)
        if torch.Tag.nondeterministic_seeded in func.tags:
            self._forget(func, args, kwargs)
        elif func.overloadpacket in _UNSET:
            self._learn(found, torch.zeros((), dtype=found.dtype, device="cpu"), into=self._blank)
        elif _writes(func):
            func(*cpu_args, **cpu_kwargs)
        elif any(self._may_learn(tensor) for tensor in tensors(found)):
            for tensor, content in zip(tensors(found), tensors(func(*cpu_args, **cpu_kwargs)), strict=True):
                self._learn(tensor, content)
        return found

    def _run_unknown(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation on something without content; masks that have some still tell how much they choose."""
        if func is _aten.index.Tensor:
            args = (args[0], list(self._places(args[1])))
        elif func is _aten.masked_select.default and (content := self._content(args[1])) is not None:
            content = content.expand(torch.broadcast_shapes(args[0].shape, content.shape))
            return torch.empty(int(content.count_nonzero()), dtype=args[0].dtype, device="meta")
        found = self._runs(func, args, kwargs)
        self._forget(func, args, kwargs)
        return found

    def _places(self, indices: Sequence[Tensor | None]) -> Iterator[Tensor | None]:
        for index in indices:
            content = None if index is None or index.dtype is not torch.bool else self._content(index)
            if content is None:
                yield index
            else:
                count = int(content.count_nonzero())
                yield from (torch.empty(count, dtype=torch.long, device="meta") for _ in range(content.ndim))

    def _contents(self, flat: Sequence[Any]) -> list[Any] | None:
        """The arguments with content in place of meta tensors; ``None`` where one has none."""
        found: list[Any] = []
        for value in flat:
            if isinstance(value, Tensor):
                content = self._content(value)
                if content is None:
                    return None
                found.append(content)
            else:
                found.append(torch.device("cpu") if _is_meta_device(value) else value)
        return found

    def _is_unknown(self, tensor: Tensor) -> bool:
        return tensor.is_meta and tensor.untyped_storage()._cdata not in self._kept

    def _content(self, tensor: Tensor) -> Tensor | None:
        if not tensor.is_meta:
            return tensor
        if tensor.numel() > _MOST_VIEWED:
            return None
        kept = self._kept.get(tensor.untyped_storage()._cdata)
        if kept is None or kept[1].dtype is not tensor.dtype:
            return None
        return kept[1].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def _on_meta(self, content: Tensor) -> Tensor:
        found = torch.empty_strided(content.size(), content.stride(), dtype=content.dtype, device="meta")
        self._learn(found, content)
        return found

    def _may_learn(self, tensor: Tensor) -> bool:
        if not tensor.is_meta or _too_large(tensor):
            return False
        storage = tensor.untyped_storage()
        return storage._cdata not in self._kept and storage.nbytes() == tensor.numel() * tensor.itemsize

    def _learn(self, tensor: Tensor, content: Tensor, *, into: _Contents | None = None) -> None:
        if self._may_learn(tensor):
            base = torch.empty(tensor.numel(), dtype=tensor.dtype, device="cpu")
            base.as_strided(tensor.size(), tensor.stride()).copy_(content)
            storage = tensor.untyped_storage()
            (self._kept if into is None else into)[storage._cdata] = StorageWeakRef(storage), base

    def _fill(self, written: Tensor, flat: Sequence[Any]) -> None:
        """What had no content so far has one where all that is written to it does."""
        address = written.untyped_storage()._cdata
        others = [value for value in flat if value is not written]
        if address in self._blank and self._contents(others) is not None:
            self._kept[address] = self._blank.pop(address)

    def _forget(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """What an operation wrote to has no known content from now on."""
        for tensor in _written(func, args, kwargs):
            self._kept.pop(tensor.untyped_storage()._cdata, None)


@functools.cache
def _writes(func: Any) -> bool:
    return bool(func._schema.is_mutable)


def _written(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    """The arguments that an operation writes to."""
    if _writes(func):
        for index, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                yield from tensors(args[index] if index < len(args) else kwargs.get(argument.name))


class _Written(TorchFunctionMode):
    """Gives tensors that the code writes out as numbers their content: torch makes them in one step."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and args and isinstance(args[0], (list, tuple)):
            device = kwargs.get("device") or "meta"
            return func(_numbers(args[0]), **{**kwargs, "device": "cpu"}).to(device)
        if func is Tensor.__getitem__:
            return func(args[0], _as_tensors(args[1]))
        return func(*args, **kwargs)


def _numbers(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.tolist()
    return [_numbers(part) for part in data] if isinstance(data, (list, tuple)) else data


def _as_tensors(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_as_tensors, index))
    return torch.tensor(index, device="cpu").to("meta") if isinstance(index, list) else index


@contextlib.contextmanager
def content_kept(runs: Runs) -> Iterator[None]:
    """Within the block the content of small meta tensors is known while it follows from the inputs.

    Args:
        runs: what runs operations on meta tensors.
    """
    with Content(runs), _Written():
        yield


def _too_large(tensor: Tensor) -> bool:
    return tensor.numel() > (_MOST_FLOATS if tensor.is_floating_point() or tensor.is_complex() else _MOST)


def _leads_to_meta(tensor: Tensor, *, device: torch.device | None = None, **_: Any) -> bool:
    return (device or tensor.device).type == "meta"


def _is_meta_device(value: object) -> bool:
    return isinstance(value, torch.device) and value.type == "meta"


def _concerns_meta(value: object) -> bool:
    return _is_meta_device(value) or (isinstance(value, Tensor) and value.is_meta)
