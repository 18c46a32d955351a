"""ARC513: a setting of the plan has no effect, or contradicts another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.names import near
from archlint.core.refusals import Cause, cause, is_adaptable
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial


class IgnoredSetting(Rule):
    """A setting that chooses among the targets is refused beside them, or does nothing for them.

    ## What it does
    Looks at `layers_to_transform` and `layers_pattern`, at the keys of `rank_pattern` and `alpha_pattern`, and at
    names that stand in `target_modules` and in `modules_to_save`, and compares them with what was adapted.

    ## Why it matters
    `layers_to_transform` is refused beside a string, `all-linear` included; beside names that PEFT converts to
    parameters of experts it is passed over, and every layer's experts are adapted. A key of `rank_pattern` that
    matches no adapted module changes nothing, so that those layers have the default rank. Where a name is in
    both lists, the module is trained in full and gets no adapter.

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
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"], "rank_pattern": {"v_proj": 4}},
            severity=Severity.WARNING,
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
        if cause(blueprint, plan) is Cause.SETTINGS and plan.raised is not None:
            yield self._finding(plan, plan.raised.message, Severity.ERROR, remedies=list(_by_names(blueprint, plan)))
        if plan.raised is not None:
            return
        if strays := list(_other_layers(blueprint, plan)):
            chosen = ", ".join(map(str, _indices(plan)))
            message = (
                f"layers_to_transform is passed over for parameters: those of all layers are adapted, not of {chosen}"
            )
            yield self._finding(plan, message, Severity.WARNING, strays, [_by_paths(blueprint, plan, strays)])
        for setting in ("rank_pattern", "alpha_pattern"):
            idle = [entry.value for entry in plan.entries if entry.setting == setting and _is_idle(plan, entry.reaches)]
            if idle:
                message = f"{', '.join(idle)} in {setting} matches nothing that is adapted"
                yield self._finding(
                    plan, message, Severity.WARNING, remedies=[_pattern(blueprint, plan, setting, idle)]
                )
        if both := _in_both_lists(blueprint, plan):
            names = ", ".join(site.path for site in both)
            yield self._finding(
                plan, f"{names} is saved in full; its name in target_modules is passed over", Severity.INFO, both
            )

    def _finding(
        self,
        plan: Trial,
        message: str,
        severity: Severity,
        sites: Sequence[Site] = (),
        remedies: Sequence[Remedy] = (),
    ) -> Finding:
        return self.finding(
            message, sites=sites, severity=severity, evidence=Evidence.INJECTED, remedies=remedies, proof=[quote(plan)]
        )


def _indices(plan: Trial) -> list[int]:
    given = plan.plan.lora.get("layers_to_transform")
    return [given] if isinstance(given, int) else list(given or ())


def _layer(site: Site) -> int | None:
    return next((int(part) for part in site.path.split(".") if part.isdigit()), None)


def _other_layers(blueprint: Blueprint, plan: Trial) -> Iterator[Site]:
    """Adapted parameters of layers that were not chosen."""
    chosen = _indices(plan)
    for path in plan.adapted:
        site = blueprint.by_path[path]
        if chosen and _layer(site) is not None and _layer(site) not in chosen and plan.rewritten:
            yield site


def _by_names(blueprint: Blueprint, plan: Trial) -> Iterator[Remedy]:
    """What a list says instead of the string that was given, or the plan without a pattern that has no layers."""
    lora = plan.plan.lora
    if isinstance(lora.get("target_modules"), str):
        found = (site for site in blueprint.projections if is_adaptable(blueprint, site.path))
        names = list(dict.fromkeys(site.leaf for site in found))
        yield Remedy("target_modules", "name the layers in a list", names, plan={**lora, "target_modules": names})
        yield Remedy("setting", "or put the layers' indices into a regular expression, without layers_to_transform")
    else:
        kept = {key: value for key, value in lora.items() if key != "layers_pattern"}
        yield Remedy(
            "setting", "leave layers_pattern out: it says where to find what layers_to_transform chooses", plan=kept
        )


def _by_paths(blueprint: Blueprint, plan: Trial, strays: Sequence[Site]) -> Remedy:
    """The parameters of the chosen layers, each by the part of its path from the index on."""
    lora: dict[str, Any] = dict(plan.plan.lora)
    adapted = (blueprint.by_path[path] for path in plan.adapted)
    experts = [site for site in adapted if site.is_parameter and _layer(site) in _indices(plan)]
    names = [
        ".".join(parts[next(n for n, part in enumerate(parts) if part.isdigit()) :])
        for parts in (site.path.split(".") for site in experts)
    ]
    kept = list(plan.rewritten.get("target_modules", ()))
    if not kept:
        lora.pop("layers_to_transform")
        lora.pop("layers_pattern", None)
    return Remedy(
        "target_parameters",
        "name the parameters of these layers",
        names,
        plan={**lora, "target_modules": kept, "target_parameters": names},
    )


def _is_idle(plan: Trial, reaches: Iterable[str]) -> bool:
    """Whether nothing adapted is matched; the weight of a linear is adapted under the linear's own path."""
    return not any(path in plan.adapted or path.rpartition(".")[0] in plan.adapted for path in reaches)


def _pattern(blueprint: Blueprint, plan: Trial, setting: str, idle: Sequence[str]) -> Remedy:
    given = plan.plan.lora[setting]
    adapted = list(dict.fromkeys(path.rpartition(".")[2] for path in plan.adapted))
    renamed = {key: near(key, adapted) if key in idle else [key] for key in given}
    value = {name: given[key] for key, names in renamed.items() for name in names}
    return Remedy("setting", f"{setting}={value}", value, plan={**plan.plan.lora, setting: value})


def _in_both_lists(blueprint: Blueprint, plan: Trial) -> list[Site]:
    targeted = {path for entry in plan.entries if entry.setting == "target_modules" for path in entry.reaches}
    return [blueprint.by_path[path] for path in plan.saved if path in targeted and is_adaptable(blueprint, path)]
