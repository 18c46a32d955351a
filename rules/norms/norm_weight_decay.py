"""ARC202: the Trainer applies weight decay to norms, or to vectors that act like them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Finding, Severity
from archlint.core.rule import Example, Rule, listed


class NormWeightDecay(Rule):
    """Weights that are better not decayed escape the Trainer's rule for leaving them out.

    ## What it does
    Asks transformers' Trainer which parameters it would decay, and reports the norms among them, and the other
    vectors: gains, decay rates of state-space layers, attention sinks.

    ## Why it matters
    The Trainer leaves out `nn.LayerNorm` by type, and else what has `bias`, `layernorm`, `rmsnorm`, `norm` or
    `…_norm` as part of its name. A norm of another class called `norm1` or `ln_q` is decayed with the matrices:
    its weight is pulled to zero, though it scales and does not project. It concerns full training, and what
    `modules_to_save` trains, with a `weight_decay` above the default of 0. LoRA alone is not concerned.

    ## What to do
    Leave `weight_decay` at 0, or give the optimizer parameter groups of your own by overriding the Trainer's
    `get_decay_parameter_names`.
    """

    code = "ARC202"
    name = "norm-weight-decay"
    severity = Severity.INFO
    why = "In full training, or through modules_to_save, a weight_decay above 0 pulls these weights to zero."
    fires = (
        Example("toy:norms.DecayedNorm", at="norm_f", severity=Severity.INFO),
        Example("toy:norms.DecayedVector", severity=Severity.INFO),
    )
    silent = (Example("toy:norms.CustomNorms"), Example("toy:norms.LibraryNorms"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        if norms := _owners(blueprint, blueprint.facts.decayed_norms):
            yield self.finding(f"the Trainer would decay norms: {listed(site.name for site in norms)}", sites=norms)
        if vectors := blueprint.facts.decayed_vectors:
            names = listed(name.rpartition(".")[2] for name in vectors)
            yield self.finding(
                f"the Trainer would decay vectors that are no norm: {names}", sites=_owners(blueprint, vectors)
            )


def _owners(blueprint: Blueprint, parameters: Sequence[str]) -> list[Site]:
    """The modules below the top one that hold ``parameters``."""
    owners = {name.rpartition(".")[0] for name in parameters} - {""}
    return [site for site in blueprint.sites if site.path in owners and not site.is_parameter]
