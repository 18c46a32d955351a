"""ARC202: the Trainer applies weight decay to norms, or to vectors that act like them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, listed
from archlint.core.trainers import argument
from archlint.core.training import Trainer


class NormWeightDecay(Rule):
    """Weights that are better not decayed escape the Trainer's rule for leaving them out.

    ## What it does
    Asks transformers' Trainer which parameters it would decay, and reports the norms among them, and the other
    vectors: gains, decay rates of state-space layers, attention sinks.

    ## Why it matters
    The Trainer leaves out `nn.LayerNorm` by type, and else what has `bias`, `layernorm`, `rmsnorm`, `norm` or
    `…_norm` as part of its name. A norm of another class called `norm1` or `ln_q` is decayed with the matrices:
    its weight is pulled to zero, though it scales and does not project. It concerns full training, and what
    `modules_to_save` trains, with a `weight_decay` above the default of 0: a warning where both are given. LoRA alone
    is not concerned.

    ## What to do
    Leave `weight_decay` at 0, or give the optimizer parameter groups of your own by overriding the Trainer's
    `get_decay_parameter_names`.
    """

    code = "ARC202"
    name = "norm-weight-decay"
    severity = Severity.WARNING
    why = "In full training, or through modules_to_save, a weight_decay above 0 pulls these weights to zero."
    fires = (
        Example("toy:norms.DecayedNorm", at="norm_f", severity=Severity.INFO),
        Example("toy:norms.DecayedVector", severity=Severity.INFO),
        Example(
            "toy:norms.DecayedNorm",
            plan={"target_modules": ["q_proj"], "modules_to_save": ["norm_f"]},
            at="norm_f",
            severity=Severity.WARNING,
            trainers=[Trainer.TRANSFORMERS],
            arguments={"weight_decay": 0.01},
            says="weight_decay=0.01 decays what modules_to_save trains: norm_f",
            fix=Remedy("setting", "weight_decay=0.0: decay nothing", {"weight_decay": 0.0}),
        ),
    )
    silent = (Example("toy:norms.CustomNorms"), Example("toy:norms.LibraryNorms"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        if norms := _owners(blueprint, blueprint.facts.decayed_norms):
            yield self._finding(blueprint, f"norms: {listed(site.name for site in norms)}", norms)
        if vectors := blueprint.facts.decayed_vectors:
            names = listed(name.rpartition(".")[2] for name in vectors)
            yield self._finding(blueprint, f"vectors that are no norm: {names}", _owners(blueprint, vectors))

    def _finding(self, blueprint: Blueprint, what: str, sites: Sequence[Site]) -> Finding:
        decay = blueprint.training.arguments.get("weight_decay")
        saved = [] if blueprint.plan is None else [site for site in sites if site.path in blueprint.plan.saved]
        if not decay or not saved:
            return self.finding(f"the Trainer would decay {what}", sites=sites, severity=Severity.INFO)
        assert blueprint.plan is not None  # whose modules these are
        kept = [name for name in blueprint.plan.plan.lora["modules_to_save"] if not _reaches(name, saved)]
        plan = {**blueprint.plan.plan.lora, "modules_to_save": kept or None}
        return self.finding(
            f"weight_decay={decay:g} decays what modules_to_save trains: {listed(site.name for site in saved)}",
            sites=saved,
            severity=Severity.WARNING,
            remedies=[
                argument("decay nothing", weight_decay=0.0),
                Remedy("modules_to_save", "or leave them frozen", value=kept, plan=plan),
            ],
            proof=[f"the Trainer's rule for weight decay, asked for their names → {listed(s.path for s in saved)}"],
            settings=["modules_to_save", "weight_decay"],
        )


def _reaches(name: str, sites: Sequence[Site]) -> bool:
    return any(f".{site.path}".endswith(f".{name}") for site in sites)


def _owners(blueprint: Blueprint, parameters: Sequence[str]) -> list[Site]:
    """The modules below the top one that hold ``parameters``."""
    owners = {name.rpartition(".")[0] for name in parameters} - {""}
    return [site for site in blueprint.sites if site.path in owners and not site.is_parameter]
