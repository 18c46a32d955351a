"""ARC401: input embeddings and output head share one weight, and a plan may change one end of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from archlint.core.blueprint import Blueprint, Kind, Site
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.folding import fold
from archlint.core.rule import Example, Rule, quote
from archlint.core.trial import Trial

_MOST_GROUPS = 3


class TiedEmbeddings(Rule):
    """Embeddings and the output head are one weight; adapting or training one end does not reach the other.

    ## What it does
    Finds embeddings and heads that share a parameter, and looks at what the plan does with them: a LoRA adapter
    on any of them, or a copy in `modules_to_save` of some of them and not of all.

    ## Why it matters
    A LoRA adapter changes what one end computes. Merging adds its update to the shared weight, so the other end
    changes too, and the merged model is another one than the trained one; `ensure_weight_tying` does not mend
    that. A module in `modules_to_save` is trained as a copy: the other end keeps the old weight, and tokens that
    were added are never produced. With all ends in `modules_to_save` they are trained apart, and PEFT unties
    them when it merges.

    ## What to do
    Leave both ends frozen; that is what most adapters do. For added tokens, `trainable_token_indices` trains
    their rows at both ends. To train the whole embedding, put it in `modules_to_save` with
    `ensure_weight_tying=True`, so that it stays one weight.
    """

    code = "ARC401"
    name = "tied-embeddings"
    severity = Severity.WARNING
    why = "The two ends are one weight: what is trained at one of them is lost at the other, or changes it on merging."
    fires = (
        Example("toy:heads.Tied", at="lm_head", severity=Severity.INFO),
        Example(
            "toy:heads.Tied",
            plan={"target_modules": ["q_proj", "lm_head"]},
            severity=Severity.WARNING,
            says="the plan adapts lm_head, whose weight is also that of model.embed_tokens: merging changes both",
            fix=Remedy("target_modules", "leave both ends frozen", ["q_proj"]),
        ),
        Example("toy:heads.Tied", plan={"target_modules": ["embed_tokens"]}, severity=Severity.WARNING),
        Example(
            "toy:heads.Tied",
            plan={"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
            severity=Severity.WARNING,
        ),
        Example(
            "toy:heads.Tied",
            plan={"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
            severity=Severity.INFO,
        ),
    )
    silent = (
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj", "lm_head", "embed_tokens"]}),
        Example("toy:projections.Dense"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        groups = list(_tied(blueprint))
        harmed: list[Sequence[Site]] = []
        for trial in blueprint.trials:
            who = "the plan" if trial is blueprint.plan else trial.plan.name
            adapted = [ends for ends in groups if any(site.path in trial.adapted for site in ends)]
            copied = [ends for ends in groups if 0 < sum(site.path in trial.saved for site in ends) < len(ends)]
            if adapted:
                touched, rest = _divided(adapted, trial.adapted)
                shared = f", whose weight is also that of {_names(rest)}" if rest else ", which are one weight"
                message = f"{who} adapts {_names(touched)}{shared}: merging changes both"
                yield self._finding(blueprint, trial, message, touched, rest)
            if copied:
                touched, rest = _divided(copied, trial.saved)
                is_dead = all(site.path in trial.saved_dead for site in touched)
                verb, gets = ("saves", " that gets no gradient") if is_dead else ("trains", "")
                copy = f"{who} {verb} a copy of {_names(touched)}{gets}"
                message = f"{copy}, and {_names(rest)} keeps the weight that they share"
                yield self._finding(blueprint, trial, message, touched, rest)
            harmed += [*adapted, *copied]
        healthy = [ends for ends in groups if ends not in harmed]
        if healthy:
            message = "; ".join(f"{_names(ends)} are one weight" for ends in healthy[:_MOST_GROUPS])
            yield self.finding(message, sites=[site for ends in healthy for site in ends], severity=Severity.INFO)

    def _finding(
        self, blueprint: Blueprint, trial: Trial, message: str, touched: Sequence[Site], rest: Sequence[Site]
    ) -> Finding:
        return self.finding(
            message,
            sites=[*rest, *touched],
            evidence=Evidence.INJECTED,
            remedies=list(_remedies(blueprint, trial, touched, rest)),
            proof=[quote(trial)],
        )


def _divided(groups: Iterable[Iterable[Site]], paths: Sequence[str]) -> tuple[list[Site], list[Site]]:
    """The ends that are in ``paths``, and the others."""
    ends = [site for group in groups for site in group]
    return [site for site in ends if site.path in paths], [site for site in ends if site.path not in paths]


def _names(sites: Iterable[Site]) -> str:
    return " and ".join(fold(site.path for site in sites))


def _tied(blueprint: Blueprint) -> Iterator[list[Site]]:
    """The embeddings and heads that share a matrix, group by group."""
    groups: dict[str, list[Site]] = {}
    for site in blueprint.sites:
        for weight in site.weights:
            if weight.tied_to is not None and len(weight.shape) >= 2:
                owner = blueprint.by_path[weight.tied_to.rpartition(".")[0]]
                groups.setdefault(weight.tied_to, [owner]).append(site)
    for ends in groups.values():
        if any(site.kind in (Kind.EMBEDDING, Kind.HEAD) for site in ends):
            yield ends


def _remedies(blueprint: Blueprint, trial: Trial, touched: Sequence[Site], rest: Sequence[Site]) -> Iterator[Remedy]:
    lora = trial.plan.lora
    leaves = {site.leaf for site in (*touched, *rest)}
    frozen = {key: _without(lora.get(key), leaves) for key in ("target_modules", "modules_to_save")}
    changed = [key for key in frozen if frozen[key] != lora.get(key)]
    has_targets = frozen["target_modules"] != []
    if changed and has_targets:
        yield Remedy(changed[0], "leave both ends frozen", frozen[changed[0]], plan={**lora, **frozen})
    else:
        yield Remedy("target_modules", "leave both ends frozen: the recipe below", by_recipe=True)
    if not blueprint.training.fusing:  # whose trainers do not take a head with rows of its own
        yield Remedy("setting", "for added tokens: trainable_token_indices trains their rows at both ends")
    if has_targets and any("ensure_weight_tying" in notice for notice in trial.notices):
        saved = [*(frozen["modules_to_save"] or ()), *dict.fromkeys(site.leaf for site in touched)]
        text = "to train the whole embedding: modules_to_save with ensure_weight_tying=True, which keeps one weight"
        tied = {**lora, **frozen, "modules_to_save": saved, "ensure_weight_tying": True}
        yield Remedy("modules_to_save", text, saved, plan=tied)


def _without(setting: Any, leaves: Collection[str]) -> Any:
    """A list of names without those whose last part is one of ``leaves``; anything else as it is."""
    if not isinstance(setting, (list, tuple)):
        return setting
    return [name for name in setting if str(name).rpartition(".")[2] not in leaves]
