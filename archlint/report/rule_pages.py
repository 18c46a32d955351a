"""What a rule says of itself: a line in a list, a page of text or of Markdown, or JSON values."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from archlint.core.rule import Rule

_ITEM = re.compile(r"^(?=[-*] )", re.MULTILINE)


def entry(rule: type[Rule]) -> dict[str, Any]:
    """A rule in JSON values."""
    documentation = rule.documentation()
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity.value,
        "summary": documentation.summary,
        "why": rule.why,
        "sections": dict(documentation.sections),
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


def markdown(rule: type[Rule]) -> str:
    """A rule's documentation as Markdown, which its docstring is written in."""
    documentation = rule.documentation()
    parts = [documentation.summary, *(f"## {title}\n{body}" for title, body in documentation.sections.items())]
    return "\n\n".join(parts) + "\n"


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
