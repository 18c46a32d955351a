"""ARC504: something that a plan names is not there in the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archlint.core.blueprint import Blueprint, Kind, Trait
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.names import near, respelled
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, quote
from archlint.core.suffixes import reached_by
from archlint.core.trial import Entry, Trial

_MOST_NAMES = 12


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
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj", "gate_proj"]}, severity=Severity.WARNING),
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
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        if blueprint.plan is None:
            yield from self._stock(blueprint)
        elif (why := cause(blueprint, blueprint.plan)) is not Cause.HALF_FUSED:
            yield from self._user(blueprint, blueprint.plan, raised=why is Cause.NOTHING_REACHED)

    def _stock(self, blueprint: Blueprint) -> Iterable[Finding]:
        for trial in blueprint.trials:
            if cause(blueprint, trial) is Cause.NOTHING_REACHED:
                message = f"{trial.plan.name} reaches nothing; {_inventory(blueprint)}"
                yield self.finding(message, severity=Severity.INFO, evidence=Evidence.INJECTED, proof=[quote(trial)])

    def _user(self, blueprint: Blueprint, plan: Trial, *, raised: bool) -> Iterable[Finding]:
        explained = False
        for setting, describe, mend in (
            ("target_modules", _about_modules, _mended_modules),
            ("target_parameters", _about_parameters, _mended_parameters),
            ("layers_to_transform", _about_layers, _mended_layers),
            ("modules_to_save", _about_saved, _mended_saved),
        ):
            missing = [entry.value for entry in plan.entries if entry.setting == setting and _is_unmatched(plan, entry)]
            if missing:
                is_error = raised and setting != "modules_to_save"
                explained |= is_error
                yield self.finding(
                    f"{_listed(missing)} in {setting} {'reach' if len(missing) > 1 else 'reaches'} nothing; {describe(blueprint, plan, missing)}",
                    severity=Severity.ERROR if is_error else Severity.WARNING,
                    evidence=Evidence.INJECTED,
                    remedies=[*mend(blueprint, plan, missing), *_recipe(setting)],
                    proof=[quote(plan)],
                )
        if raised and not explained:
            left_out = "all that the targets reach is left out by exclude_modules or modules_to_save"
            yield self.finding(
                f"all-linear reaches nothing; {_inventory(blueprint)}" if plan.plan.says_all else left_out,
                evidence=Evidence.INJECTED,
                remedies=_recipe("target_modules"),
                proof=[quote(plan)],
            )


def _is_unmatched(plan: Trial, entry: Entry) -> bool:
    """Whether a value reaches nothing, and is none that PEFT exchanged for parameters of experts."""
    if entry.reaches:
        return False
    if entry.setting == "layers_to_transform":
        return not plan.rewritten
    return entry.value in plan.rewritten.get(entry.setting, (entry.value,))


def _recipe(setting: str) -> list[Remedy]:
    if setting == "modules_to_save":
        return []
    return [Remedy("target_modules", "or take the names that the model has: the recipe below", by_recipe=True)]


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + rest


def _paths(blueprint: Blueprint) -> list[str]:
    return [site.path for site in blueprint.sites if site.path and not site.is_parameter]


def _parameters(blueprint: Blueprint) -> list[str]:
    return [
        site.path if site.is_parameter else f"{site.path}.{weight.name}"
        for site in blueprint.sites
        for weight in site.weights
    ]


def _names(blueprint: Blueprint) -> list[str]:
    """What the scope's layers are called that PEFT adapts."""
    sites = (site for site in blueprint.projections if Trait.SUPPORTED in site.traits)
    return list(dict.fromkeys(site.leaf for site in sites))


def _inventory(blueprint: Blueprint) -> str:
    names = _names(blueprint)
    return f"the model has {_listed(names)}" if names else "the model has no layer that PEFT adapts"


# --- target_modules


