"""ARC513: a setting of the plan has no effect, or contradicts another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archlint.core.amending import leaving_out
from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.names import near
from archlint.core.parameters import adapted_parameters
from archlint.core.refusals import Cause, cause, held_and_saved, is_adaptable
from archlint.core.rule import Example, Rule, listed, quote
from archlint.core.safety import Safety
from archlint.core.trial import Trial

_ADJUSTED = re.compile(r"Adjusted `(\w+)` to \((\d+)\)")
"""What PEFT's OFT says where a size does not divide a layer (``tuners/oft/layer.py``, 0.21)."""
_UNUSED = re.compile(r"`(\w+)` is not used in .* use `(\w+)` instead")
"""What PEFT's AdaLoRA says of a setting of LoRA's that it has under another name (``tuners/adalora/config.py``)."""


class IgnoredSetting(Rule):
    """A setting that chooses among the targets is refused beside them, or does nothing for them.

    ## What it does
    Looks at `layers_to_transform` and `layers_pattern`, at the keys of `rank_pattern`, `alpha_pattern` and their
    like, and at names that stand in `target_modules` and in `modules_to_save`, and compares them with what was
    adapted. Tells where PEFT says that it trains with another value than the plan's.

    ## Why it matters
    `layers_to_transform` is refused beside a string, `all-linear` included; for parameters, those that the plan
    names and those that PEFT makes of experts' names, it is passed over, and every layer's are adapted. A key of
    `rank_pattern` that matches no adapted module changes nothing, so that those layers have the default rank. Where
    a name is in both lists, the module is trained in full and gets no adapter; where it holds an adapted parameter,
    PEFT raises. OFT trains with another block size than one that does not divide a layer.

    ## What to do
    Choose layers by a list of names, or in the path: `3.mlp.experts.gate_up_proj` for a parameter.
    """

    code = "ARC513"
    name = "ignored-setting"
    severity = Severity.ERROR
    why = "The plan is refused for the setting, or trains something else than the setting says."
    fires = (
        Example(
            "toy:projections.Dense",
            plan={"target_modules": "all-linear", "layers_to_transform": [0], "layers_pattern": "layers"},
            severity=Severity.ERROR,
        ),
        Example(
            "toy:targeting.Experts",
            plan={"target_modules": ["w1", "w2", "w3"], "layers_to_transform": [1], "layers_pattern": "layers"},
            at="layers.0.mlp.experts.{gate_up,down}_proj",
            severity=Severity.WARNING,
        ),
        Example(
            "toy:experts.TopKMoe",
            plan={
                "target_modules": ["q_proj"],
                "target_parameters": ["experts.down_proj"],
                "modules_to_save": ["experts"],
            },
            severity=Severity.ERROR,
        ),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "rank_pattern": {"v_proj": 4}},
            severity=Severity.WARNING,
            says="v_proj in rank_pattern matches nothing that is adapted",
            fix=Remedy("setting", "rank_pattern={}", {}),
        ),
        Example(
            "toy:heads.Untied",
            plan={"target_modules": ["q_proj", "lm_head"], "modules_to_save": ["lm_head"]},
            severity=Severity.INFO,
        ),
    )
    silent = (
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "layers_to_transform": [0], "layers_pattern": "layers"},
        ),
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj"], "rank_pattern": {"q_proj": 4}}),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        plan = blueprint.plan
        if plan is None:
            return
        if plan.raised is not None:
            yield from self._refused(blueprint, plan)
            return
        if strays := list(_other_layers(blueprint, plan)):
            chosen = ", ".join(map(str, _indices(plan)))
            message = (
                f"layers_to_transform is passed over for parameters: those of all layers are adapted, not of {chosen}"
            )
            remedies = [_by_paths(blueprint, plan)]
            yield self._finding(plan, message, Severity.WARNING, ["layers_to_transform"], remedies, sites=strays)
        keyed = frozenset(_keyed_names(plan))
        for setting in dict.fromkeys(entry.setting for entry in plan.entries if entry.setting.endswith("_pattern")):
            patterns = [entry for entry in plan.entries if entry.setting == setting]
            if idle := [entry.value for entry in patterns if keyed.isdisjoint(entry.reaches)]:
                message = f"{', '.join(idle)} in {setting} matches nothing that is adapted"
                remedies = [_pattern(plan, setting, idle, keyed)]
                yield self._finding(plan, message, Severity.WARNING, [setting], remedies, values=idle)
        yield from self._changed(plan)
        if both := _in_both_lists(blueprint, plan):
            message = (
                f"{', '.join(site.path for site in both)} is saved in full; its name in target_modules is passed over"
            )
            yield self._finding(plan, message, Severity.INFO, ["target_modules"], sites=both)

    def _refused(self, blueprint: Blueprint, plan: Trial) -> Iterator[Finding]:
        why = cause(blueprint, plan)
        if why is Cause.SETTINGS and plan.raised is not None:
            remedies = list(_consistent(blueprint, plan))
            if beside := _beside_targets(plan):
                message = f"{listed(beside)} in feedforward_modules is not among target_modules"
                yield self._finding(plan, message, Severity.ERROR, ["feedforward_modules"], remedies, values=beside)
            else:
                settings = [name for name in ("layers_to_transform", "layers_pattern") if name in plan.plan.lora]
                yield self._finding(plan, plan.raised.message, Severity.ERROR, settings, remedies)
        elif why is Cause.HELD_AND_SAVED:
            names = [entry.value for entry in held_and_saved(plan)]
            held = [path for entry in held_and_saved(plan) for path in entry.reaches]
            message = f"{listed(names)} is to be saved in full by modules_to_save, and the plan adapts it as well"
            sites = [blueprint.by_path[path] for path in held if path in blueprint.by_path]
            remedies = list(_either(plan, names, held))
            yield self._finding(plan, message, Severity.ERROR, ["modules_to_save"], remedies, values=names, sites=sites)

    def _changed(self, plan: Trial) -> Iterator[Finding]:
        """Settings of which PEFT itself says that it does not use them as they are."""
        lora = plan.plan.lora
        adjusted: dict[str, list[int]] = {}
        for name, value in (found.groups() for notice in plan.notices for found in _ADJUSTED.finditer(notice)):
            adjusted.setdefault(name, []).append(int(value))
        for name, used in adjusted.items():
            message = f"{name}={lora.get(name)} does not divide the layers: PEFT trains with {listed(map(str, used))}"
            remedies = [Remedy("setting", f"{name}={value}", value, plan={**lora, name: value}) for value in used]
            yield self._finding(plan, message, Severity.WARNING, [name], remedies)
        for name, instead in (found.groups() for notice in plan.notices for found in _UNUSED.finditer(notice)):
            if name in lora:
                kept = {key: value for key, value in lora.items() if key != name}
                remedy = Remedy("setting", f"{instead}={lora[name]}", lora[name], plan={**kept, instead: lora[name]})
                message = f"{name}={lora[name]} is passed over: {plan.plan.tuner} has {instead} in its place"
                yield self._finding(plan, message, Severity.WARNING, [name], [remedy])

    def _finding(
        self,
        plan: Trial,
        message: str,
        severity: Severity,
        settings: Sequence[str],
        remedies: Sequence[Remedy] = (),
        *,
        values: Sequence[str] = (),
        sites: Sequence[Site] = (),
    ) -> Finding:
        return self.finding(
            message,
            sites=sites,
            severity=severity,
            evidence=Evidence.INJECTED,
            remedies=remedies,
            proof=[quote(plan)],
            settings=settings,
            values=values,
        )


