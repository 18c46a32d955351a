"""Read what comments in Python code say to archlint, and at which class they stand."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Location
from archlint.syntax import parsed

_OURS = re.compile(r"#\s*archlint\s*:\s*(.*?)(?=\s#\s|$)", re.IGNORECASE | re.MULTILINE)
"""What is said to archlint: up to the end of the comment, or to what is said to another tool."""
_IGNORE = re.compile(r"ignore\s*\[([^\]]*)\][\s:–—-]*(.*)", re.IGNORECASE)
_LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment to archlint."""

    location: Location
    said: str
    """Without what marks it as one to archlint."""
    names: tuple[str, ...] = ()
    """Codes, shortened ones and names of rules, each once; none where it does not say ``ignore[…]``."""
    reason: str = ""
    class_line: int | None = None
    """The line of the ``class`` keyword of the statement that it stands at; ``None`` where it stands at none."""
    class_name: str = ""


def read(blueprint: Blueprint) -> tuple[Comment, ...]:
    """The comments in the files that define classes of the model, those of installed packages left out."""
    # files of installed packages are named from there
    files = dict.fromkeys(file for site in blueprint.sites if (file := site.type.file) and Path(file).is_absolute())
    return tuple(comment for file in files for comment in comments(file, _text(file)))


def _text(file: str) -> str:
    """The text of a Python file, where it can be read."""
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except (OSError, SyntaxError, ValueError):  # a coding that is unknown is a SyntaxError
        return ""


def comments(file: str, text: str) -> Iterator[Comment]:
    """The comments to archlint in the Python ``text`` of ``file``; none where it is no Python.

    One stands at a class where it is on a line of the statement, from the first decorator to the colon, or in the
    block of comments directly above with the same indent.
    """
    if _OURS.search(text) is None:
        return
    if parsed(text) is None:
        return
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text, newline=None).readline))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return
    found = {token.start[0]: token for token in tokens if token.type == tokenize.COMMENT}
    at = {line: statement for statement in _statements(tokens) for line in statement.lines(found)}
    for line, token in found.items():
        for said in map(str.strip, _OURS.findall(token.string)):
            ignore = _IGNORE.fullmatch(said)
            names = () if ignore is None else tuple(filter(None, map(str.strip, ignore[1].split(","))))
            statement = at.get(line)
            yield Comment(
                Location(file, line),
                said,
                tuple(dict.fromkeys(names)),
                "" if ignore is None else ignore[2],
                None if statement is None else statement.keyword,
                "" if statement is None else statement.name,
            )


@dataclass(frozen=True, slots=True)
class _Statement:
    """The statement of a class; with a body behind its colon that is part of it."""

    first: tuple[int, int]
    """Line and column where it begins, its decorators included."""
    keyword: int
    """The line of its ``class``."""
    last: int
    name: str

    def lines(self, found: Mapping[int, tokenize.TokenInfo]) -> Iterator[int]:
        """Its lines, and those of the comments directly above it."""
        line, column = self.first
        yield from range(line, self.last + 1)
        while (comment := found.get(line := line - 1)) is not None:
            if comment.start[1] != column or comment.line[:column].strip():
                break
            yield line


def _statements(tokens: Iterable[tokenize.TokenInfo]) -> Iterator[_Statement]:
    decorator: tuple[int, int] | None = None
    line: list[tokenize.TokenInfo] = []
    for token in tokens:
        if token.type not in _LAYOUT:
            line.append(token)
        if token.type == tokenize.NEWLINE:
            first = line[0]
            if first.string == "class":
                yield _Statement(decorator or first.start, first.start[0], token.start[0], line[1].string)
            decorator = (decorator or first.start) if first.string == "@" else None
            line = []
