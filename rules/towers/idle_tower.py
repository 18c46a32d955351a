"""ARC602: towers and connectors that a plan trains, and that a batch of what is to be trained gives no gradient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archlint.core.amending import unsaved
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.regions import excluding, roots
from archlint.core.rule import Example, Rule
from archlint.core.runs import batch_of, quote_run
from archlint.core.trial import Trial


class IdleTower(Rule):
    """A plan trains a tower or a connector, and the training step of the scope leaves it idle.

    ## What it does
    Runs the adapted model on a batch that holds what the scope trains, such as text alone, and counts the
    adapters in towers and connectors that got no gradient; shown are the parts that hold them. That they are
    adapted at all is ARC601, which lists them. Parts that `modules_to_save` trains in full are told by themselves.

    ## Why it matters
    A single process trains on and says nothing. Distributed data parallel raises at the second step (`Expected to
    have finished reduction in the prior iteration`) unless `find_unused_parameters=True`, which costs a search
    at each step; where some batches hold images and others do not, it depends on the batch which step fails.

    ## What to do
    Leave the towers out with a regular expression in `exclude_modules`, or out of `modules_to_save`. If they are to
    be trained, see that each batch holds an image or a sound, and say so: `--scope all`.
    """

    code = "ARC602"
    name = "idle-tower"
    severity = Severity.WARNING
    why = "Distributed training raises at parameters that get no gradient, and elsewhere they cost memory for nothing."
    fires = (
        Example(
            "toy:towers.Captioner",
            at="connector",
            severity=Severity.WARNING,
            says="11 adapters of all-linear get no gradient on a batch of input_ids (vision, connector)",
            fix=Remedy("exclude_modules", "leave the towers and connectors out", ".*(vision|connector).*"),
        ),
        Example("toy:towers.Captioner", plan={"target_modules": ["fc1", "q_proj"]}),
        Example(
            "toy:towers.Captioner",
            plan={"target_modules": r"text.*q_proj", "modules_to_save": ["connector"]},
            at="connector",
            severity=Severity.WARNING,
        ),
    )
    silent = (
        Example(
            "toy:towers.Captioner", plan={"target_modules": "all-linear", "exclude_modules": ".*(vision|connector).*"}
        ),
        Example("toy:running.CrossAttended"),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            yield from self._saved(blueprint, trial)
        hits = [trial for trial in blueprint.trials if _idle(blueprint, trial)]
        if not hits:
            return
        dead = list(dict.fromkeys(site for trial in hits for site in _idle(blueprint, trial)))
        parts = [blueprint.by_path[path] for path in roots(blueprint, dead)]
        worst = max(hits, key=lambda trial: len(_idle(blueprint, trial)))
        who = "the plan" if worst is blueprint.plan else worst.plan.name
        yield self.finding(
            f"{len(_idle(blueprint, worst))} adapters of {who} get no gradient on "
            f"{batch_of(blueprint.baseline.inputs)} ({', '.join(part.leaf for part in parts)})",
            sites=parts,
            evidence=Evidence.FORWARDED,
            remedies=[_remedy(blueprint, worst)],
            proof=[quote_run(trial) for trial in hits],
        )

    def _saved(self, blueprint: Blueprint, trial: Trial) -> Iterator[Finding]:
        dead = blueprint.outside(trial.saved_dead)
        if dead:
            names = ", ".join(site.leaf for site in dead)
            batch = batch_of(blueprint.baseline.inputs)
            recipe = Remedy("modules_to_save", "train nothing outside the scope: the recipe below", by_recipe=True)
            yield self.finding(
                f"the plan trains {names} in full, and on {batch} they get no gradient",
                sites=dead,
                evidence=Evidence.FORWARDED,
                remedies=unsaved(trial, [site.path for site in dead], f"leave {names} out") or [recipe],
                proof=[quote_run(trial)],
                settings=["modules_to_save"],
            )


def _idle(blueprint: Blueprint, trial: Trial) -> Sequence[Site]:
    return blueprint.outside(trial.dead)


def _remedy(blueprint: Blueprint, trial: Trial) -> Remedy:
    if not trial.coverage:  # without the towers nothing would be left
        return Remedy("exclude_modules", "train nothing outside the scope: the recipe below", by_recipe=True)
    lora = trial.plan.lora
    pattern = excluding(blueprint, roots(blueprint, blueprint.outside(trial.adapted)), lora.get("exclude_modules"))
    text = "leave the towers and connectors out"
    return Remedy("exclude_modules", text, pattern, plan={**lora, "exclude_modules": pattern})