def _indices(plan: Trial) -> list[int]:
    given = plan.plan.lora.get("layers_to_transform")
    return [given] if isinstance(given, int) else list(given or ())


def _layer(path: str) -> int | None:
    return next((int(part) for part in path.split(".") if part.isdigit()), None)


def _keyed_names(plan: Trial) -> Iterator[str]:
    """What keys of ``rank_pattern`` are matched with: the names of adapted modules and parameters."""
    parameters = adapted_parameters(plan)
    return (parameters.get(path, path) for path in plan.adapted)


def _other_layers(blueprint: Blueprint, plan: Trial) -> Iterator[Site]:
    """Adapted parameters of layers that were not chosen; those that the plan names with an index are."""
    chosen = _indices(plan)
    by_index = {
        name
        for entry in plan.entries
        if entry.setting == "target_parameters" and _layer(entry.value) is not None
        for name in entry.reaches
    }
    for path, name in adapted_parameters(plan).items():
        if chosen and name not in by_index and _layer(path) is not None and _layer(path) not in chosen:
            yield blueprint.by_path[path]


def _beside_targets(plan: Trial) -> list[str]:
    """Names of ``feedforward_modules`` that are not among the targets; PEFT compares two lists, and no strings."""
    given, targets = plan.plan.lora.get("feedforward_modules"), plan.plan.lora.get("target_modules")
    if isinstance(given, list) and isinstance(targets, list):
        return [name for name in given if name not in targets]
    return []


