"""ARC305: a plan adapts parameters with settings that PEFT does not support there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from archlint.core.amending import unwrappable
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause, culprit
from archlint.core.rule import Example, Rule, quote
from archlint.core.safety import Safety
from archlint.core.trial import Trial


class ParameterLimits(Rule):
    """PEFT adapts bare parameters, such as fused experts, under conditions that the plan does not meet.

    ## What it does
    Looks for plans that PEFT refuses at a parameter: one that `target_parameters` names, or one that PEFT has
    made of the name of a module, as it does for the experts of some model types.

    ## Why it matters
    LoRA on a parameter changes the weight before it is used, so nothing can be done to its input: no dropout, no
    DoRA, no bias, no `fan_in_fan_out`. It must have two or three dimensions, belong to a module below the
    top, and not be the weight of a layer that is adapted as a module too. Otherwise `get_peft_model` raises.

    ## What to do
    Turn the setting off, or leave the parameters out and keep it for the linear layers.
    """

    code = "ARC305"
    name = "parameter-limits"
    severity = Severity.ERROR
    why = "PEFT adapts no parameter under these conditions: get_peft_model raises and nothing is trained."
    fires = (
        Example(
            "toy:experts.TopKMoe",
            plan={"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"], "lora_dropout": 0.1},
            at="layers.{0,1}.mlp.experts.down_proj",
            severity=Severity.ERROR,
            says="PEFT cannot adapt experts.down_proj as a parameter: lora.ParamWrapper does not work with "
            "lora_dropout != 0",
            fix=Remedy("setting", "turn it off: lora_dropout=0.0", {"lora_dropout": 0.0}),
        ),
        Example("type:qwen3_moe", plan={"target_modules": "all-linear", "use_dora": True}),
        Example(
            "toy:projections.Transposed",
            plan={"target_modules": ["c_attn"], "target_parameters": ["c_proj.weight"]},
        ),
        Example("toy:projections.TopMatrix", plan={"target_parameters": ["projection"]}, at="projection"),
    )
    silent = (
        Example("toy:experts.TopKMoe", plan={"target_parameters": ["experts.down_proj"]}),
        Example("toy:experts.TopKMoe", plan={"target_modules": ["q_proj"], "lora_dropout": 0.1}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            if trial.raised is not None and cause(blueprint, trial) is Cause.PARAMETER:
                site = culprit(blueprint, trial)
                name = _name(site) if site is not None else "it"
                made = ", which PEFT has made of a name of modules" if trial.rewritten else ""
                yield self.finding(
                    f"PEFT cannot adapt {name} as a parameter{made}: {_reason(trial.raised.message)}",
                    sites=_alike(blueprint, site) if site is not None else (),
                    evidence=Evidence.INJECTED,
                    remedies=list(_remedies(trial)),
                    proof=[quote(trial)],
                )


def _name(site: Site) -> str:
    """A module's own parameter is told with its module, and a module with the weight that it was named for."""
    return f"{site.parent.rpartition('.')[2]}.{site.leaf}".lstrip(".") if site.is_parameter else f"{site.leaf}.weight"


def _reason(message: str) -> str:
    return " ".join(message.split()).rstrip(".")


def _alike(blueprint: Blueprint, site: Site) -> tuple[Site, ...]:
    """The same parameter in all layers: PEFT stops at the first."""
    return blueprint.select(site.kind, where=lambda other: (other.leaf, other.type) == (site.leaf, site.type))


def _remedies(trial: Trial) -> Iterator[Remedy]:
    lora = trial.plan.lora
    settings = unwrappable(lora)
    if settings:
        text = f"turn it off: {', '.join(f'{key}={value}' for key, value in settings.items())}"
        yield Remedy("setting", text, value=settings, safety=Safety.LOSSY, plan={**lora, **settings})
    targets = lora.get("target_modules")
    if isinstance(targets, (list, tuple)):
        kept: Any = [value for value in targets if not _is_rewritten(trial, value)]
    else:
        kept = None if trial.rewritten else targets
    if kept:
        plan = {key: value for key, value in lora.items() if key != "target_parameters"}
        plan["target_modules"] = kept
        text = f"{'or keep it, and ' if settings else ''}leave the parameters frozen"
        yield Remedy("target_modules", text, value=kept, safety=Safety.LOSSY, plan=plan)
    yield Remedy("target_modules", "or take the recipe below", by_recipe=True)


def _is_rewritten(trial: Trial, value: str) -> bool:
    """Whether PEFT took a name out of the modules, to make parameters of it."""
    return bool(trial.rewritten) and value not in trial.rewritten.get("target_modules", ())
