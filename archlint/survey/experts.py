"""Mixtures of experts: where the experts are, what routes to them, and the block that holds both.

Experts are known by their structure: matrices stacked along a first dimension of E, or a list of E equal
modules, next to a layer with E outputs, the router.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from archlint.survey.source_code import inherited_calls


@dataclass(frozen=True, slots=True)
class Store:
    """The experts of one block: the module that holds them, how many they are and their input widths."""

    path: str
    count: int
    widths: frozenset[int]
    fused: tuple[str, ...] = ()
    """Names of its stacked parameters; empty for a list of modules."""


@dataclass(slots=True)
class Experts:
    """Everything about experts in one model, by module path."""

    stores: dict[str, Store] = field(default_factory=dict)
    blocks: set[str] = field(default_factory=set)
    routers: set[str] = field(default_factory=set)
    gates: set[str] = field(default_factory=set)

    def inside_expert(self, path: str) -> bool:
        """Whether ``path`` lies in one expert of a list of modules."""
        return any(path.startswith(f"{store.path}.") for store in self.stores.values() if not store.fused)


def find_experts(model: nn.Module) -> Experts:
    """Find the mixtures of experts of ``model``."""
    modules = dict(model.named_modules())
    config = getattr(model, "config", None)
    numbers = _expert_numbers(config)
    experts = Experts()
    for path, module in modules.items():
        store = _fused_store(path, module) or _listed_store(path, module)
        if store is None or not path:
            continue
        if not store.fused and config is not None and store.count not in numbers:
            continue  # many models have a list of equal modules; a config tells the number of its experts
        found = _router(store, modules)
        if found is None and not (store.fused and store.count in numbers):
            continue
        experts.stores[path] = store
        block = found[0] if found else path.rpartition(".")[0]
        experts.blocks.add(block)
        if found:
            experts.routers.add(found[1])
        if not block.rpartition(".")[2].isdigit():  # a decoder layer that is itself the block gates nothing
            experts.gates.update(_gates(block, store, modules))
    return experts


def _fused_store(path: str, module: nn.Module) -> Store | None:
    if isinstance(module, _ConvNd):
        return None  # its weight has three dimensions as well
    stacked = {
        name: parameter.shape
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim == 3 and min(parameter.shape) > 1
    }
    counts = {shape[0] for shape in stacked.values()}
    if not 1 <= len(counts) <= 2:  # two where one stack has places for experts that do nothing
        return None
    widths = frozenset(size for shape in stacked.values() for size in shape[1:])
    return Store(path, min(counts), widths, tuple(stacked))


def _listed_store(path: str, module: nn.Module) -> Store | None:
    if not isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return None
    children = [child for child in module.children() if next(child.parameters(), None) is not None]
    if len(children) < 2:
        return None
    if len({type(child) for child in children}) > 1 or isinstance(children[0], nn.Linear):
        return None
    widths = frozenset(layer.in_features for layer in children[0].modules() if isinstance(layer, nn.Linear))
    return Store(path, len(children), widths) if widths else None


def _router(store: Store, modules: Mapping[str, nn.Module]) -> tuple[str, str] | None:
    """The nearest block around ``store`` that holds its router, and the router."""
    block = store.path
    for _ in range(2):
        block, _, child = block.rpartition(".")
        if block not in modules or (not block and not child):
            return None
        candidates = [
            path
            for path in _outside(block, store, modules)
            if _routes(path, block, store, modules) and (store.fused or _chosen(path, block, modules))
        ]
        if candidates:
            return block, max(candidates, key=lambda path: _likeness(path, block, modules))
    return None


def _outside(block: str, store: Store, modules: Mapping[str, nn.Module]) -> Iterator[str]:
    prefix = f"{block}." if block else ""
    for path in modules:
        if path.startswith(prefix) and path != block and path != store.path and not path.startswith(f"{store.path}."):
            yield path


def _routes(path: str, block: str, store: Store, modules: Mapping[str, nn.Module]) -> bool:
    """Whether a module maps a token to one number for each expert (and for as many experts that do nothing)."""
    module = modules[path]
    weight = module._parameters.get("weight")
    if weight is None or weight.ndim != 2 or isinstance(module, nn.Embedding):
        return False
    outputs, inputs = weight.shape
    selects = any(_selects(modules[part]) for part in _chain(path, block))
    if outputs == store.count:
        return inputs in store.widths or selects
    return store.count < outputs <= 2 * store.count and inputs in store.widths and selects


def _chosen(path: str, block: str, modules: Mapping[str, nn.Module]) -> bool:
    """Whether some module from the block down to ``path`` picks the largest of what it computes."""
    chain = _chain(path, block)
    return _selects(modules[block]) or any(inherited_calls(type(modules[part])) & {"topk", "argmax"} for part in chain)


def _chain(path: str, block: str) -> list[str]:
    """``path`` and the modules between it and ``block``."""
    chain = [path]
    while chain[-1].rpartition(".")[0] not in (block, ""):
        chain.append(chain[-1].rpartition(".")[0])
    return chain


def _selects(module: nn.Module) -> bool:
    return "topk" in inherited_calls(type(module))


def _likeness(path: str, block: str, modules: Mapping[str, nn.Module]) -> tuple[bool, bool, int]:
    """How much a candidate is a router: it (or what holds it, below the block) picks the largest; it stands near."""
    selects = any(_selects(modules[part]) for part in _chain(path, block))
    bare = not isinstance(modules[path], nn.Linear)
    return selects, bare, -path.count(".")


def _gates(block: str, store: Store, modules: Mapping[str, nn.Module]) -> Iterator[str]:
    """Linears of a block with a single output: they weigh the shared expert."""
    for path in _outside(block, store, modules):
        module = modules[path]
        if isinstance(module, nn.Linear) and module.out_features == 1:
            yield path


def _expert_numbers(config: Any) -> frozenset[int]:
    """Every number that a config states of experts."""
    numbers: set[int] = set()
    parts = [config] if config is not None else []
    while parts:
        part = parts.pop()
        for name, value in vars(part).items():
            if hasattr(value, "sub_configs") and value is not part:
                parts.append(value)
            elif isinstance(value, int) and value > 1 and "expert" in name:
                numbers.add(value)
    return frozenset(numbers)
