"""ARC703: without a key-value cache the model raises, or computes something else."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule, listed
from archlint.core.runs import located


class CacheDependent(Rule):
    """With `use_cache=False`, as trainers run a model, it raises or computes something else than with a cache.

    ## What it does
    Runs the model's training step with `use_cache=False` and with `use_cache=True`, and compares what was called.

    ## Why it matters
    Many trainers set `use_cache=False`, and gradient checkpointing does so in any case, while the model was made,
    and will be used, with a cache. Where layers share keys and values through the cache, a model without one may
    compute them anew with weights that were never trained for it: the loss starts far too high and the adapters
    learn to mend that. The known case is `google/gemma-4-E2B-it` with transformers before 5.5.2.

    ## What to do
    Upgrade transformers. Where that is no choice, train with `use_cache=True` and without gradient checkpointing.
    """

    code = "ARC703"
    name = "cache-dependent"
    severity = Severity.ERROR
    why = "Trainers and gradient checkpointing run the model without a cache, and it is used with one."
    fires = (
        Example(
            "toy:running.CacheBound",
            severity=Severity.ERROR,
            says="without a cache CacheBound raises AttributeError: 'SharingAttention' object has no attribute "
            "'k_proj' …",
            fix=Remedy(
                "upgrade", "upgrade transformers: archlint explain ARC703 has the version that mended the known case"
            ),
        ),
        Example("toy:running.CacheSharing", at="layers.1.{k,v}_proj", severity=Severity.WARNING),
    )
    silent = (Example("toy:projections.Dense"),)

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        baseline = blueprint.baseline
        name = blueprint.model.class_name
        if baseline.cache is not None:
            finding = self.finding(
                f"without a cache {name} raises {baseline.cache}",
                evidence=Evidence.FORWARDED,
                remedies=_REMEDIES,
                proof=[f"use_cache=False → {baseline.cache}", "use_cache=True → forward and backward run"],
            )
            yield located(finding, baseline.cache)
        if baseline.cached:
            sites = [blueprint.by_path[path] for path in baseline.cached if path in blueprint.by_path]
            yield self.finding(
                f"without a cache {name} also calls {listed(path.rpartition('.')[2] for path in baseline.cached)}: "
                "it computes something else than with one",
                sites=sites,
                severity=Severity.WARNING,
                evidence=Evidence.FORWARDED,
                remedies=_REMEDIES,
                proof=[f"use_cache=False → {len(baseline.cached)} modules are called that use_cache=True leaves out"],
            )


_REMEDIES = (
    Remedy("upgrade", "upgrade transformers: archlint explain ARC703 has the version that mended the known case"),
    Remedy("setting", "or train with use_cache=True and without gradient checkpointing"),
)
