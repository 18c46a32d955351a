"""ARC106: ``nn.MultiheadAttention`` reads the weight of its ``out_proj`` and never calls it."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.amending import without
from archlint.core.blueprint import Blueprint, Kind, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, quote


class MultiheadAttention(Rule):
    """`nn.MultiheadAttention` has an `out_proj` that looks like a linear layer, but whose forward never runs.

    ## What it does
    Looks for `nn.MultiheadAttention` and for plans that adapt its `out_proj` by itself.

    ## Why it matters
    torch passes `out_proj.weight` to a function. An adapter on the layer is created, saved and counted among the
    trainable parameters, but never takes part: it gets no gradient and changes nothing. `all-linear` makes this
    mistake, and so does every list with `out_proj` in it.

    ## What to do
    Leave `out_proj` out, or name the attention module instead: PEFT adapts its input and output projection as one.
    """

    code = "ARC106"
    name = "multihead-attention"
    severity = Severity.WARNING
    why = "Its out_proj is never called, only its weight is read: an adapter on it gets no gradient."
    fires = (
        Example(
            "toy:projections.Pooled",
            at="pool.out_proj",
            severity=Severity.WARNING,
            says="an adapter on out_proj of MultiheadAttention never takes part: only its weight is read",
            fix=Remedy("exclude_modules", "leave out_proj out", ["out_proj"]),
        ),
        Example("toy:projections.Pooled", plan={"target_modules": ["q_proj", "out_proj"]}, severity=Severity.WARNING),
        Example("toy:projections.Pooled", plan={"target_modules": ["pool"]}, at="pool", severity=Severity.INFO),
    )
    silent = (Example("toy:projections.Dense"),)

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        attention = blueprint.select(Kind.ATTENTION)
        if not attention:
            return
        inside = {site.path for site in attention}
        bypassed = blueprint.select(trait=Trait.BYPASSED, where=lambda site: site.parent in inside)
        paths = frozenset(site.path for site in bypassed)
        dead = [trial for trial in blueprint.trials if paths.intersection(trial.adapted)]
        if not dead:
            names = " or ".join(dict.fromkeys(site.leaf for site in attention))
            yield self.finding(
                f"PEFT adapts {attention[0].type.name} as a whole, by its name ({names}); out_proj is never called",
                sites=attention,
                severity=Severity.INFO,
            )
            return
        yield self.finding(
            f"an adapter on out_proj of {attention[0].type.name} never takes part: only its weight is read",
            sites=bypassed,
            evidence=Evidence.INJECTED,
            remedies=without(dead, paths, "leave out_proj out"),
            proof=[quote(trial) for trial in dead],
        )
