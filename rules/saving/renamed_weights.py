"""ARC802: the weights of a published adapter do not fit the base model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from archlint.core.blueprint import Blueprint
from archlint.core.checkpoint import AdapterWeights
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.folding import fold
from archlint.core.rule import Example, Rule

_MOST = 3


class RenamedWeights(Rule):
    """Keys in an adapter's file have no place in its base model, or places get no weights.

    ## What it does
    Loads the names and shapes of a published adapter as PEFT's `from_pretrained` does, on the meta device, and
    compares what was taken with what PEFT itself would save of a fresh adapter with these settings.

    ## Why it matters
    PEFT passes over keys that match nothing without a word, and what gets no weights stays as it was initialised:
    the adapter loads, and does nothing there. It happens where modules were renamed since the adapter was saved, as
    in version 5 of transformers. Shapes that differ raise.

    ## What to do
    Load it with the `key_mapping` below, where one was found that makes every key fit, or with the version of
    transformers that it was trained with.
    """

    code = "ARC802"
    name = "renamed-weights"
    severity = Severity.ERROR
    why = "PEFT passes over keys that match nothing, and what gets no weights stays as it was initialised."
    fires = (
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"]},
            severity=Severity.WARNING,
            weights=AdapterWeights("a", 1, ignored=("base_model.model.old.q_proj.lora_A.weight",)),
        ),
    )
    silent = (
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj"]}, weights=AdapterWeights("a", 1)),
        Example("toy:projections.Dense", plan={"target_modules": ["q_proj"]}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        weights = blueprint.weights
        if weights is None or weights.fits:
            return
        parts = []
        if weights.raised is not None:
            parts.append(f"loading raises {' '.join(str(weights.raised).split())[:200]}")
        if weights.ignored:
            parts.append(f"{len(weights.ignored)} of {weights.count} keys match nothing ({_folded(weights.ignored)})")
        if weights.missing:
            parts.append(f"{len(weights.missing)} places get no weights ({_folded(weights.missing)})")
        if weights.mismatched:
            first = weights.mismatched[0]
            clash = f"{first.key} is {list(first.file)}, and {list(first.model)} in the model"
            parts.append(f"{len(weights.mismatched)} shapes differ ({clash})")
        mended = weights.raised is None or weights.rows is not None
        yield self.finding(
            "; ".join(parts),
            severity=Severity.WARNING if mended else Severity.ERROR,
            evidence=Evidence.INJECTED,
            remedies=list(_remedies(weights)),
            proof=[f"{weights.file} loaded by name and shape"],
            settings=["target_modules"],
        )


def _remedies(weights: AdapterWeights) -> Iterable[Remedy]:
    if weights.key_mapping:
        mapping = dict(weights.key_mapping)
        yield Remedy("other", f"load it with key_mapping={mapping}", mapping, proven=True)
    if weights.rows is not None:
        text = f"model.resize_token_embeddings({weights.rows}) before it is loaded"
        yield Remedy("other", text, weights.rows, proven=True)
    if not weights.key_mapping and weights.rows is None:
        yield Remedy("upgrade", "load it with the versions of transformers and peft that it was trained with")


def _folded(keys: Sequence[str]) -> str:
    patterns = fold([re.sub(r"^base_model\.model\.", "", key) for key in keys])
    more = f" and {len(patterns) - _MOST} more" if len(patterns) > _MOST else ""
    return ", ".join(patterns[:_MOST]) + more
