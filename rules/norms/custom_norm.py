"""ARC201: norms are of a class of the model's own, which no library knows by its type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint, Kind, Site, Trait
from archlint.core.finding import Finding, Severity
from archlint.core.rule import Example, Rule, by_class, listed


class CustomNorm(Rule):
    """The model brings a norm class of its own instead of one of torch's.

    ## What it does
    Looks for modules that divide by a norm or a deviation and are no norm of `torch.nn`, and says for each class
    how they fare in fine-tuning: with LoRA, with `modules_to_save`, and with the Trainer's weight decay.

    ## Why it matters
    LoRA never adapts a norm: it stays frozen, and a target name that reaches it raises (ARC203). Training it in
    full goes by name: `modules_to_save` takes every module whose path ends in the given text, without asking for
    a dot, so `norm` means `input_layernorm` too. The Trainer keeps weight decay off a norm by the type
    `nn.LayerNorm` or by patterns of names, and a class of its own is protected by its name only (ARC202).

    ## What to do
    Nothing for LoRA. To train the norms along, use `modules_to_save` with the names that the finding gives.
    """

    code = "ARC201"
    name = "custom-norm"
    severity = Severity.INFO
    why = "LoRA leaves norms frozen; modules_to_save and the Trainer's weight decay know these by their names only."
    fires = (
        Example(
            "toy:norms.CustomNorms",
            at="layers.{0,1}.input_layernorm",
            severity=Severity.INFO,
            says="OwnNorm: left frozen by LoRA; modules_to_save takes input_layernorm; none is decayed by the Trainer",
        ),
        Example("toy:norms.DecayedNorm", at="norm_f", severity=Severity.INFO),
    )
    silent = (Example("toy:norms.LibraryNorms"), Example("toy:projections.Dense"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        custom = blueprint.select(Kind.NORM, where=lambda site: Trait.LIBRARY_NORM not in site.traits)
        for sites in by_class(custom):
            yield self.finding(_message(blueprint, sites), sites=sites)


def _message(blueprint: Blueprint, sites: Sequence[Site]) -> str:
    name = sites[0].type.name
    weighted = [site for site in sites if site.weights]
    if not weighted:
        return f"{name}: no class of torch, and without weights: there is nothing to train in it"
    names = listed(site.name for site in weighted)
    parameters = {parameter for site in weighted for parameter in site.parameters}
    decayed = len(parameters.intersection(blueprint.facts.decayed_norms))
    decay = "none is decayed by the Trainer" if not decayed else f"the Trainer decays {decayed} of {len(parameters)}"
    return f"{name}: left frozen by LoRA; modules_to_save takes {names}; {decay}"
