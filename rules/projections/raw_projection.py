"""ARC104: a matrix that the model multiplies with is a bare parameter, out of reach for ``target_modules``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint, Kind, Site
from archlint.core.finding import Finding, Severity
from archlint.core.rule import Example, Rule, by_class, listed
from archlint.core.suffixes import suffixes


class RawProjection(Rule):
    """A module multiplies with an `nn.Parameter` of its own instead of calling a linear layer.

    ## What it does
    Looks for bare parameters of two or three dimensions that the code of their module uses in a matrix product.
    Fused experts and routers have rules of their own.

    ## Why it matters
    Names in `target_modules` mean modules: no plan made of them, `all-linear` included, adapts such a matrix.

    ## What to do
    Leave it frozen, or adapt it by name with `target_parameters`, which takes no dropout, no DoRA and no bias,
    and reaches no parameter of the top module.
    """

    code = "ARC104"
    name = "raw-projection"
    severity = Severity.INFO
    why = "Names in target_modules mean modules: no such plan, all-linear included, adapts a bare parameter."
    fires = (
        Example(
            "toy:projections.RawMatrix",
            at="mixer.mix",
            severity=Severity.INFO,
            says="Mixer multiplies with bare parameters, mix: within reach of target_parameters only, as mix",
        ),
        Example("toy:projections.TopMatrix", at="projection", severity=Severity.INFO),
    )
    silent = (Example("toy:projections.Dense"), Example("toy:experts.TopKMoe"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for sites in by_class(blueprint.select(Kind.RAW_PROJECTION)):
            names = listed(site.leaf for site in sites)
            yield self.finding(
                f"{sites[0].type.name} multiplies with bare parameters, {names}: {_reach(blueprint, sites)}",
                sites=sites,
            )


def _reach(blueprint: Blueprint, sites: Sequence[Site]) -> str:
    paths = [site.path for site in sites if site.parent]
    if not paths:
        return "PEFT adapts no parameter of the top module"
    others = [name for site in blueprint.sites for name in site.parameters if name not in set(paths)]
    found = suffixes(paths, others) or paths
    return f"within reach of target_parameters only, as {listed(found)}"
