"""Small real copies: a model of the same class and structure that trains on the processor in a moment.

What is proven on a copy holds for the model where the copy has every kind of layer that the model has. How small a
copy may be is found by trying: the smallest that has the same structure and can be run is it.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from archlint.core.folding import without_indices
from archlint.running.batch import Batch, text_batches
from archlint.running.shrinking import Scheme, depths, shrunk
from archlint.running.step import forward

MAX_PARAMETERS = 20_000_000
"""80 MB in single precision; a training step takes about three times that."""
_MAX_TOKENS = 4096
"""Of a batch: attention over more takes more memory than the weights."""
_SEED = 0


class NoSmallCopyError(Exception):
    """No small copy of a model has its structure and can be run; the message says what became of the best."""


def small_copy(model: nn.Module, batches: Callable[[nn.Module], Iterable[Batch]] = text_batches) -> nn.Module:
    """A copy of ``model`` on the processor: same class and structure, small, with random weights in float32.

    Fused experts are computed one by one, which needs no kernels. All experts get tokens, where a token gets more
    than one expert. The copy is new: it was not run yet, but one just like it was.

    Args:
        model: a model of transformers with its ``config``, on any device.
        batches: makes batches for a copy; it must be able to run one of them.

    Raises:
        NoSmallCopyError: there is none.
    """
    reasons: list[tuple[int, str]] = []
    with one_thread():
        for config in _configs(model, reasons):
            try:
                if not _runs(_real(type(model), config), batches, reasons):
                    continue
            except Exception as error:  # a model's code raises whatever its config leads it to
                reasons.append((_BUILT, _told(error)))
                continue
            return _real(type(model), config)  # some models change when they are run
    raise NoSmallCopyError(max(reasons, key=lambda reason: reason[0])[1] if reasons else "it has no config")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch computes on one thread: for tensors this small, threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def same_structure(model: nn.Module, other: nn.Module) -> bool:
    """Whether what is proven on one holds for the other: the same modules at the same places.

    Layers may be fewer, but of the same kinds: of the same classes, with parameters of the same names and numbers of
    dimensions, tied in the same way, and with the same settings that tell one layer of a stack from another.
    """
    return _Structure(model).is_that_of(other)


_BUILT, _LIKE, _RUN = range(3)
"""How far a copy came."""


def _configs(model: nn.Module, reasons: list[tuple[int, str]]) -> Iterator[Any]:
    """Small configs that give the same structure, the smallest first."""
    config: Any = getattr(model, "config", None)
    if config is None:
        return
    structure = _Structure(model)
    numbers = depths(config)
    for scheme in Scheme:
        for layers in tuple(numbers):
            small = shrunk(config, layers, scheme)
            try:
                with torch.device("meta"):
                    sketch = _build(type(model), small)
            except Exception as error:  # as above
                reasons.append((_BUILT, _told(error)))
                continue
            if not structure.is_that_of(sketch):
                reasons.append((_BUILT, f"it has not the same structure, with {layers} layers"))
                continue
            numbers = [number for number in numbers if number >= layers]
            if (size := sum(parameter.numel() for parameter in sketch.parameters())) <= MAX_PARAMETERS:
                yield small
            else:
                reasons.append((_LIKE, f"it has {size:,} parameters, more than {MAX_PARAMETERS:,}"))
            break


def _runs(model: nn.Module, batches: Callable[[nn.Module], Iterable[Batch]], reasons: list[tuple[int, str]]) -> bool:
    reasons.append((_LIKE, "its class takes no input that a batch can be made of"))
    for batch in batches(model):
        ids = batch.inputs.get("input_ids")
        if ids is not None and ids.numel() > _MAX_TOKENS:
            continue
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                forward(model, batch, "cpu")
        except Exception as error:  # as above
            reasons.append((_RUN, _told(error)))
        else:
            return True
    return False


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _real(cls: type[Any], config: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(_SEED)
        return _build(cls, config).float()


def _build(cls: type[Any], config: Any) -> nn.Module:
    own = copy.deepcopy(config)  # models write into it
    if not hasattr(cls, "_from_config"):
        plain: nn.Module = cls(own)
        return plain
    model: nn.Module = cls._from_config(
        own, attn_implementation="eager", experts_implementation="eager", dtype=torch.float32
    )
    return model


class _Structure:
    """The places of a model, each with what is at it; indices of layers and experts do not count."""

    def __init__(self, model: nn.Module) -> None:
        first: dict[tuple[str, str], object] = {}
        self._telling: dict[str, set[str]] = defaultdict(set)
        """Settings by which the modules of one place differ."""
        for path, module in model.named_modules():
            place = _folded(path)
            for name, value in _settings(module).items():
                if first.setdefault((place, name), value) != value:
                    self._telling[place].add(name)
        self._places = frozenset(self._describe(model))

    def is_that_of(self, model: nn.Module) -> bool:
        return self._places == frozenset(self._describe(model))

    def _describe(self, model: nn.Module) -> Iterator[Hashable]:
        tied: dict[int, set[str]] = defaultdict(set)
        for path, module in model.named_modules():
            place = _folded(path)
            settings = _settings(module)
            own = {name: value for name, value in module._parameters.items() if value is not None}
            yield (
                place,
                f"{type(module).__module__}.{type(module).__qualname__}",
                frozenset((name, value.dim()) for name, value in own.items()),
                frozenset((name, settings.get(name)) for name in self._telling.get(place, ())),
            )
            for name, value in own.items():
                tied[id(value)].add(f"{place}.{name}")
        yield from (frozenset(names) for names in tied.values() if len(names) > 1)


def _folded(text: str) -> str:
    return re.sub(r"\d+", "*", without_indices(text))


def _settings(module: nn.Module) -> dict[str, object]:
    """What a module was made with, as far as it is text, a flag or nothing."""
    return {
        name: _folded(value) if isinstance(value, str) else value
        for name, value in vars(module).items()
        if name != "training" and not name.startswith("_") and (value is None or isinstance(value, (str, bool)))
    }
