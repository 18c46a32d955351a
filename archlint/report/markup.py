"""Text that archlint did not write, in GitHub-flavoured Markdown: nothing in it is markup, a link or a mention.

GitHub looks for mentions, references and emoji in what Markdown comes to, after escapes and entities are gone; in code
it looks for none. So every word that is not plain becomes code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from archlint.report.quoting import one_line, visible

_PLAIN = re.compile(
    r"""
    (?!.*www\.)  # a host
    (?!.*[0-9a-f]{7})  # the beginning of a commit's hash
    (?!.*-\d)  # a reference, such as GH-7
    (?:[^\W_]|['"’.,;()%+×→…–—·?!-])*
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Words in which GitHub sees nothing."""
_STOPS = ".;:!?…"
_TICKS = re.compile("`+")
_LEAST_FENCE = 3


def prose(text: str) -> str:
    """``text`` on one line, which is to follow other text on its line; words that are not plain are code."""
    return " ".join(_told(one_line(text).split(" ")))


def _told(words: Sequence[str]) -> Iterator[str]:
    quoted = ""
    for word in words:
        plain = _PLAIN.fullmatch(_parts(word)[1]) is not None
        if quoted and (plain or quoted[-1] in _STOPS):
            yield _quoted(quoted)
            quoted = ""
        if plain:
            yield word
        else:
            quoted = f"{quoted} {word}" if quoted else word
    if quoted:
        yield _quoted(quoted)


def _quoted(words: str) -> str:
    before, bare, behind = _parts(words)
    return f"{before}{code(bare)}{behind}"


def _parts(words: str) -> tuple[str, str, str]:
    """Words between what belongs to the sentence around them: a bracket without the other, and what ends a clause."""
    bare = words.rstrip(f",{_STOPS}")
    behind = words[len(bare) :]
    before = ""
    if bare.startswith("(") and bare.count("(") > bare.count(")"):
        before, bare = "(", bare[1:]
    if bare.endswith(")") and bare.count(")") > bare.count("("):
        bare, behind = bare[:-1], f"){behind}"
    return before, bare, behind


def code(text: str) -> str:
    """``text`` as a span of code, between as many backticks as it takes."""
    shown = visible(text) or " "
    ticks = "`" * (_longest(shown) + 1)
    ends = shown[0] + shown[-1]
    padded = "`" in ends or (ends == "  " and shown.strip(" "))  # a space at both ends is taken away, if not all is
    return f"{ticks} {shown} {ticks}" if padded else f"{ticks}{shown}{ticks}"


def fenced(text: str, language: str = "text") -> str:
    """The lines of ``text`` as a block of code, between as many backticks as it takes."""
    shown = "\n".join(map(visible, text.split("\n")))
    ticks = "`" * max(_LEAST_FENCE, _longest(shown) + 1)
    return f"{ticks}{language}\n{shown}\n{ticks}\n"


def row(*cells: str) -> str:
    """A row of a table, of cells that are Markdown: a bar needs a backslash there, in code as well."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def _longest(text: str) -> int:
    """Length of the longest run of backticks."""
    return max(map(len, _TICKS.findall(text)), default=0)
