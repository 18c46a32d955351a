"""ARC805: the adapter's file holds a whole matrix of the base model, beside the adapter."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.amending import without
from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, quote


class BaseMatrixSaved(Rule):
    """PEFT saves an embedding or a head in full, since the plan adapts it.

    ## What it does
    Asks PEFT what `save_pretrained` would write for the plan, and compares it with the adapter's own weights.

    ## Why it matters
    Where the plan targets `embed_tokens`, `lm_head` or an embedding of another common name, PEFT takes it that the
    vocabulary has been changed, and puts the frozen weight of the base model into the file as well: a gigabyte
    for a large vocabulary, beside some megabytes of adapter, and again in each checkpoint.

    ## What to do
    Nothing, if the vocabulary was resized: the file is of no use without the new rows. Otherwise leave the module
    out of the targets, or save with `save_embedding_layers=False`.
    """

    code = "ARC805"
    name = "base-matrix-saved"
    severity = Severity.INFO
    why = "The weight is frozen and comes with the base model: in the file it takes space, in each checkpoint again."
    fires = (
        Example(
            "toy:heads.Untied",
            plan={"target_modules": ["q_proj", "lm_head"]},
            at="lm_head",
            says="PEFT saves the base model's lm_head in full: 0.0 MB of 0.0 MB",
            fix=Remedy("target_modules", "leave lm_head out", ["q_proj"]),
        ),
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj", "embed_tokens"]}, at="model.embed_tokens"),
        Example("toy:heads.Untied", plan={"target_modules": r".*(q_proj|lm_head)"}, at="lm_head"),
    )
    silent = (
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj"]}),
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
        Example(
            "toy:heads.Untied", plan={"target_modules": ["q_proj", "embed_tokens"], "trainable_token_indices": [1]}
        ),
        Example("toy:heads.Untied"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        plan = blueprint.plan
        if plan is None or not plan.carried or plan.size is None:
            return
        sites = [blueprint.by_path[path] for path in plan.carried]
        names = ", ".join(site.leaf for site in sites)
        weights = sum(plan.carried.values())
        yield self.finding(
            f"PEFT saves the base model's {names} in full: {_megabytes(weights)} of {_megabytes(plan.size)}",
            sites=sites,
            evidence=Evidence.INJECTED,
            remedies=[
                *without([plan], plan.carried.keys(), f"leave {names} out"),
                Remedy("other", "without new rows: model.save_pretrained(folder, save_embedding_layers=False)"),
            ],
            proof=[quote(plan)],
        )


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"
