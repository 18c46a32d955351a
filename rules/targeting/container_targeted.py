"""ARC511: a name or pattern of a plan reaches modules that only hold others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archlint.core.blueprint import Blueprint, Site, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause, is_adaptable
from archlint.core.rule import Example, Rule, quote
from archlint.core.suffixes import reached_by, suffixes
from archlint.core.trial import Trial


class ContainerTargeted(Rule):
    """A target reaches a layer, a block or an activation: a module without weights of its own.

    ## What it does
    Looks for plans that PEFT refused at a module which has no weights itself: a whole decoder layer, which a
    digit in the list or an open-ended regular expression reaches, or `self_attn`.

    ## Why it matters
    PEFT adapts single layers. It does not go into a container to adapt what is inside: it raises.

    ## What to do
    Name the linear layers inside. A regular expression must end where their names end: `.*` at its end also
    matches everything above them.
    """

    code = "ARC511"
    name = "container-targeted"
    severity = Severity.ERROR
    why = "PEFT adapts single layers and raises at a module that only holds others."
    fires = (
        Example(
            "toy:targeting.Hybrid",
            plan={"target_modules": ["self_attn"]},
            at="layers.3.self_attn",
            severity=Severity.ERROR,
            says="self_attn reaches Attention: no layer with a weight of its own",
            fix=Remedy("target_modules", "name the layers inside", ["q_proj", "k_proj", "v_proj", "o_proj"]),
        ),
        Example(
            "toy:targeting.Hybrid", plan={"target_modules": ["0", "2"]}, at="layers.{0,2}", severity=Severity.ERROR
        ),
        Example("toy:targeting.Hybrid", plan={"target_modules": r"layers\.\d+\..*"}, severity=Severity.ERROR),
    )
    silent = (
        Example("toy:targeting.Hybrid", plan={"target_modules": ["q_proj", "in_proj"]}),
        Example("toy:targeting.Hybrid", plan={"target_modules": r"layers\.\d+\..*_proj"}),
        Example("toy:targeting.Hybrid"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            if cause(blueprint, trial) is not Cause.CONTAINER:
                continue
            reached = [blueprint.by_path[path] for path in trial.reached]
            sites = [site for site in reached if Trait.SUPPORTED not in site.traits and not site.weights]
            classes = list(dict.fromkeys(site.type.name for site in sites))
            names = f"{', '.join(classes[:3])}{' and others' if len(classes) > 3 else ''}"
            values = list(_values(trial, sites))
            said = f"{'what PEFT makes of all-linear, ' if trial.plan.says_all else ''}{', '.join(values)}"
            yield self.finding(
                f"{said} {'reach' if len(values) > 1 else 'reaches'} {names}: no layer with a weight of its own",
                sites=sites,
                evidence=Evidence.INJECTED,
                remedies=list(_remedies(blueprint, trial, values, sites)),
                proof=[quote(trial)],
            )


def _values(trial: Trial, sites: Sequence[Site]) -> Iterator[str]:
    """The values of the plan that reach ``sites``, or the names that PEFT made of ``all-linear``."""
    paths = {site.path for site in sites}
    for entry in trial.entries:
        if entry.setting == "target_modules" and not paths.isdisjoint(entry.reaches):
            yield entry.value
    if trial.plan.says_all:
        yield from (name for name in trial.rewritten.get("target_modules", ()) if reached_by(name, paths))


def _remedies(blueprint: Blueprint, trial: Trial, values: Sequence[str], sites: Sequence[Site]) -> Iterator[Remedy]:
    given = trial.plan.lora.get("target_modules")
    inner = _meant(blueprint, trial, sites)
    others = {site.path for site in blueprint.sites if not site.is_parameter}.difference(inner)
    names = suffixes(inner, others) if inner else None
    if names is not None:
        kept = [] if isinstance(given, str) else [name for name in given or () if name not in values]
        targets = [*kept, *(name for name in names if name not in kept)]
        plan = {**trial.plan.lora, "target_modules": targets}
        yield Remedy("target_modules", "name the layers inside", targets, plan=plan)
    yield Remedy("target_modules", "or name all that the scope has: the recipe below", by_recipe=True)


def _meant(blueprint: Blueprint, trial: Trial, sites: Sequence[Site]) -> list[str]:
    """The layers that the same values reach besides, or else those inside of what they reach."""
    containers = {site.path for site in sites}
    entries = [entry for entry in trial.entries if entry.setting == "target_modules"]
    values = [entry for entry in entries if not containers.isdisjoint(entry.reaches)]
    reached = [path for entry in values for path in entry.reaches if is_adaptable(blueprint, path)]
    above = tuple(f"{site.path}." for site in sites)
    inside = (site.path for site in blueprint.projections if site.path.startswith(above))
    return reached or [path for path in inside if is_adaptable(blueprint, path)]
