"""What a rule says of itself: a line in a list, a page of text or of Markdown, or JSON values.

Its example is no part of its documentation in other formats, such as SARIF.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from archlint.core.rule import Rule

_ITEM = re.compile(r"^(?=[-*] )", re.MULTILINE)


class Shown(NamedTuple):
    """An example in words, code and output."""

    code: str
    """What a reader can run."""
    at: str
    """Where in the model something is found; empty where the example does not say."""
    says: str
    """What is found, in a line."""
    model: str
    """The source of the model's class, where it is one of archlint's own; else empty."""
    fix: str
    """A fix in words; empty where there is nothing to mend."""
    change: str
    """The argument of a LoraConfig that is the fix, if one is."""


class RulePage(NamedTuple):
    """What a rule says of itself, as plain data: what is shown of a rule needs no module of rules."""

    code: str
    name: str
    severity: str
    """The worst that it says."""
    summary: str
    why: str
    sections: Mapping[str, str]
    """Of its documentation, by their titles."""
    example: Shown | None
    module: str
    """The one that defines it."""

    @classmethod
    def of(cls, rule: type[Rule], example: Shown | None = None) -> RulePage:
        """What ``rule`` says, with ``example``."""
        told = rule.documentation()
        return cls(
            rule.code, rule.name, rule.severity.value, told.summary, rule.why, told.sections, example, rule.__module__
        )


def entry(rule: RulePage) -> dict[str, Any]:
    """A rule in JSON values."""
    return {**rule._asdict(), "example": None if rule.example is None else rule.example._asdict()}


def read_entry(values: Mapping[str, Any]) -> RulePage:
    """The rule that :func:`entry` gave as ``values``.

    Raises:
        TypeError, KeyError: they are none that it gives.
    """
    example = values["example"]
    return RulePage(**{**values, "example": None if example is None else Shown(**example)})


def listing(rules: Sequence[RulePage], *, width: int | None = None) -> str:
    """One rule a line, in columns; the summary goes on below where it is longer than ``width`` columns."""
    longest = max((len(rule.name) for rule in rules), default=0)
    return "".join(f"{line}\n" for rule in rules for line in _listed(rule, longest, width))


def _listed(rule: RulePage, longest: int, width: int | None) -> list[str]:
    start = f"{rule.code}  {rule.name:<{longest}}  {rule.severity:<7}  "
    if width is None or width - len(start) < 30:
        return [start + rule.summary]
    return textwrap.wrap(rule.summary, width, initial_indent=start, subsequent_indent=" " * len(start))


def page(rule: RulePage, *, width: int, heading: Callable[[str], str] = str) -> str:
    """A rule's documentation for a page of ``width`` columns."""
    lines = [heading(f"{rule.code} {rule.name}") + f" · {rule.severity}", ""]
    lines += _flowed(rule.summary, width, "")
    for title, body in rule.sections.items():
        lines += ["", heading(title), *_flowed(body, width, "  ")]
    return "\n".join(lines) + "\n"


def explanation(rule: RulePage, *, width: int, heading: Callable[[str], str] = str) -> str:
    """:func:`page`, and the rule's example."""
    text = page(rule, width=width, heading=heading)
    if rule.example is None:
        return text
    lines = [text, heading("Example")]
    for number, (words, block, _) in enumerate(_told(rule.example)):
        lines += [""] * (number > 0) + list(_flowed(words, width, "  "))
        lines += ["", textwrap.indent(block, "      ")] if block else []
    return "\n".join(lines) + "\n"


def markdown(rule: RulePage) -> str:
    """A rule's documentation as Markdown, which its docstring is written in."""
    parts = [rule.summary, *(f"## {title}\n{body}" for title, body in rule.sections.items())]
    return "\n\n".join(parts) + "\n"


def document(rule: RulePage) -> str:
    """A rule's page in a folder of Markdown files: its documentation, and its example."""
    title, worst = f"# {rule.code} {rule.name}", f"**{rule.severity}** at worst · [all rules](README.md)"
    parts = [title, worst, markdown(rule).rstrip()]
    if rule.example is not None:
        parts.append("## Example")
        for words, block, language in _told(rule.example):
            parts += [words, f"```{language}\n{block}\n```"] if block else [words]
    return "\n\n".join(parts) + "\n"


def index(rules: Sequence[RulePage]) -> str:
    """A table of rules in Markdown, by family, with links to their pages."""
    families: dict[str, list[RulePage]] = {}
    for rule in rules:
        families.setdefault(_family(rule), []).append(rule)
    parts = ["# Rules"]
    for family, members in families.items():
        rows = (
            f"| [{rule.code}]({file_name(rule)}) | {rule.name} | {rule.severity} | {_cell(rule)} |" for rule in members
        )
        parts.append("\n".join([f"## {family}\n", "| code | name | worst | |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def documents(rules: Sequence[RulePage]) -> Mapping[str, str]:
    """A folder of Markdown files about ``rules``, by name: the index is what is shown for the folder."""
    return {"README.md": index(rules), **{file_name(rule): document(rule) for rule in rules}}


def file_name(rule: RulePage) -> str:
    return f"{rule.code}.md"


def _family(rule: RulePage) -> str:
    """The folder that the rule's module is in."""
    return rule.module.split(".")[-2].capitalize() if "." in rule.module else rule.module


def _cell(rule: RulePage) -> str:
    return rule.summary.replace("|", "\\|")


def _told(example: Shown) -> Iterator[tuple[str, str, str]]:
    """An example in blocks: the words before each, what stands in it, and in which language."""
    yield "This", example.code, "python"
    yield f"finds, at `{example.at}`," if example.at else "finds", example.says, "text"
    if example.model:
        yield "in this model:", example.model, "python"
    if example.fix:
        yield f"A fix: {example.fix}{':' if example.change else '.'}", example.change, "text"


def _flowed(text: str, width: int, indent: str) -> Iterator[str]:
    """Paragraphs and lists wrapped anew; what is indented or fenced stays as it is."""
    for number, block in enumerate(re.split(r"\n[ \t]*\n", text)):
        if number:
            yield ""
        if block.startswith(("    ", "```")):
            yield from textwrap.indent(block, indent).splitlines()
            continue
        for piece in filter(None, _ITEM.split(block)):
            hanging = indent + "  " if _ITEM.match(piece) else indent
            yield from textwrap.wrap(
                piece,
                width,
                initial_indent=indent,
                subsequent_indent=hanging,
                break_long_words=False,
                break_on_hyphens=False,
            )
