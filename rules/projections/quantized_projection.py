"""ARC108: the weights are published quantized, and adapters go on the quantized layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Severity
from archlint.core.rule import Example, Rule


class QuantizedProjection(Rule):
    """The config has a `quantization_config`: the weights come in a quantized form.

    ## What it does
    Says how the weights are quantized, and asks the installed libraries three things: whether transformers knows
    the method, what PEFT does with its layers, and whether transformers lets adapters be trained on them. For
    the second, the method is applied to a small model on the meta device where its own package is not needed
    for that; else PEFT's LoRA layers are looked through for one of that method.

    ## Why it matters
    Adapters are put on the layers that the quantization leaves in place of the linears. PEFT takes these where
    it has a layer for the method, or where they are still an `nn.Linear` by type.

    ## What to do
    Everything else in the report holds for the model as it is built before quantization. Where transformers
    does not train on the method, load the model dequantized, or a copy in 16 bits.
    """

    code = "ARC108"
    name = "quantized-projection"
    severity = Severity.INFO
    why = "Adapters go on the quantized layers, so PEFT and transformers must both support the method."
    fires = (
        Example(
            "toy:projections.Quantized",
            severity=Severity.INFO,
            says="published quantized with gptq (4 bits); PEFT has LoRA layers for it",
        ),
        Example("toy:projections.QuantizedInBlocks", severity=Severity.INFO),
        Example("toy:projections.QuantizedUnknown", severity=Severity.INFO),
    )
    silent = (Example("toy:projections.Dense"),)

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        facts = blueprint.facts.quantization
        if facts:
            yield self.finding("; ".join(_sentences(facts)))


def _sentences(facts: Mapping[str, str]) -> Iterator[str]:
    details = f" ({facts['details']})" if facts["details"] else ""
    spared = facts["spared"].split(", ") if facts["spared"] else []
    rest = f" and {len(spared) - 1} more" if len(spared) > 1 else ""
    yield f"published quantized with {facts['method']}{details}" + (f", but not {spared[0]}{rest}" if spared else "")
    if facts["known"] == "no":
        yield "the installed transformers does not know this method"
    elif facts["peft"] == "own":
        yield "PEFT has LoRA layers for it"
    elif facts["peft"] == "linear":
        yield f"PEFT adapts its {facts['layer']}, an nn.Linear by type"
    elif facts["peft"] == "refused":
        yield f"PEFT has no adapter for its {facts['layer']}"
    else:
        yield "PEFT has no LoRA layer of its own for it"
    if facts["trainable"] == "no":
        yield "transformers trains no adapters on it, so load it dequantized"
