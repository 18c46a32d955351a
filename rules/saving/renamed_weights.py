"""ARC802: the weights of a published adapter do not fit the base model."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from archlint.core.blueprint import Blueprint
from archlint.core.checkpoint import PREFIX, AdapterWeights, Mismatch
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.folding import fold
from archlint.core.rule import Example, Rule

_MOST = 3

_RAISES = "PEFT raises where a tensor of the file has another shape than the model: the adapter does not load."
_LOST = "PEFT passes over keys that match nothing without a word: the adapter loads, and does nothing at all."


class RenamedWeights(Rule):
    """Keys in an adapter's file have no place in its base model, places get no weights, or shapes differ.

    ## What it does
    Loads the names and shapes of a published adapter as PEFT's `from_pretrained` does, on the meta device, and
    compares what was taken with what PEFT itself would save of a fresh adapter with these settings.

    ## Why it matters
    PEFT passes over keys that match nothing without a word, and what gets no weights stays as it was initialised:
    the adapter loads, and does nothing there. It happens where modules were renamed since the adapter was saved, as
    in version 5 of transformers, and where the file was saved by other means than PEFT's, without its prefix. Shapes
    that differ raise, as with another `r` in the settings than in the file.

    ## What to do
    What was found to help is below: a `key_mapping` to load it with, the rank that the file has, the prefix that its
    keys lack. Else load it with the version of transformers that it was trained with, or save it again.

    ## Example
    An adapter for the query projections whose keys do not begin with PEFT's prefix, in the folder `my-adapter`:

        archlint my-adapter

    finds

        1 of 1 keys match nothing: base_model.model. is missing before them (layers.0.q_proj.lora_A.weight)

    A fix: put base_model.model. before every key of the file.
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
            weights=AdapterWeights("a", 2, ignored=("base_model.model.old.q_proj.lora_A.weight",)),
        ),
        Example(
            "toy:projections.Dense",
            plan={"target_modules": ["q_proj"]},
            severity=Severity.ERROR,
            weights=AdapterWeights("a", 1, ignored=("layers.0.q_proj.lora_A.weight",), prefix="base_model.model."),
            says="1 of 1 keys match nothing: base_model.model. is missing before them (layers.0.q_proj.lora_A.weight)",
            fix=Remedy("other", "put base_model.model. before every key of the file", "base_model.model."),
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
        raises = weights.raised is not None and weights.rows is None
        yield self.finding(
            "; ".join(_faults(weights)),
            severity=Severity.ERROR if raises or weights.is_lost else Severity.WARNING,
            evidence=Evidence.INJECTED,
            remedies=list(_remedies(weights)),
            proof=[f"{weights.file} loaded by name and shape"],
            why=_RAISES if weights.mismatched else _LOST if weights.is_lost else None,
            settings=_at_fault(weights),
        )


def _faults(weights: AdapterWeights) -> Iterator[str]:
    if weights.mismatched:
        raised = f"loading raises {weights.raised.type}: " if weights.raised is not None else ""
        yield f"{raised}{len(weights.mismatched)} shapes differ ({_clash(weights.mismatched[0])})"
    elif weights.raised is not None:
        yield f"loading raises {textwrap.shorten(str(weights.raised), 200, placeholder=' …')}"
    if weights.prefix:
        yield (
            f"{len(weights.ignored)} of {weights.count} keys match nothing: "
            f"{weights.prefix} is missing before them ({_folded(weights.ignored)})"
        )
    elif weights.ignored:
        yield f"{len(weights.ignored)} of {weights.count} keys match nothing ({_folded(weights.ignored)})"
    if weights.missing:
        which = "" if weights.prefix else f" ({_folded(weights.missing)})"
        yield f"{len(weights.missing)} places get no weights{which}"


def _clash(first: Mismatch) -> str:
    return f"{first.key} is {list(first.file)} in the file, and {list(first.model)} in the model"


def _remedies(weights: AdapterWeights) -> Iterator[Remedy]:
    if weights.key_mapping:
        mapping = dict(weights.key_mapping)
        yield Remedy("other", f"load it with key_mapping={mapping}", mapping, proven=True)
    if weights.rows is not None:
        text = f"model.resize_token_embeddings({weights.rows}) before it is loaded"
        yield Remedy("other", text, weights.rows, proven=True)
    if weights.rank is not None:
        text = f"r is {weights.rank} in the file: correct r in adapter_config.json"
        yield Remedy("setting", text, {"r": weights.rank}, proven=True)
    if weights.prefix:
        yield Remedy("other", f"put {weights.prefix} before every key of the file", weights.prefix, proven=True)
    if not (weights.key_mapping or weights.prefix or weights.rows is not None or weights.rank is not None):
        yield _unproven(weights)


def _unproven(weights: AdapterWeights) -> Remedy:
    """What may help, by what is wrong: only names that changed on both sides speak of another version."""
    if weights.mismatched:
        return Remedy("other", "correct the ranks in adapter_config.json, or its base model: the file has other shapes")
    if not weights.ignored and weights.raised is None:
        return Remedy("other", "save the adapter again: the file lacks what its settings name")
    if not weights.missing and weights.raised is None:
        return Remedy("other", "correct the targets in adapter_config.json: the file holds more than they name")
    return Remedy("upgrade", "load it with the versions of transformers and peft that it was trained with")


def _at_fault(weights: AdapterWeights) -> list[str]:
    """The settings to be corrected, where it is one of these and not the file of the weights."""
    if weights.rank is not None:
        return ["r"]
    return ["target_modules"] if weights.ignored and not weights.missing else []


def _folded(keys: Sequence[str]) -> str:
    """The keys in short, without PEFT's prefix where all of them have it."""
    have_prefix = all(key.startswith(PREFIX) for key in keys)
    patterns = fold([key.removeprefix(PREFIX) if have_prefix else key for key in keys])
    more = f" and {len(patterns) - _MOST} more" if len(patterns) > _MOST else ""
    return ", ".join(patterns[:_MOST]) + more
