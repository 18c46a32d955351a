"""Which sites a recipe is to adapt, and why the others are not."""

from __future__ import annotations

from archlint.core.blueprint import Blueprint, Kind, Site, Trait, is_projection, matrix_size


def wanted_modules(blueprint: Blueprint) -> list[Site]:
    """The modules of the scope that PEFT adapts as modules, and whose forward is really called with their weight."""
    return [site for site in blueprint.projections if not site.is_parameter and reason_against(blueprint, site) is None]


def wanted_parameters(blueprint: Blueprint) -> list[Site]:
    """The bare parameters of the scope that PEFT adapts through ``target_parameters``: fused experts."""
    return [site for site in blueprint.projections if site.is_parameter and reason_against(blueprint, site) is None]


def candidates(blueprint: Blueprint) -> list[Site]:
    """All of the scope that somebody might expect to be adapted: projections, and layers that choose or weigh."""
    return [
        site
        for site in blueprint.sites
        if blueprint.scope.covers(site.role)
        and (is_projection(site) or site.kind in (Kind.ROUTER, Kind.GATE))
        and matrix_size(site)
    ]


def reason_against(blueprint: Blueprint, site: Site) -> str | None:
    """What speaks against adapting ``site`` before anything is tried."""
    if site.kind is Kind.ROUTER:
        return "it chooses the experts"
    if site.kind is Kind.GATE:
        return "it weighs the shared expert"
    if site.is_parameter:
        # PEFT takes matrices and stacks of matrices, below the top module
        takes = site.parent and len(site.weights[0].shape) in (2, 3)
        return None if takes else "PEFT takes no parameter of this place or shape"
    if Trait.SUPPORTED not in site.traits:
        return f"PEFT has no LoRA layer for {site.type.name}"
    if Trait.BUILT_IN_ADAPTER in site.traits:
        return "it is an adapter itself"
    if _is_inside_attention(blueprint, site):
        return "its attention is adapted as a whole"
    if Trait.BYPASSED in site.traits:
        return "its weight is read and the layer never called: an adapter would get no gradient"
    if site.kind is Kind.LINEAR_SUBCLASS and Trait.LINEAR_SHAPED not in site.traits:
        what = "returns a tuple" if Trait.RETURNS_TUPLE in site.traits else "is no plain product"
        return f"its forward {what}: LoRA cannot add to that"
    return None


def _is_inside_attention(blueprint: Blueprint, site: Site) -> bool:
    path = site.parent
    while path:
        around = blueprint.by_path.get(path)
        if around is not None and around.kind is Kind.ATTENTION:
            return True
        path = path.rpartition(".")[0]
    return False
