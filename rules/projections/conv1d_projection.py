"""ARC103: projections are ``Conv1D``, a linear layer whose weight is stored as (in, out)."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint, Kind
from archlint.core.finding import Evidence, Finding, Severity
from archlint.core.rule import Example, Rule, listed


class Conv1dProjection(Rule):
    """A projection is transformers' `Conv1D`, whose weight has its two dimensions the other way round.

    ## What it does
    Looks for `transformers.pytorch_utils.Conv1D`, which in spite of its name is a linear layer.

    ## Why it matters
    PEFT adapts it, by name and with `all-linear`. It needs `fan_in_fan_out=True`, which PEFT sets by itself with
    a warning. As that setting holds for the whole plan, it rules out `target_parameters` beside such layers.

    ## What to do
    Nothing, or set `fan_in_fan_out=True` to be rid of the warning. Name the layers, not their `weight`.
    """

    code = "ARC103"
    name = "conv1d-projection"
    severity = Severity.INFO
    why = "Its weight is stored as (in, out): PEFT adapts it, and sets fan_in_fan_out=True for the whole plan."
    fires = (
        Example(
            "toy:projections.Transposed",
            at="layers.{0,1}.c_{attn,proj}",
            severity=Severity.INFO,
            says="c_attn, c_proj: linear layers with the weight stored as (in, out), which PEFT adapts as they are",
        ),
    )
    silent = (Example("toy:projections.Dense"),)

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        sites = blueprint.select(Kind.CONV1D)
        if sites:
            adapted = {path for trial in blueprint.trials for path in trial.adapted}
            names = listed(site.leaf for site in sites)
            yield self.finding(
                f"{names}: linear layers with the weight stored as (in, out), which PEFT adapts as they are",
                sites=sites,
                evidence=Evidence.INJECTED if any(site.path in adapted for site in sites) else Evidence.STATIC,
            )
