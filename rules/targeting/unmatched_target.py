"""ARC504: something that a plan names is not there in the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from archlint.core import guesses
from archlint.core.blueprint import Blueprint, Kind, Site
from archlint.core.expressions import NO_EXPRESSION
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Entry, Trial

_MOST_NAMES = 12
_CLASSIFYING = ("SEQ_CLS", "TOKEN_CLS")
_HEADS = ("classifier", "score")
"""What PEFT itself puts into ``modules_to_save`` for these tasks, whichever the class has (peft_model.py, 0.21)."""


class UnmatchedTarget(Rule):
    """A name, a pattern or a layer of the plan reaches nothing in the model.

    ## What it does
    Asks PEFT's own matching what each value of `target_modules`, `target_parameters`, `layers_to_transform` and
    `modules_to_save` reaches by itself. Names that PEFT converts to parameters of fused experts are matched.

    ## Why it matters
    If nothing is reached at all, `get_peft_model` raises. If only some values reach nothing, PEFT says nothing
    about them: what they were to train stays frozen. Lists match the end of a path, letter by letter, so that a
    regular expression in a list, several names in one string, or another letter case reach nothing; a string
    must match the whole path, so that a bare `q_proj` reaches nothing either.

    ## What to do
    Use the names that the model has; the message gives those that come nearest. The recipe names them all.
    """

    code = "ARC504"
    name = "unmatched-target"
    severity = Severity.ERROR
    why = "PEFT passes over values that match nothing, and raises only when none of them does."
    fires = (
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj", "gate_proj"]},
            severity=Severity.WARNING,
            says="gate_proj in target_modules reaches nothing; the model has q_proj, k_proj, v_proj, o_proj",
            fix=Remedy("target_modules", "leave it out, as it trains nothing", ["q_proj"]),
        ),
        Example("toy:projections.Dense", plan={"target_modules": "q_proj"}, severity=Severity.ERROR),
        Example("toy:projections.Dense", plan={"target_modules": [r".*\.[qv]_proj"]}, severity=Severity.ERROR),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "layers_to_transform": [1, 7], "layers_pattern": "layers"},
            severity=Severity.WARNING,
        ),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
            severity=Severity.WARNING,
        ),
        Example(
            "toy:targeting.Experts",
            plan={"target_modules": ["q_proj"], "target_parameters": ["experts.gate_proj"]},
            severity=Severity.WARNING,
        ),
        Example("toy:targeting.Mixed", severity=Severity.INFO),
    )
    silent = (
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj", "v_proj"]}),
        Example("toy:targeting.Experts", plan={"target_modules": ["q_proj", "w1", "w2", "w3"]}),
        Example(
            "toy:heads.classifier",
            plan={"target_modules": ["query"], "task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]},
        ),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        plan = blueprint.plan
        if plan is None:
            for trial in blueprint.trials:
                if cause(blueprint, trial) is Cause.NOTHING_REACHED:
                    message = f"{trial.plan.name} reaches nothing; {_inventory(blueprint)}"
                    yield self.finding(
                        message, severity=Severity.INFO, evidence=Evidence.INJECTED, proof=[quote(trial)]
                    )
        elif (why := cause(blueprint, plan)) is not Cause.HALF_FUSED:
            raised = why is Cause.NOTHING_REACHED
            unmatched = [entry for entry in plan.entries if _is_unmatched(plan, why, entry)]
            for setting, answer in _ANSWERS.items():
                missing = [entry.value for entry in unmatched if entry.setting == setting]
                if missing:
                    hint, remedies = answer(blueprint, plan, missing)
                    reach = "reach" if len(missing) > 1 else "reaches"
                    message = f"{_listed(missing)} in {setting} {reach} nothing; {hint}"
                    fatal = raised and setting != "modules_to_save"
                    yield self.finding(
                        message,
                        severity=Severity.ERROR if fatal else Severity.WARNING,
                        evidence=Evidence.INJECTED,
                        remedies=remedies,
                        proof=[quote(plan)],
                        settings=[setting],
                        values=missing,
                    )
            if raised and all(entry.setting == "modules_to_save" for entry in unmatched):
                message = _as_a_whole(blueprint, plan)
                yield self.finding(message, evidence=Evidence.INJECTED, remedies=[_RECIPE], proof=[quote(plan)])


_RECIPE = Remedy("target_modules", "or take the names that the model has: the recipe below", by_recipe=True)

_Answer = tuple[str, list[Remedy]]
"""What to say of values that reach nothing, and what to do about them."""


def _is_unmatched(plan: Trial, why: Cause | None, entry: Entry) -> bool:
    """Whether a value reaches nothing, and is none that PEFT exchanged for parameters of experts."""
    if entry.reaches or (isinstance(plan.plan.lora.get(entry.setting), str) and not _is_matched(why, entry)):
        return False
    if entry.setting == "layers_to_transform":
        return not plan.rewritten
    if entry.setting == "modules_to_save" and plan.plan.lora.get("task_type") in _CLASSIFYING:
        return entry.value not in _HEADS
    return entry.value in plan.rewritten.get(entry.setting, (entry.value,))


def _is_matched(why: Cause | None, entry: Entry) -> bool:
    """Whether PEFT comes to match a string: it refuses one beside ``layers_to_transform``, or that it cannot read."""
    if why is Cause.SETTINGS and entry.setting == "target_modules":
        return False
    try:
        re.compile(entry.value)
    except NO_EXPRESSION:
        return False
    return True


def _as_a_whole(blueprint: Blueprint, plan: Trial) -> str:
    """Why a plan reaches nothing whose every value reaches something."""
    if plan.plan.says_all:
        return f"all-linear reaches nothing; {_inventory(blueprint)}"
    if plan.plan.is_default:
        return "target_modules is empty, and there are no target_parameters"
    return "all that the targets reach is left out by exclude_modules or modules_to_save"


def _modules(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> _Answer:
    lora = plan.plan.lora
    given = lora["target_modules"]
    if isinstance(given, str):
        hint = "a string must match whole paths as a regular expression"
        mended = guesses.string(blueprint, given)
    else:
        given = list(map(str, given))  # as the entries are: a list may hold anything
        mended = guesses.listed(blueprint, given, missing)
        hint = _did_you_mean(guesses.nearest(missing, guesses.inventory(blueprint), given)) or _inventory(blueprint)
        if isinstance(mended, str):
            said = "all-linear works" if mended == guesses.ALL_LINEAR else "a regular expression works"
            hint = f"a list holds names, and {said} as a single string only"
    remedies = [_RECIPE]
    if mended is not None:
        plan_now = {**lora, "target_modules": mended}
        remedies.insert(0, Remedy("target_modules", "say it as PEFT matches it", mended, plan=plan_now))
    parameters = [] if isinstance(given, str) else guesses.parameters(blueprint, missing)
    if parameters:
        kept = [value for value in given if value not in missing]
        named = [*plan.plan.named("target_parameters"), *parameters]
        plan_now = {**lora, "target_modules": kept, "target_parameters": named}
        text = "name the experts' parameters in target_parameters"
        remedies.insert(0, Remedy("target_parameters", text, named, plan=plan_now))
    if mended is None and not parameters and plan.raised is None:
        kept = [value for value in given if value not in missing]
        plan_now = {**lora, "target_modules": kept}
        remedies.insert(0, Remedy("target_modules", "leave it out, as it trains nothing", kept, plan=plan_now))
    return hint, remedies


def _parameters(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> _Answer:
    lora = plan.plan.lora
    names = guesses.parameters(blueprint, missing) or guesses.stacked(blueprint)
    if not names:
        return "the model has no such parameter", [_RECIPE]
    kept = [name for name in map(str, lora["target_parameters"]) if name not in missing]
    mended = list(dict.fromkeys([*kept, *names]))
    plan_now = {**lora, "target_parameters": mended}
    remedy = Remedy("target_parameters", "the parameters that are there", mended, plan=plan_now)
    return _did_you_mean(names), [remedy, _RECIPE]


def _layers(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> _Answer:
    lora = plan.plan.lora
    pattern = lora.get("layers_pattern")
    above, name = _list_of_layers(blueprint)
    found = any(entry.reaches for entry in plan.entries if entry.setting == "layers_to_transform")
    if name and not found and name != pattern and (pattern or not above):
        hint = "PEFT looks for the index behind a module's second name, and here it is behind the first"
        plan_now = {**lora, "layers_pattern": name}
        remedy = Remedy("setting", f"layers_pattern={name!r}", name, plan=plan_now)
        return f"the layers are in {name}, not in {pattern}" if pattern else hint, [remedy]
    scope = blueprint.scope.value
    count = blueprint.model.layers.get(scope, 0)
    hint = f"the {scope} has layers 0 to {count - 1}" if count else "no layer has such an index"
    indices = lora["layers_to_transform"]
    given = indices if isinstance(indices, list) else [indices]
    if texts := [index for index in given if isinstance(index, str)]:
        numbers = [int(index) if isinstance(index, str) and index.isdigit() else index for index in given]
        remedy = Remedy(
            "setting", f"layers_to_transform={numbers}", numbers, plan={**lora, "layers_to_transform": numbers}
        )
        return f"PEFT compares numbers, and {texts[0]!r} is text", [remedy, _RECIPE]
    kept = [index for index in given if str(index) not in missing]
    if not kept:
        return hint, [_RECIPE]
    plan_now = {**lora, "layers_to_transform": kept}
    return hint, [Remedy("setting", f"layers_to_transform={kept}", kept, plan=plan_now)]


def _saved(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> _Answer:
    lora = plan.plan.lora
    savable = [site.leaf for site in blueprint.select(Kind.EMBEDDING, Kind.HEAD, Kind.NORM)]
    names = guesses.nearest(missing, savable)
    mended = list(dict.fromkeys([*(name for name in map(str, lora["modules_to_save"]) if name not in missing), *names]))
    text = "the modules that are there" if names else "leave it out"
    plan_now = {**lora, "modules_to_save": mended}
    remedies = [Remedy("modules_to_save", text, mended, plan=plan_now)]
    if any(site.leaf in names for site in blueprint.sites if _is_tied(blueprint, site)):
        tied = {**plan_now, "ensure_weight_tying": True}
        text = f"{text}, with ensure_weight_tying=True: the weight is that of another module too"
        remedies.insert(0, Remedy("modules_to_save", text, mended, plan=tied))
    return _did_you_mean(names) or "PEFT saves nothing for it", remedies


def _is_tied(blueprint: Blueprint, site: Site) -> bool:
    """Whether a weight of ``site`` is that of another module as well."""
    shared = {weight.tied_to for other in blueprint.sites for weight in other.weights if weight.tied_to is not None}
    return any(weight.tied_to is not None for weight in site.weights) or not shared.isdisjoint(site.parameters)


_ANSWERS = {
    "target_modules": _modules,
    "target_parameters": _parameters,
    "layers_to_transform": _layers,
    "modules_to_save": _saved,
}


def _list_of_layers(blueprint: Blueprint) -> tuple[str, str]:
    """What stands above the list of layers, and the name of the list."""
    for site in blueprint.projections:
        parts = site.path.split(".")
        place = next((n for n, part in enumerate(parts) if part.isdigit()), 0)
        if place:
            return ".".join(parts[: place - 1]), parts[place - 1]
    return "", ""


def _inventory(blueprint: Blueprint) -> str:
    names = guesses.inventory(blueprint)
    return f"the model has {_listed(names)}" if names else "the model has no layer that PEFT adapts"


def _did_you_mean(names: Sequence[str]) -> str:
    return f"did you mean {_listed(names)}?" if names else ""


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + rest
