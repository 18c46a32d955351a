"""ARC803: the model names classes for FSDP to wrap that no module of it has."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint, Site
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.rule import Example, Rule


class WrapClass(Rule):
    """`_no_split_modules` lists a class that is not in the model.

    ## What it does
    Compares the classes in `_no_split_modules` with those of the modules that were built.

    ## Why it matters
    FSDP's automatic wrapping takes its classes from there, and raises at one that it does not find in the model.
    Training on one GPU, and device maps, are not affected.

    ## What to do
    Name the layers yourself: `fsdp_transformer_layer_cls_to_wrap` in accelerate, `transformer_layer_cls_to_wrap`
    in the Trainer's `fsdp_config`.
    """

    code = "ARC803"
    name = "wrap-class"
    severity = Severity.INFO
    why = "FSDP's automatic wrapping raises at a class that it does not find in the model."
    fires = (
        Example(
            "toy:saving.Misnamed",
            severity=Severity.INFO,
            says="no module has the class DecoderLayer, which _no_split_modules names",
            fix=Remedy("setting", "fsdp_transformer_layer_cls_to_wrap=Attention", "Attention"),
        ),
    )
    silent = (Example("toy:saving.Named"), Example("toy:projections.Dense"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        missing = blueprint.facts.missing_wrap_classes
        if missing:
            layers = ",".join(dict.fromkeys(site.type.name for site in blueprint.sites if _is_layer(site)))
            remedy = Remedy("setting", f"fsdp_transformer_layer_cls_to_wrap={layers}", layers)
            yield self.finding(
                f"no module has the class {' or '.join(missing)}, which _no_split_modules names",
                remedies=[remedy] if layers else [],
            )


def _is_layer(site: Site) -> bool:
    """Whether the site is one of a list of layers at the top of a stack."""
    return site.leaf.isdigit() and "container" in site.traits and not any(p.isdigit() for p in site.parent.split("."))
