"""Which sites a recipe is to adapt."""

from __future__ import annotations

from archlint.core.blueprint import Blueprint, Kind, Site, Trait


def wanted_modules(blueprint: Blueprint) -> list[Site]:
    """The modules of the scope that PEFT adapts as modules, and whose forward is really called with their weight."""
    inside_attention = tuple(f"{site.path}." for site in blueprint.select(Kind.ATTENTION))
    return [
        site
        for site in blueprint.projections
        if not site.is_parameter
        and Trait.SUPPORTED in site.traits
        and not site.traits & {Trait.BYPASSED, Trait.BUILT_IN_ADAPTER}
        and (site.kind is not Kind.LINEAR_SUBCLASS or Trait.LINEAR_SHAPED in site.traits)
        and not site.path.startswith(inside_attention or "\0")
    ]


def wanted_parameters(blueprint: Blueprint) -> list[Site]:
    """The bare parameters of the scope that PEFT adapts through ``target_parameters``: fused experts.

    PEFT takes matrices and stacks of matrices, below the top module.
    """
    return [
        site
        for site in blueprint.projections
        if site.is_parameter and site.parent and len(site.weights[0].shape) in (2, 3)
    ]
