"""ARC402: the model does not say what its embeddings are, which PEFT and others ask it for."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint, Kind
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, quote


class NoOutputEmbeddings(Rule):
    """A language model gives no output embeddings, or raises when it is asked for its input embeddings.

    ## What it does
    Asks the class in the way that PEFT does: `get_input_embeddings()` and `get_output_embeddings()`.

    ## Why it matters
    PEFT asks for the input embeddings before it places any adapter, so a class that raises there takes none at
    all. Without output embeddings nothing is raised: `all-linear` then takes the head for one more linear layer
    and adapts it, resizing the vocabulary leaves it as it is, and losses that are computed from the head's
    weight cannot be used.

    ## What to do
    Where it raises, give the class the method before `get_peft_model`; it needs to return the embedding module.
    Where there are no output embeddings, name the head in `exclude_modules`.
    """

    code = "ARC402"
    name = "no-output-embeddings"
    severity = Severity.ERROR
    why = "PEFT asks every model for its embeddings before it places an adapter."
    fires = (
        Example(
            "toy:heads.Shy",
            severity=Severity.ERROR,
            says="get_input_embeddings() of Shy raises NotImplementedError: ask somebody else",
            fix=Remedy(
                "patch",
                "give the class the method before get_peft_model",
                "type(model).get_input_embeddings = lambda self: self.get_submodule('model.embed_tokens')",
            ),
        ),
        Example("toy:heads.Headless", severity=Severity.INFO),
    )
    silent = (Example("toy:heads.Untied"), Example("toy:heads.classifier"), Example("toy:projections.Dense"))

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        facts = blueprint.facts
        refused = [trial for trial in blueprint.trials if cause(blueprint, trial) is Cause.EMBEDDINGS]
        if facts.embeddings_error is not None and (refused or facts.is_generative):
            yield self.finding(
                f"get_input_embeddings() of {blueprint.model.class_name} raises {facts.embeddings_error}",
                severity=Severity.ERROR if refused else Severity.INFO,
                evidence=Evidence.INJECTED if refused else Evidence.STATIC,
                remedies=[_method(blueprint)],
                proof=[quote(trial) for trial in refused],
            )
        elif facts.is_generative and facts.output_embeddings is None:
            yield self.finding(
                f"get_output_embeddings() of {blueprint.model.class_name} gives none: all-linear adapts its head too",
                severity=Severity.INFO,
            )


def _method(blueprint: Blueprint) -> Remedy:
    tables = blueprint.select(Kind.EMBEDDING)
    largest = max(tables, key=lambda site: site.size, default=None)
    returned = f"self.get_submodule({largest.path!r})" if largest is not None else "None"
    code = f"type(model).get_input_embeddings = lambda self: {returned}"
    return Remedy("patch", "give the class the method before get_peft_model", code)
