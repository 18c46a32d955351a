"""ARC517: a list of targets means the same as a shorter one."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, listed, quote
from archlint.core.suffixes import suffixes
from archlint.core.trial import Trial


class RoundaboutTargets(Rule):
    """A plan's list of targets says in many names what fewer say.

    ## What it does
    Looks for names in `target_modules` whose layers other names of the list reach as well, and for lists, such as
    one of full paths, whose layers fewer names single out.

    ## Why it matters
    The plan trains what it says. A long list hides what is missing from it, and does not fit the same model with
    more layers.

    ## What to do
    Take the shorter list; it adapts the same layers.
    """

    code = "ARC517"
    name = "roundabout-targets"
    severity = Severity.INFO
    why = "A list that says the same in fewer names shows better what it leaves out."
    fires = (
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj", "0.q_proj"]},
            says="2 names in target_modules mean the same as q_proj",
            fix=Remedy("target_modules", "say the same in fewer names", ["q_proj"]),
        ),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["layers.0.q_proj", "layers.1.q_proj"]},
        ),
    )
    silent = (
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj", "v_proj"]}),
        Example("toy:projections.Dense", plan={"target_modules": ["layers.0.q_proj"]}),
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj", "nowhere"]}),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        plan = blueprint.plan
        if plan is None or plan.raised is not None or plan.rewritten or plan.plan.means_all:
            return  # a tool that is asked for every linear layer writes out their names itself
        given = plan.plan.lora.get("target_modules")
        if not isinstance(given, list) or len(given) < 2 or not all(map(plan.reached_by_name, given)):
            return
        shorter = _needed(plan, given)
        if len(shorter) == len(given):
            shorter = _named_anew(blueprint, plan) or given
        if len(shorter) < len(given):
            yield self.finding(
                f"{len(given)} names in target_modules mean the same as {listed(shorter)}",
                sites=[blueprint.by_path[path] for path in plan.adapted],
                evidence=Evidence.INJECTED,
                remedies=[
                    Remedy(
                        "target_modules",
                        "say the same in fewer names",
                        shorter,
                        plan={**plan.plan.lora, "target_modules": shorter},
                    )
                ],
                proof=[quote(plan)],
                settings=["target_modules"],
            )


def _needed(plan: Trial, given: list[str]) -> list[str]:
    """``given`` without the names whose layers the others reach as well; of two that say the same the shorter stays."""
    kept = list(dict.fromkeys(given))
    for name in sorted(kept, key=len, reverse=True):
        others = {path for other in kept if other != name for path in plan.reached_by_name(other)}
        if others.issuperset(plan.reached_by_name(name)):
            kept.remove(name)
    return kept


def _named_anew(blueprint: Blueprint, plan: Trial) -> list[str] | None:
    """The fewest suffixes that mean the layers of the plan and no other."""
    wanted = plan.reached_through("target_modules")
    others = [site.path for site in blueprint.sites if site.path and not site.is_parameter and site.path not in wanted]
    return suffixes(sorted(wanted), others)
