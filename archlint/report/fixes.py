"""A remedy in words: how sure it is, and what it changes, in the user's file or in a LoraConfig."""

from __future__ import annotations

from collections.abc import Iterator

from archlint.core.finding import Edit, Finding, Remedy
from archlint.core.report import Report
from archlint.report.quoting import one_line, visible
from archlint.report.snippet import assignment
from archlint.report.wording import line

_ARGUMENTS = ("target_modules", "target_parameters", "exclude_modules", "modules_to_save")


def assurance(remedy: Remedy) -> str:
    """``exact``, ``lossy``, or either of them ``proven``."""
    return f"{remedy.safety.value}, proven" if remedy.proven else remedy.safety.value


def is_argument(remedy: Remedy) -> bool:
    """Whether it is one argument of a LoraConfig, to be shown as such: not what the recipe or a file's line shows."""
    return remedy.kind in _ARGUMENTS and remedy.value is not None and not remedy.by_recipe and not remedy.edits


def change(edit: Edit) -> str:
    """What the line of ``edit`` is to say: ``lora_target_modules: [q_proj]``, or ``take out lora_dropout``."""
    return visible(edit.text) if edit.text else f"take out {visible(edit.key)}"


def told(finding: Finding) -> Iterator[str]:
    """All remedies of ``finding`` in lines of text: ``fix (exact, proven): …``, and below what it changes."""
    for remedy in finding.remedies:
        yield f"fix ({assurance(remedy)}): {one_line(remedy.text)}"
        yield from (f"  {line(edit)}  {change(edit)}" for edit in remedy.edits)
        if is_argument(remedy):
            yield f"  {visible(assignment(remedy.kind, remedy.value))}"


def told_alone(finding: Finding, report: Report) -> Iterator[str]:
    """The same where no report stands below: with the recipe, if that is a remedy."""
    yield from told(finding)
    if report.recipe is not None and any(remedy.by_recipe for remedy in finding.remedies):
        arguments = (assignment(name, value) for name, value in report.recipe.plan.lora.items())
        yield visible(f"recipe: LoraConfig({', '.join(arguments)})")
