"""ARC601: a plan adapts towers or connectors that the scope does not train."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.regions import excluding, roots
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial


class TowerTargeted(Rule):
    """A plan puts adapters into a vision or audio tower, or into a connector, beside what is to be trained.

    ## What it does
    Counts the adapted sites whose role is no part of the scope: with the scope `text`, everything in the towers
    and in the connectors between them and the text. Names such as `q_proj` and `fc1` are the towers' names too,
    and `all-linear` knows no towers at all.

    ## Why it matters
    Nothing is raised. Memory and time go into adapters that no text batch trains: without images or audio in
    the batch they get no gradient, and distributed training may wait for one. With images the tower is changed
    by accident. A class that cannot run without its tower (a speech recogniser, a contrastive model) trains it
    at every step: there it is an info.

    ## What to do
    Leave the towers out with a regular expression in `exclude_modules`; a list of their names excludes nothing,
    as lists match the end of a path. Or, if the towers are to be trained, say so: `--scope all`.
    """

    code = "ARC601"
    name = "tower-targeted"
    severity = Severity.WARNING
    why = "Adapters in a tower cost memory and time, and a batch without images or audio gives them no gradient."
    fires = (
        Example(
            "toy:towers.Captioner",
            at="connector",
            severity=Severity.WARNING,
            says="all-linear adapts 11 modules outside the scope text (vision, connector)",
            fix=Remedy(
                "exclude_modules",
                "leave them out by a regular expression (a list of their names would exclude nothing)",
                ".*(vision|connector).*",
            ),
        ),
        Example(
            "toy:towers.Captioner",
            plan={"target_modules": ["fc1", "q_proj"]},
            at="vision.layers.{0,1}.{q_proj,fc1}",
            severity=Severity.WARNING,
        ),
        Example("toy:towers.Contrastive", severity=Severity.INFO),
    )
    silent = (
        Example(
            "toy:towers.Captioner", plan={"target_modules": "all-linear", "exclude_modules": ".*(vision|connector).*"}
        ),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        hits = [trial for trial in blueprint.trials if trial.outside]
        if not hits:
            return
        sites = list(dict.fromkeys(site for trial in hits for site in blueprint.outside(trial.adapted)))
        parts = ", ".join(part.rpartition(".")[2] for part in roots(blueprint, sites))
        worst = max(hits, key=lambda trial: trial.outside)
        who = "the plan" if worst is blueprint.plan else worst.plan.name
        rest = "" if worst.coverage else f", and nothing of the {blueprint.scope.value}"
        severity = Severity.WARNING if _can_idle(blueprint) else Severity.INFO
        yield self.finding(
            f"{who} adapts {worst.outside} modules outside the scope {blueprint.scope.value} ({parts}){rest}",
            sites=sites,
            severity=severity,
            evidence=Evidence.INJECTED,
            remedies=_remedies(blueprint, worst) if severity is Severity.WARNING else [],
            proof=[f"{quote(trial)}, {trial.outside} outside the scope" for trial in hits],
        )


def _can_idle(blueprint: Blueprint) -> bool:
    """Whether the class trains on text alone: it generates text, and tokens are the input it asks for."""
    return blueprint.facts.is_generative and blueprint.facts.main_input == "input_ids"


def _remedies(blueprint: Blueprint, trial: Trial) -> Sequence[Remedy]:
    recipe = Remedy("exclude_modules", "train nothing outside the scope: the recipe below", by_recipe=True)
    whole = Remedy("setting", "or, if they are to be trained, say so: --scope all")
    if not trial.coverage:
        return [recipe, whole]
    lora = trial.plan.lora
    pattern = excluding(blueprint, roots(blueprint, blueprint.outside(trial.adapted)), lora.get("exclude_modules"))
    text = "leave them out by a regular expression (a list of their names would exclude nothing)"
    leave_out = Remedy("exclude_modules", text, pattern, plan={**lora, "exclude_modules": pattern})
    return [leave_out, recipe, whole]
