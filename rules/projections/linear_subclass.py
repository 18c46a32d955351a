"""ARC102: a layer is an ``nn.Linear`` by type, but computes in a forward of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.amending import without
from archlint.core.blueprint import Blueprint, Kind, Site, Trait
from archlint.core.finding import Evidence, Finding, Severity
from archlint.core.rule import Example, Rule, by_class, quote


class LinearSubclass(Rule):
    """A subclass of `nn.Linear` overrides `forward`, and LoRA knows nothing of what it does there.

    ## What it does
    Looks for subclasses of `nn.Linear` with a forward of their own, and asks each on the meta device whether it
    still maps `(…, in_features)` to `(…, out_features)`.

    ## Why it matters
    PEFT accepts such a layer by its type. LoRA then computes `layer(x) + B(A(x))`: what the layer does to its
    input or output beyond a multiplication, such as scaling, quantizing or splitting into groups, holds for the
    first summand only. Where the layer takes or gives another shape, the sum fails in the first forward pass.

    ## What to do
    Read the class before adapting it. Leave layers of another shape out of the plan, as the recipe does.
    """

    code = "ARC102"
    name = "linear-subclass"
    severity = Severity.ERROR
    why = "LoRA adds B(A(x)) to what the layer's own forward gives, which need not be a plain x·W."
    fires = (
        Example("toy:projections.Scaled", at="layers.{0,1}.o_proj", severity=Severity.INFO),
        Example(
            "toy:projections.Grouped",
            plan={"target_modules": "all-linear"},
            severity=Severity.INFO,
            says="GroupedLinear is an nn.Linear that does not map its in_features to its out_features",
        ),
        Example("toy:projections.Grouped", plan={"target_modules": ["q_proj"]}, severity=Severity.INFO),
    )
    silent = (Example("toy:projections.Dense"),)

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for sites in by_class(blueprint.select(Kind.LINEAR_SUBCLASS)):
            odd = frozenset(site.path for site in sites if Trait.LINEAR_SHAPED not in site.traits)
            # what was run says itself where it crashes (ARC508), and ARC303 says it of what returns a tuple
            untold = odd.difference(site.path for site in sites if Trait.RETURNS_TUPLE in site.traits)
            broken = [
                t
                for t in blueprint.trials
                if t.forward == "unavailable" and not t.not_run and untold.intersection(t.adapted)
            ]
            if broken:
                yield self.finding(
                    _message(sites, odd) + ": an adapter on it crashes the first forward pass",
                    sites=sites,
                    evidence=Evidence.INJECTED,
                    remedies=without(broken, odd, f"leave {sites[0].type.name} out"),
                    proof=[quote(trial) for trial in broken],
                )
            else:
                yield self.finding(_message(sites, odd), sites=sites, severity=Severity.INFO)


def _message(sites: Sequence[Site], odd: frozenset[str]) -> str:
    name = sites[0].type.name
    if not odd:
        return f"{name} is an nn.Linear with a forward of its own"
    if Trait.RETURNS_TUPLE in sites[0].traits:
        return f"{name} is an nn.Linear that returns a tuple"
    return f"{name} is an nn.Linear that does not map its in_features to its out_features"