def _consistent(blueprint: Blueprint, plan: Trial) -> Iterator[Remedy]:
    """The plan without what contradicts: a string beside indices, a pattern without them, more than the targets."""
    lora = plan.plan.lora
    targets = lora.get("target_modules")
    if beside := _beside_targets(plan):
        added = [*lora["target_modules"], *beside]
        text = f"target {listed(beside)} as well"
        yield Remedy("target_modules", text, added, plan={**lora, "target_modules": added})
        kept = [name for name in lora["feedforward_modules"] if name not in beside]
        text = f"or leave {listed(beside)} out of feedforward_modules"
        yield Remedy("setting", text, kept, Safety.LOSSY, plan={**lora, "feedforward_modules": kept})
    elif isinstance(targets, str):
        found = (site for site in blueprint.projections if is_adaptable(blueprint, site.path))
        names = list(dict.fromkeys(site.leaf for site in found if plan.plan.says_all or site.path in plan.reached))
        yield Remedy("target_modules", "name the layers in a list", names, plan={**lora, "target_modules": names})
        yield Remedy("setting", "or put the layers' indices into a regular expression, without layers_to_transform")
    else:
        without = {key: value for key, value in lora.items() if key != "layers_pattern"}
        yield Remedy(
            "setting", "leave layers_pattern out: it says where to find what layers_to_transform chooses", plan=without
        )


def _either(plan: Trial, names: Sequence[str], held: Sequence[str]) -> Iterator[Remedy]:
    """The adapters without the modules saved in full, or these without the adapters."""
    lora: dict[str, Any] = dict(plan.plan.lora)
    saved = [name for name in lora["modules_to_save"] if name not in names]
    text = f"keep the adapters: leave {listed(names)} out of modules_to_save"
    yield Remedy("modules_to_save", text, saved, Safety.LOSSY, plan={**lora, "modules_to_save": saved})
    inside = tuple(f"{path}." for path in held)
    parameters = [
        entry.value
        for entry in plan.entries
        if entry.setting == "target_parameters" and not any(name.startswith(inside) for name in entry.reaches)
    ]
    changed = leaving_out(plan, [path for path in plan.reached if path in held or path.startswith(inside)])
    if changed is not None:
        if lora.get("target_parameters"):
            changed["target_parameters"] = parameters
        text = "or train it in full: leave it out of the targets"
        yield Remedy("setting", text, safety=Safety.LOSSY, plan=changed)


def _by_paths(blueprint: Blueprint, plan: Trial) -> Remedy:
    """The parameters of the chosen layers, each by the part of its path from the index on."""
    lora: dict[str, Any] = dict(plan.plan.lora)
    strays = {site.path for site in _other_layers(blueprint, plan)}
    names = [
        ".".join(parts[next((n for n, part in enumerate(parts) if part.isdigit()), 0) :])
        for parts in (name.split(".") for path, name in adapted_parameters(plan).items() if path not in strays)
    ]
    kept = list(plan.rewritten.get("target_modules", lora.get("target_modules") or ()))
    if not kept:
        lora.pop("layers_to_transform")
        lora.pop("layers_pattern", None)
    return Remedy(
        "target_parameters",
        "name the parameters of these layers",
        names,
        plan={**lora, "target_modules": kept, "target_parameters": names},
    )


def _pattern(plan: Trial, setting: str, idle: Sequence[str], keyed: Iterable[str]) -> Remedy:
    given = plan.plan.lora[setting]
    parameters = frozenset(adapted_parameters(plan).values())
    known = [".".join(name.split(".")[-2:] if name in parameters else name.split(".")[-1:]) for name in keyed]
    owners = {name.rpartition(".")[0] for name in parameters}
    reaches = {entry.value: entry.reaches for entry in plan.entries if entry.setting == setting}
    held = {key for key, paths in reaches.items() if not owners.isdisjoint(paths)}
    other = {key for key, paths in reaches.items() if paths} - held  # what is meant is there, and is not adapted
    renamed = {
        key: [key] if key not in idle else [] if key in other else near(key, sorted(set(known))) for key in given
    }
    value = {name: given[key] for key, names in renamed.items() for name in names}
    guessed = any(renamed[key] for key in idle if key not in held)
    safety = Safety.LOSSY if guessed else Safety.EXACT  # another rank for what is trained is a guess
    return Remedy("setting", f"{setting}={value}", value, safety, plan={**plan.plan.lora, setting: value})


def _in_both_lists(blueprint: Blueprint, plan: Trial) -> list[Site]:
    targeted = plan.reached_through("target_modules")
    return [blueprint.by_path[path] for path in plan.saved if path in targeted and is_adaptable(blueprint, path)]
