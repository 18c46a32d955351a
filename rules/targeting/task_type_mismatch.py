"""ARC514: the plan's task type does not fit the class of the model."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.refusals import Cause, cause
from archlint.core.rule import Example, Rule, listed, quote
from archlint.core.trial import Trial

_GENERATIVE = ("CAUSAL_LM", "SEQ_2_SEQ_LM")
_WITH_HEAD = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")


class TaskTypeMismatch(Rule):
    """The `task_type` of the plan belongs to another kind of class.

    ## What it does
    Compares the task type with what the class can do: generate text, with an encoder or without one, or answer
    by a head that starts at random.

    ## Why it matters
    For `CAUSAL_LM` and `SEQ_2_SEQ_LM` PEFT needs `prepare_inputs_for_generation` and raises without it. The one
    in the place of the other trains the same way, but the adapter is stored for a class that the model is not,
    and `AutoPeftModelForCausalLM` or `AutoPeftModelForSeq2SeqLM` refuses to load it. A task type with a head
    (`SEQ_CLS`, `TOKEN_CLS`, `QUESTION_ANS`) saves that head; a language model has none.

    ## What to do
    Give the type that fits the class, or none. If another class is to be trained than the config names, check
    that one: `--class`.
    """

    code = "ARC514"
    name = "task-type-mismatch"
    severity = Severity.ERROR
    why = "PEFT chooses its own model class by the task type, when it trains and again when the adapter is loaded."
    fires = (
        Example(
            "toy:heads.classifier",
            plan={"target_modules": ["query"], "task_type": "CAUSAL_LM"},
            severity=Severity.ERROR,
            says="CAUSAL_LM needs a class that generates, and BertForSequenceClassification does not",
            fix=Remedy("setting", "task_type='SEQ_CLS'", "SEQ_CLS"),
        ),
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj"], "task_type": "LM"}, severity=Severity.ERROR),
        Example(
            "toy:heads.Untied",
            plan={"target_modules": ["q_proj"], "task_type": "SEQ_2_SEQ_LM"},
            severity=Severity.WARNING,
        ),
        Example(
            "toy:heads.Untied", plan={"target_modules": ["q_proj"], "task_type": "SEQ_CLS"}, severity=Severity.INFO
        ),
    )
    silent = (
        Example("toy:heads.Untied", plan={"target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}),
        Example("toy:heads.classifier", plan={"target_modules": ["query"], "task_type": "SEQ_CLS"}),
        Example("toy:heads.Untied"),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        plan = blueprint.plan
        given = plan.plan.lora.get("task_type") if plan is not None else None
        if plan is None or given is None:
            return
        name = blueprint.model.class_name
        facts = blueprint.facts
        fitting = _fitting(blueprint)
        if cause(blueprint, plan) is Cause.TASK_TYPE and plan.raised is not None:
            known = given in _GENERATIVE
            message = f"{given} needs a class that generates, and {name} does not" if known else plan.raised.message
            yield self._finding(plan, message, Severity.ERROR, fitting)
        elif given in _GENERATIVE and given != fitting:
            article = "an encoder-decoder" if facts.is_encoder_decoder else "no encoder-decoder"
            message = f"{given} does not fit {name}, which is {article}: the adapter will not load by its task type"
            yield self._finding(plan, message, Severity.WARNING, fitting)
        elif given in _WITH_HEAD and not facts.new_heads:
            saved = [entry.value for entry in plan.entries if entry.setting == "modules_to_save" and not entry.reaches]
            lost = f", so that {listed(saved)} in modules_to_save reaches nothing" if saved else ""
            message = f"{given} trains a head of its own, and {name} has none{lost}; is another class to be trained?"
            meant = facts.task_classes.get(given)
            remedies = [Remedy("other", f"check the class with that head: --class {meant}", meant)] if meant else []
            yield self.finding(message, severity=Severity.INFO, remedies=remedies, settings=["task_type"])

    def _finding(self, plan: Trial, message: str, severity: Severity, fitting: str | None) -> Finding:
        text = f"task_type={fitting!r}" if fitting is not None else "leave task_type out"
        remedy = Remedy("setting", text, fitting, plan={**plan.plan.lora, "task_type": fitting})
        return self.finding(
            message, severity=severity, evidence=Evidence.INJECTED, remedies=[remedy], proof=[quote(plan)]
        )


def _fitting(blueprint: Blueprint) -> str | None:
    facts = blueprint.facts
    if facts.is_generative:
        return "SEQ_2_SEQ_LM" if facts.is_encoder_decoder else "CAUSAL_LM"
    return "SEQ_CLS" if facts.new_heads else None
