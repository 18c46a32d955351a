"""Depth is free: a layer that is like an earlier one proves nothing new, so lists of layers are cut short.

Two layers are of one kind where their modules have the same classes, parameter shapes, and settings that are text,
flags or nothing, and adapters in the same places.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn


class Cut(enum.Enum):
    """Which layers of a list are kept."""

    KINDS = "kinds"
    """The first and the last of each kind: a model may do something else there, or share keys and values from there."""
    PREFIX = "prefix"
    """The shortest prefix that shows every kind: for models that look at a layer's index."""
    NONE = "none"
    """All."""


class Depth:
    """The lists of layers of one model, which holds no adapters when this is made."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._lists = {
            path: module
            for path, module in model.named_modules()
            if isinstance(module, nn.ModuleList)
            and len(module) > 1
            and not any(part.isdigit() for part in path.split("."))  # the experts of a layer are all needed
            and any(next(layer.children(), None) is not None for layer in module)
        }
        numbers: dict[Hashable, int] = {}
        self._kinds: dict[str, list[Hashable]] = {
            path: [numbers.setdefault(_kind(layer), len(numbers)) for layer in layers]
            for path, layers in self._lists.items()
        }

    def cuts(self) -> list[Cut]:
        """The ways to run the model without adapters that take layers away, and that which takes none away last."""
        lengths = {cut: sum(len(_kept(kinds, cut, 1)) for kinds in self._kinds.values()) for cut in Cut}
        return [cut for cut in Cut if cut is Cut.NONE or lengths[cut] < lengths[Cut.NONE]]

    @contextlib.contextmanager
    def cut(self, how: Cut, adapted: Collection[str] = (), *, times: int = 1) -> Iterator[bool]:
        """Within the block every list holds some layers only; gives whether that takes any layer away.

        Args:
            adapted: paths that hold an adapter now.
            times: how often each kind of layer is to be there, where there are as many.
        """
        places = self._places(adapted)
        before: list[tuple[nn.ModuleList, dict[str, nn.Module]]] = []
        settings: list[tuple[Any, str, Any]] = []
        try:
            for path, layers in self._lists.items():
                kept = _kept(self._with_adapters(path, places), how, times)
                if len(kept) < len(layers) and self._model.get_submodule(path) is layers:
                    before.append((layers, dict(layers._modules)))
                    for config, name, values in self._settings_by_layer(path):
                        settings.append((config, name, values))
                        setattr(config, name, [values[index] for index in kept])
                    modules = [layers[index] for index in kept]
                    layers._modules.clear()
                    layers._modules.update({str(index): module for index, module in enumerate(modules)})
            yield bool(before)
        finally:
            for config, name, values in reversed(settings):
                setattr(config, name, values)
            for layers, whole in before:
                layers._modules.clear()
                layers._modules.update(whole)

    def stand_ins(self, how: Cut, *, times: int = 1) -> dict[str, str]:
        """For each layer that a cut takes away the first of its kind, which it keeps; both as paths."""
        found: dict[str, str] = {}
        for path, kinds in self._kinds.items():
            kept = frozenset(_kept(kinds, how, times))
            found |= {
                f"{path}.{index}": f"{path}.{kinds.index(kind)}"
                for index, kind in enumerate(kinds)
                if index not in kept
            }
        return found

    def is_even(self, adapted: Collection[str]) -> bool:
        """Whether the lists can be cut as they are, and all layers of a kind hold an adapter in the same places."""
        places = self._places(adapted)
        return all(
            self._model.get_submodule(path) is layers
            and len(set(self._with_adapters(path, places))) == len(set(self._kinds[path]))
            for path, layers in self._lists.items()
        )

    def _settings_by_layer(self, path: str) -> Iterator[tuple[Any, str, list[Any]]]:
        """The settings with one value for each layer of a list, such as ``layer_types``, looked up by its index."""
        owner = path
        while owner:
            owner = owner.rpartition(".")[0]
            config = getattr(self._model.get_submodule(owner), "config", None)
            if config is not None:
                for name, value in list(getattr(config, "__dict__", {}).items()):
                    if isinstance(value, list) and len(value) == len(self._kinds[path]):
                        yield config, name, value
                return

    def alike(self, path: str) -> Iterator[str]:
        """The paths of the same module in every layer of its kind, ``path`` itself among them."""
        place = self._place(path)
        if place is None:
            yield path
            return
        owner, index, rest = place
        kinds = self._kinds[owner]
        for other, kind in enumerate(kinds):
            if kind == kinds[index]:
                yield f"{owner}.{other}.{rest}".rstrip(".")

    def dead_throughout(
        self, how: Cut, dead: Collection[str], adapted: Collection[str], *, times: int
    ) -> frozenset[str] | None:
        """The dead adapters of the full depth, told by those of a cut; ``None`` where the cut cannot tell.

        It can where the layers of one kind agree, and where something beside the dead is alive in each such layer:
        then they are dead for what the layer does, not for its place among the layers.

        Args:
            how: the cut.
            dead: adapters without a gradient, as found on it.
            times: how often it shows each kind.
        """
        places, lost = self._places(adapted), self._places(dead)
        if sum(map(len, lost.values())) < len(set(dead)):
            return None  # some are outside of all layers
        throughout: set[str] = set()
        for owner in self._lists:
            kinds = self._with_adapters(owner, places)
            shown = _kept(kinds, how, times)
            for kind in set(kinds):
                seen = {lost.get((owner, index), frozenset()) for index in shown if kinds[index] == kind}
                if len(seen) > 1:
                    return None
                (rests,) = seen
                indices = [index for index, other in enumerate(kinds) if other == kind]
                if rests and rests >= places[owner, indices[0]]:
                    return None
                throughout.update(f"{owner}.{index}.{rest}" for index in indices for rest in rests)
        return frozenset(throughout)

    def _place(self, path: str) -> tuple[str, int, str] | None:
        """The list of layers that ``path`` lies in, the index of its layer and its name in there."""
        for owner in self._lists:
            if path.startswith(f"{owner}."):
                index, _, rest = path.removeprefix(f"{owner}.").partition(".")
                return owner, int(index), rest
        return None

    def _places(self, adapted: Collection[str]) -> dict[tuple[str, int], frozenset[str]]:
        """The adapted paths within each layer."""
        found: dict[tuple[str, int], set[str]] = {}
        for owner, index, rest in filter(None, map(self._place, adapted)):
            found.setdefault((owner, index), set()).add(rest)
        return {place: frozenset(paths) for place, paths in found.items()}

    def _with_adapters(self, owner: str, places: Mapping[tuple[str, int], frozenset[str]]) -> list[Hashable]:
        return [(kind, places.get((owner, index))) for index, kind in enumerate(self._kinds[owner])]


def _kept(kinds: Sequence[Hashable], how: Cut, times: int) -> list[int]:
    """The indices of the layers that a cut keeps: each of ``kinds`` so many ``times``, or as often as it occurs."""
    if how is Cut.NONE:
        return list(range(len(kinds)))
    if how is Cut.KINDS:
        return [
            index
            for index, kind in enumerate(kinds)
            if kinds[: index + 1].count(kind) <= times or kinds[index:].count(kind) <= times
        ]
    return list(range(1 + max(index for index, kind in enumerate(kinds) if kinds[: index + 1].count(kind) <= times)))


def _kind(layer: nn.Module) -> Hashable:
    return tuple(
        (
            name,
            type(module),
            tuple((own, parameter.shape) for own, parameter in module._parameters.items() if parameter is not None),
            tuple(
                (own, value) for own, value in vars(module).items() if value is None or isinstance(value, (str, bool))
            ),
        )
        for name, module in layer.named_modules()
    )
