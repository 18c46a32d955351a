"""What a rule says of itself: a line in a list, a page of text or of Markdown, or JSON values.

Its example is no part of its documentation in other formats, such as SARIF.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archlint.core.rule import Rule
from archlint.report.rule_examples import Shown, shown

_ITEM = re.compile(r"^(?=[-*] )", re.MULTILINE)


def entry(rule: type[Rule]) -> dict[str, Any]:
    """A rule in JSON values."""
    documentation = rule.documentation()
    example = shown(rule)
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity.value,
        "summary": documentation.summary,
        "why": rule.why,
        "sections": dict(documentation.sections),
        "example": None if example is None else dataclasses.asdict(example),
        "module": rule.__module__,
    }


def listing(rules: Sequence[type[Rule]], *, width: int | None = None) -> str:
    """One rule a line, in columns; the summary goes on below where it is longer than ``width`` columns."""
    longest = max((len(rule.name) for rule in rules), default=0)
    return "".join(f"{line}\n" for rule in rules for line in _listed(rule, longest, width))


def _listed(rule: type[Rule], longest: int, width: int | None) -> list[str]:
    start = f"{rule.code}  {rule.name:<{longest}}  {rule.severity.value:<7}  "
    summary = rule.documentation().summary
    if width is None or width - len(start) < 30:
        return [start + summary]
    return textwrap.wrap(summary, width, initial_indent=start, subsequent_indent=" " * len(start))


def page(rule: type[Rule], *, width: int, heading: Callable[[str], str] = str) -> str:
    """A rule's documentation for a page of ``width`` columns."""
    documentation = rule.documentation()
    lines = [heading(f"{rule.code} {rule.name}") + f" · {rule.severity.value}", ""]
    lines += _flowed(documentation.summary, width, "")
    for title, body in documentation.sections.items():
        lines += ["", heading(title), *_flowed(body, width, "  ")]
    return "\n".join(lines) + "\n"


def explanation(rule: type[Rule], *, width: int, heading: Callable[[str], str] = str) -> str:
    """:func:`page`, and the rule's example."""
    text = page(rule, width=width, heading=heading)
    example = shown(rule)
    if example is None:
        return text
    lines = [text, heading("Example")]
    for number, (words, block, _) in enumerate(_told(example)):
        lines += [""] * (number > 0) + list(_flowed(words, width, "  "))
        lines += ["", textwrap.indent(block, "      ")] if block else []
    return "\n".join(lines) + "\n"


def markdown(rule: type[Rule]) -> str:
    """A rule's documentation as Markdown, which its docstring is written in."""
    documentation = rule.documentation()
    parts = [documentation.summary, *(f"## {title}\n{body}" for title, body in documentation.sections.items())]
    return "\n\n".join(parts) + "\n"


def document(rule: type[Rule]) -> str:
    """A rule's page in a folder of Markdown files: its documentation, and its example."""
    title, worst = f"# {rule.code} {rule.name}", f"**{rule.severity.value}** at worst · [all rules](README.md)"
    parts = [title, worst, markdown(rule).rstrip()]
    example = shown(rule)
    if example is not None:
        parts.append("## Example")
        for words, block, language in _told(example):
            parts += [words, f"```{language}\n{block}\n```"] if block else [words]
    return "\n\n".join(parts) + "\n"


def index(rules: Sequence[type[Rule]]) -> str:
    """A table of rules in Markdown, by family, with links to their pages."""
    families: dict[str, list[type[Rule]]] = {}
    for rule in rules:
        families.setdefault(_family(rule), []).append(rule)
    parts = ["# Rules"]
    for family, members in families.items():
        rows = (
            f"| [{rule.code}]({file_name(rule)}) | {rule.name} | {rule.severity.value} | {_cell(rule)} |"
            for rule in members
        )
        parts.append("\n".join([f"## {family}\n", "| code | name | worst | |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def documents(rules: Sequence[type[Rule]]) -> Mapping[str, str]:
    """A folder of Markdown files about ``rules``, by name: the index is what is shown for the folder."""
    return {"README.md": index(rules), **{file_name(rule): document(rule) for rule in rules}}


def file_name(rule: type[Rule]) -> str:
    return f"{rule.code}.md"


def _family(rule: type[Rule]) -> str:
    """The folder that the rule's module is in."""
    return rule.__module__.split(".")[-2].capitalize() if "." in rule.__module__ else rule.__module__


def _cell(rule: type[Rule]) -> str:
    return rule.documentation().summary.replace("|", "\\|")


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