def _about_modules(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> str:
    if isinstance(plan.plan.lora["target_modules"], str):
        return "a string must match whole paths as a regular expression"
    if any(_is_pattern(value, _paths(blueprint)) for value in missing):
        return "a list holds names, and regular expressions only work as a single string"
    candidates = list(dict.fromkeys(name for value in missing for name in near(value, _names(blueprint))))
    return f"did you mean {_listed(candidates)}?" if candidates else _inventory(blueprint)


def _mended_modules(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> Iterator[Remedy]:
    lora = plan.plan.lora
    paths = _paths(blueprint)
    given = lora["target_modules"]
    if isinstance(given, str):
        mended = _mended_string(given, paths)
    elif any(_is_pattern(value, paths) for value in missing):
        mended = "|".join(value if value in missing else rf"(.*\.)?{re.escape(value)}" for value in given)
    else:
        mended = _mended_list(blueprint, given, missing, paths)
    if mended is not None:
        yield Remedy("target_modules", "say it as PEFT matches it", mended, plan={**lora, "target_modules": mended})
    parameters = _candidates(blueprint, missing)
    if parameters and not isinstance(given, str):
        kept = [value for value in given if value not in missing]
        moved = [*(lora.get("target_parameters") or ()), *parameters]
        changed = {**lora, "target_modules": kept, "target_parameters": moved}
        yield Remedy("target_parameters", "name the experts' parameters in target_parameters", moved, plan=changed)


def _mended_string(given: str, paths: Sequence[str]) -> str | list[str] | None:
    names = [name.strip(" []'\"") for name in given.split(",")]
    if all(reached_by(name, paths) for name in names):
        return names
    variants = [*respelled(given), rf".*\.{given}", f".*{given}"]
    return next((variant for variant in variants if _is_pattern(variant, paths)), None)


def _mended_list(
    blueprint: Blueprint, given: Sequence[str], missing: Sequence[str], paths: Sequence[str]
) -> list[str] | None:
    """The list with other spellings, or else the nearest names, in the place of what is missing."""
    mended: dict[str, None] = {}
    for value in given:
        if value not in missing:
            mended[value] = None
            continue
        parts = [part.strip() for part in value.split(",")]
        spelled = [next((name for name in respelled(part) if reached_by(name, paths)), None) for part in parts]
        found = spelled if all(spelled) else near(value, _names(blueprint))
        mended.update((name, None) for name in found if name)
    return list(mended) if set(mended) - set(given) else None


def _is_pattern(value: str, paths: Iterable[str]) -> bool:
    """Whether ``value`` matches any of ``paths`` as a regular expression."""
    try:
        pattern = re.compile(value)
    except re.error:
        return False
    return any(pattern.fullmatch(path) for path in paths)


# --- target_parameters


def _about_parameters(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> str:
    candidates = _candidates(blueprint, missing) or list(dict.fromkeys(map(_brief, _fused(blueprint))))
    return f"did you mean {_listed(candidates)}?" if candidates else "the model has no such parameter"


def _mended_parameters(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> Iterator[Remedy]:
    lora = plan.plan.lora
    kept = [name for name in lora["target_parameters"] if name not in missing]
    candidates = _candidates(blueprint, missing) or list(dict.fromkeys(map(_brief, _fused(blueprint))))
    if candidates:
        mended = [*kept, *(name for name in candidates if name not in kept)]
        yield Remedy(
            "target_parameters", "the parameters that are there", mended, plan={**lora, "target_parameters": mended}
        )


def _candidates(blueprint: Blueprint, missing: Sequence[str]) -> list[str]:
    """Parameters whose last names come near; a module's name stands for the matrices in it."""
    parameters = _parameters(blueprint)
    matrices = _fused(blueprint)
    found: dict[str, None] = {}
    for value in missing:
        if reached_by(f"{value}.weight", parameters):
            found[f"{value}.weight"] = None
            continue
        leaf = value.rpartition(".")[2]
        inside = [path for path in matrices if reached_by(value, [path.rpartition(".")[0]])]
        close = near(leaf, (path.rpartition(".")[2] for path in matrices))
        found.update((_brief(path), None) for path in inside or matrices if inside or path.rpartition(".")[2] in close)
    return list(found)


def _fused(blueprint: Blueprint) -> list[str]:
    return [site.path for site in blueprint.select(Kind.FUSED_EXPERTS, Kind.RAW_PROJECTION) if site.is_parameter]


def _brief(path: str) -> str:
    """A parameter by its name and its module's."""
    return ".".join(path.split(".")[-2:])


# --- layers_to_transform


def _about_layers(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> str:
    if _layer_list(blueprint) is not None and "layers_pattern" not in plan.plan.lora and not _any_layer(plan):
        return "PEFT finds the index behind a module's second name; layers at the top need layers_pattern"
    count = blueprint.model.layers.get(blueprint.scope.value, 0)
    return f"the {blueprint.scope.value} has layers 0 to {count - 1}" if count else "no layer has such an index"


def _mended_layers(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> Iterator[Remedy]:
    lora = plan.plan.lora
    pattern = _layer_list(blueprint)
    if pattern is not None and "layers_pattern" not in lora and not _any_layer(plan):
        yield Remedy("setting", f"layers_pattern={pattern!r}", pattern, plan={**lora, "layers_pattern": pattern})
        return
    indices = lora["layers_to_transform"]
    kept = [index for index in (indices if isinstance(indices, list) else [indices]) if str(index) not in missing]
    if kept:
        changed = {**lora, "layers_to_transform": kept}
        yield Remedy("setting", f"layers_to_transform={kept}", kept, plan=changed)


def _any_layer(plan: Trial) -> bool:
    return any(entry.reaches for entry in plan.entries if entry.setting == "layers_to_transform")


def _layer_list(blueprint: Blueprint) -> str | None:
    """The name of the list of layers, where it stands at the top of the model."""
    for site in blueprint.projections:
        parts = site.path.split(".")
        if len(parts) > 2 and parts[1].isdigit():
            return parts[0]
    return None


# --- modules_to_save


def _about_saved(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> str:
    candidates = [name for value in missing for name in near(value, _savable(blueprint))]
    return f"did you mean {_listed(list(dict.fromkeys(candidates)))}?" if candidates else "PEFT saves nothing for it"


def _mended_saved(blueprint: Blueprint, plan: Trial, missing: Sequence[str]) -> Iterator[Remedy]:
    lora: dict[str, Any] = dict(plan.plan.lora)
    kept = [name for name in lora["modules_to_save"] if name not in missing]
    candidates = [name for value in missing for name in near(value, _savable(blueprint))]
    mended = list(dict.fromkeys([*kept, *candidates]))
    text = "the modules that are there" if candidates else "leave it out"
    yield Remedy("modules_to_save", text, mended, plan={**lora, "modules_to_save": mended})


def _savable(blueprint: Blueprint) -> list[str]:
    """Embeddings, heads and norms: what people train in full beside adapters."""
    sites = blueprint.select(Kind.EMBEDDING, Kind.HEAD, Kind.NORM)
    return list(dict.fromkeys(site.leaf for site in sites))
