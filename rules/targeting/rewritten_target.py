"""ARC512: PEFT exchanges names of a plan for parameters of fused experts before it uses them."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint, Kind
from archlint.core.finding import Evidence, Finding, Severity
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial


class RewrittenTarget(Rule):
    """The plan's names belong to separate experts, and PEFT targets the stacked parameters instead.

    ## What it does
    Compares the targets that were given with those that PEFT used. For mixtures of experts whose separate
    experts have become stacked parameters, PEFT turns their old names into `target_parameters`.

    ## Why it matters
    The plan reaches the experts, in another way than it says. Two names that became one parameter give that
    parameter twice the rank and twice the alpha. Settings that know modules only (`layers_to_transform`,
    `exclude_modules`, dropout, DoRA) do not apply to parameters, and other adapter types than LoRA are not
    converted.

    ## What to do
    Nothing, if that is what you want. To have it in the plan's own words, write the parameters out.
    """

    code = "ARC512"
    name = "rewritten-target"
    severity = Severity.INFO
    why = "What is trained has other names, another rank and fewer settings than the plan says."
    fires = (
        Example(
            "toy:targeting.Experts",
            plan={"target_modules": ["w1", "w2", "w3"]},
            at="layers.{0,1}.mlp.experts.{gate_up,down}_proj",
            severity=Severity.INFO,
            says="PEFT turns w1, w2, w3 into the parameters down_proj, gate_up_proj",
        ),
        Example("toy:targeting.Experts", severity=Severity.INFO),
    )
    silent = (
        Example(
            "toy:targeting.Experts", plan={"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"]}
        ),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        rewritten = [trial for trial in blueprint.trials if trial.rewritten and trial.raised is None]
        if not rewritten:
            return
        parameters = dict.fromkeys(name for trial in rewritten for name in _gained(trial))
        adapted = frozenset(path for trial in rewritten for path in trial.adapted)
        experts = blueprint.select(Kind.FUSED_EXPERTS, where=lambda site: site.path in adapted)
        given = ", ".join(dict.fromkeys(name for trial in rewritten for name in _given(trial)))
        yield self.finding(
            f"PEFT turns {given} into the parameters {', '.join(parameters)}",
            sites=experts,
            evidence=Evidence.INJECTED,
            proof=[quote(trial) for trial in rewritten],
        )


def _gained(trial: Trial) -> list[str]:
    given = trial.plan.named("target_parameters")
    return [name for name in trial.rewritten.get("target_parameters", ()) if name not in given]


def _given(trial: Trial) -> list[str]:
    """What PEFT made parameters of: names that are no longer among the targets, a string, or its own defaults."""
    given = trial.plan.lora.get("target_modules")
    if isinstance(given, str):
        return [given]
    if trial.plan.is_default:
        return ["its default targets"]
    kept = trial.rewritten.get("target_modules", ())
    return [name for name in given or () if name not in kept]
