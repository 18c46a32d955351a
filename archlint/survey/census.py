"""The census: every module and every bare matrix of a skeleton becomes a site."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from archlint.core.blueprint import (
    Blueprint,
    Kind,
    ModelInfo,
    Role,
    Scope,
    Site,
    Trait,
    TypeInfo,
    Weight,
    is_projection,
)
from archlint.skeleton import Skeleton
from archlint.survey.experts import Experts, find_experts
from archlint.survey.facts import gather
from archlint.survey.kinds import Verdict, classify
from archlint.survey.roles import Roles, longest_stacks, output_embeddings
from archlint.survey.source_code import bypassed_children, class_code, shown_path

_WHOLE = (Kind.LINEAR, Kind.LINEAR_SUBCLASS, Kind.CONV1D, Kind.EMBEDDING, Kind.CONV, Kind.ATTENTION, Kind.NORM)
"""Kinds that own their matrices; anything else that holds a matrix gives a site for it."""

_LINEARS = (Kind.LINEAR, Kind.LINEAR_SUBCLASS, Kind.CONV1D)


def survey(skeleton: Skeleton, info: ModelInfo, scope: Scope | None = None) -> Blueprint:
    """Everything that is to be known of a skeleton.

    Args:
        info: what is known of the model beforehand; counts and layers are filled in here.
        scope: what is to be trained; ``None`` is the text where there is any, else the first tower there is.
    """
    model = skeleton.model
    census = _Census(model)
    sites = tuple(census.sites())
    return Blueprint(
        model=ModelInfo(
            id=info.id,
            origin=info.origin,
            class_name=type(model).__name__,
            model_type=str(getattr(getattr(model, "config", None), "model_type", "")),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            modules=sum(1 for _ in model.modules()),
            revision=info.revision,
            family=info.family,
            layers=longest_stacks(model, census.roles),
        ),
        sites=sites,
        scope=_default_scope(sites) if scope is None else scope,
        facts=gather(skeleton, sites),
    )


def _default_scope(sites: tuple[Site, ...]) -> Scope:
    present = {site.role for site in sites if is_projection(site)}
    for role, scope in ((Role.TEXT, Scope.TEXT), (Role.VISION, Scope.VISION), (Role.AUDIO, Scope.AUDIO)):
        if role in present:
            return scope
    return Scope.ALL


class _Census:
    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.roles = Roles(model)
        self._experts: Experts = find_experts(model)
        self._heads = {id(head) for module in model.modules() if (head := output_embeddings(module)) is not None}
        self._first_path: dict[int, str] = {}
        self._types: dict[type, TypeInfo] = {}
        self._bypassed = {
            f"{path}.{child}" if path else child
            for path, module in model.named_modules()
            for child in _bypassed(module)
        }
        self._fused = {
            f"{path}.{child}" if path else child
            for path, module in model.named_modules()
            for child in class_code(type(module)).split_children
        }

    def sites(self) -> Iterator[Site]:
        for path, module in self.model.named_modules():
            yield from self._module(path, module)

    def _module(self, path: str, module: nn.Module) -> Iterator[Site]:
        verdict = classify(module)
        kind = self._kind(path, module, verdict)
        role = self._role(path, kind, verdict)
        whole = verdict.kind in _WHOLE
        bare = [] if whole else [name for name, own in module.named_parameters(recurse=False) if own.ndim >= 2]
        weights = tuple(
            self._weight(path, name, parameter)
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
            if name not in bare
        )
        yield Site(
            path=path,
            type=self._type(type(module)),
            kind=kind,
            role=role,
            weights=weights,
            in_features=_width(module, "in_features") if whole else None,
            out_features=_width(module, "out_features") if whole else None,
            inner=f"{path}.{verdict.inner}" if verdict.inner else None,
            traits=verdict.traits | self._surroundings(path) | self._fusion(path, verdict),
        )
        for name in bare:
            parameter = module.get_parameter(name)
            yield Site(
                path=f"{path}.{name}" if path else name,
                type=self._type(type(module)),
                kind=self._matrix_kind(path, module, name, parameter),
                role=role,
                weights=(self._weight(path, name, parameter),),
                is_parameter=True,
                traits=self._surroundings(path),
            )

    def _kind(self, path: str, module: nn.Module, verdict: Verdict) -> Kind:
        if path in self._experts.routers:
            return Kind.ROUTER
        if path in self._experts.gates:
            return Kind.GATE
        if path in self._experts.stores and self._experts.stores[path].fused:
            return Kind.FUSED_EXPERTS
        if id(module) in self._heads:
            return Kind.HEAD
        return verdict.kind

    def _matrix_kind(self, path: str, module: nn.Module, name: str, parameter: nn.Parameter) -> Kind:
        if path in self._experts.routers:
            return Kind.ROUTER
        store = self._experts.stores.get(path)
        if store is not None and name in store.fused:
            return Kind.FUSED_EXPERTS
        own = (base for base in type(module).__mro__ if base not in (nn.Module, object))  # which multiply with nothing
        multiplies = any(name in class_code(base).matrices for base in own)
        if parameter.ndim in (2, 3) and min(parameter.shape) > 1 and multiplies:
            return Kind.RAW_PROJECTION
        return Kind.OTHER

    def _role(self, path: str, kind: Kind, verdict: Verdict) -> Role:
        role = self.roles.of(path)
        if kind is Kind.HEAD:
            return Role.HEAD
        return Role.EMBEDDING if verdict.kind is Kind.EMBEDDING and role is Role.TEXT else role

    def _surroundings(self, path: str) -> frozenset[str]:
        traits = set()
        if path in self._experts.blocks:
            traits.add(Trait.MOE_BLOCK)
        if self._experts.inside_expert(path):
            traits.add(Trait.EXPERT)
        if path in self._bypassed:
            traits.add(Trait.BYPASSED)
        if any(part.lower().startswith("lora_") for part in path.split(".")):
            traits.add(Trait.BUILT_IN_ADAPTER)
        return frozenset(traits)

    def _fusion(self, path: str, verdict: Verdict) -> frozenset[str]:
        """Whether what a projection gives is taken apart by its parent, as a fused q, k and v is."""
        projects = verdict.kind in _LINEARS
        return frozenset({Trait.FUSED}) if projects and path in self._fused else frozenset()

    def _weight(self, path: str, name: str, parameter: nn.Parameter) -> Weight:
        full = f"{path}.{name}" if path else name
        first = self._first_path.setdefault(id(parameter), full)
        dtype = str(parameter.dtype).removeprefix("torch.")
        return Weight(name, tuple(parameter.shape), dtype, None if first == full else first)

    def _type(self, cls: type) -> TypeInfo:
        if cls not in self._types:
            code = class_code(cls)
            bases = tuple(base.__name__ for base in cls.__mro__[1:] if base not in (nn.Module, object, torch.nn.Module))
            file = shown_path(code.file) if code.file else None
            self._types[cls] = TypeInfo(cls.__name__, cls.__module__, bases, file, code.line)
        return self._types[cls]


def _bypassed(module: nn.Module) -> frozenset[str]:
    """Names of the linear layers in ``module`` whose weight it reads without ever calling them."""
    if type(module).forward is nn.MultiheadAttention.forward:
        return frozenset({"out_proj"})
    names = bypassed_children(type(module))
    return frozenset(
        name for name, child in module.named_children() if name in names and classify(child).kind in _LINEARS
    )


def _width(module: nn.Module, name: str) -> int | None:
    """A number of features; some classes leave it as a tensor."""
    value = getattr(module, name, None)
    return None if value is None else int(value)
