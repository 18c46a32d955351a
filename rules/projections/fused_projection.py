"""ARC105: one layer holds several projections, such as query, key and value, or gate and up."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint, Kind, Role, Trait
from archlint.core.finding import Finding, Severity
from archlint.core.rule import Example, Rule, listed


class FusedProjection(Rule):
    """The output of one layer is taken apart into several tensors by the module that calls it.

    ## What it does
    Looks for layers whose output the calling code splits: a fused query, key and value, a fused gate and up, the
    input projection of a state-space layer.

    ## Why it matters
    The names that most examples carry (`q_proj`, `k_proj`, `gate_proj`, …) do not exist beside a fused layer. An
    adapter on it has one low-rank input side for all its parts, and they cannot be adapted one without another.

    ## What to do
    Name the fused layer. A larger rank makes up for the shared input side.
    """

    code = "ARC105"
    name = "fused-projection"
    severity = Severity.INFO
    why = "The parts have no names of their own: they are adapted together, by the name of the fused layer."
    fires = (
        Example(
            "toy:projections.Fused",
            at="layers.{0,1}.qkv_proj",
            severity=Severity.INFO,
            says="qkv_proj: the output is taken apart, several projections in one layer",
        ),
        Example("toy:projections.Transposed", at="layers.{0,1}.c_attn", severity=Severity.INFO),
    )
    silent = (Example("toy:projections.Dense"),)

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        sites = blueprint.select(
            Kind.LINEAR,
            Kind.LINEAR_SUBCLASS,
            Kind.CONV1D,
            trait=Trait.FUSED,
            where=lambda site: site.role is not Role.HEAD,  # a head's output is taken apart for the loss
        )
        if sites:
            names = listed(site.leaf for site in sites)
            yield self.finding(f"{names}: the output is taken apart, several projections in one layer", sites=sites)
