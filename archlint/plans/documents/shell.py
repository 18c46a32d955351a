"""A shell script as commands of words, as POSIX and bash take it apart. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class Unreadable(Exception):
    """A script that is not read; ``offset`` is where the reason stands."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Variable:
    """What a variable holds; without quotes around, it falls into words at its blanks."""

    name: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Computed:
    """What only running the script would tell."""

    is_several: bool = False
    """Whether it stands for any number of arguments, as ``"$@"`` and ``${ARGS[@]}`` do."""


Part = str | Variable | Computed


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command; its text parts are without the quotes."""

    before: int
    """Where the blanks in front of it begin."""
    start: int
    end: int
    parts: tuple[Part, ...]

    @property
    def is_literal(self) -> bool:
        return all(isinstance(part, str) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Command:
    """The words of a command, without its redirections."""

    words: tuple[Word, ...]
    after: str
    """The operator in front of it: ``&&``, ``|``, the end of a line; nothing at the start of the script."""
    is_inside: bool
    """Whether it stands in parentheses."""


def commands(text: str) -> Iterator[Command]:
    """The commands of a script in their order.

    Raises:
        Unreadable: a quote or a bracket is not closed, or there is a here-document.
    """
    return _Scanner(text).commands()


_GAP = re.compile(r"(?:[ \t]|\\\r?\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_REDIRECTION = re.compile(r"(?:[0-9]+|\{\w+\})?(<<<|<<|<>|[<>]&|>>|>\||[<>](?!\())|&>>?")
_END = re.compile(r"\r?\n|&&|\|\||;;|\|&|[;|&()]")
_BARE = re.compile(r"(?:[^ \t\r\n'\"\\`$;|&()<>]|\r(?!\n))+")
_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_CONTINUED = re.compile(r"(?:\\\r?\n)+")
_BOUNDARY = re.compile(r"[ \t\n;|&()<>]|\r\n|\Z")
_NAMED = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
_EXPANSION = re.compile(r"\$(\(\(|\(|\{|[0-9@*#?!$-])")
_SEVERAL = re.compile(r"\$(?:[@*]|\{(?:[@*]|\w+\[[@*]\]))")
_ANSI = re.compile(r"\$'(?:\\.|[^'\\])*'", re.DOTALL)
_BRACES = re.compile(r"\{[^{}]*\}")

_NESTED = {
    "command": (")", r"\\.|'[^']*'|\$'(?:\\.|[^'\\])*'|(?<=[\s(;|&])\#[^\n]*|<<<|<<|\$\(\(|\$[({]|[()\"'`]"),
    "arithmetic": (")", r"\\.|\$\(\(|\$[({]|[()\"`]"),
    "braces": ("}", r"\\.|'[^']*'|\$\(\(|\$[({]|[}\"'`]"),
    "braces in quotes": ("}", r"\\.|\$\(\(|\$[({]|[}\"`]"),
    "quotes": ('"', r"\\.|\$\(\(|\$[({]|[\"`]"),
    "backticks": ("`", r"\\.|`"),
}
_INSIDE = {kind: (closing, re.compile(sign, re.DOTALL)) for kind, (closing, sign) in _NESTED.items()}
"""What closes each kind of bracket, and what has a meaning inside it."""
_OPENING = {"$((": ("arithmetic", "arithmetic"), "$(": ("command",), '"': ("quotes",), "`": ("backticks",)}
_HEREDOC = "a here-document, which archlint does not read"


class _Scanner:
    """Goes once through a script, from its start to its end; no stretch of it is looked at again."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def commands(self) -> Iterator[Command]:
        words: list[Word] = []
        after = ""
        depth = 0
        while self._at < len(self._text):
            before = self._at
            self._take(_GAP)
            if self._take(_COMMENT):
                continue
            if found := self._take(_REDIRECTION):
                if found[1] == "<<":
                    raise Unreadable(found.start(), _HEREDOC)
                self._take(_GAP)
                self._word(self._at)  # the file, which no command gets as an argument
            elif self._text.startswith("((", self._at):
                self._at += 2
                self._skip("arithmetic", "arithmetic")
            elif found := self._take(_END):
                if words:
                    yield Command(tuple(words), after, depth > 0)
                elif found[0].isspace():
                    continue  # a line may end behind an operator
                words, after = [], found[0]
                depth = max(0, depth + (after == "(") - (after == ")"))
            elif self._at < len(self._text):
                words.append(self._word(before))
        if words:
            yield Command(tuple(words), after, depth > 0)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found

    def _word(self, before: int) -> Word:
        start = end = self._at
        parts: list[Part] = []
        bare: list[str] = []
        while self._at < len(self._text):
            sign = self._text[self._at]
            if found := self._take(_BARE):
                parts.append(found[0])
                bare.append(found[0])
            elif sign == "'":
                close = self._text.find("'", self._at + 1)
                if close < 0:
                    raise Unreadable(self._at, "a quote is not closed")
                parts.append(self._text[self._at + 1 : close])
                self._at = close + 1
            elif sign == '"':
                self._quoted(parts)
            elif found := self._take(_CONTINUED):
                if _BOUNDARY.match(self._text, self._at):
                    self._at = found.start()
                    break
            elif sign == "\\":
                parts.append(self._text[self._at + 1 : self._at + 2] or sign)
                self._at = min(self._at + 2, len(self._text))
            elif sign in "$`":
                self._expansion(parts, quoted=False)
            elif sign in "<>" and self._at == start and self._text.startswith("(", self._at + 1):
                self._at += 2
                self._skip("command")
                parts.append(Computed())
            else:
                break
            end = self._at
        if any("," in braces or ".." in braces for braces in _BRACES.findall("".join(bare))):
            parts = [Computed()]  # bash makes several words of a{b,c}
        return Word(before, start, end, tuple(_merged(parts)))

    def _quoted(self, parts: list[Part]) -> None:
        start = self._at
        self._at += 1
        parts.append("")
        while self._at < len(self._text):
            sign = self._text[self._at]
            if found := self._take(_IN_QUOTES):
                parts.append(found[0])
            elif sign == '"':
                self._at += 1
                return
            elif sign in "$`":
                self._expansion(parts, quoted=True)
            elif not self._take(_CONTINUED):
                escaped = self._text[self._at + 1 : self._at + 2]
                parts.append(escaped if escaped in ('"', "\\", "$", "`") else sign + escaped)
                self._at += 2
        raise Unreadable(start, "a quote is not closed")

    def _expansion(self, parts: list[Part], *, quoted: bool) -> None:
        start = self._at
        if found := self._take(_NAMED):
            parts.append(Variable(found[1] or found[2], quoted))
        elif found := self._take(_EXPANSION):
            opening = found[0]
            if opening == "${":
                self._skip("braces in quotes" if quoted else "braces")
            elif opening in _OPENING:
                self._skip(*_OPENING[opening])
            parts.append(Computed(is_several=_SEVERAL.match(self._text, start) is not None))
        elif self._text[start] == "`":
            self._at += 1
            self._skip("backticks")
            parts.append(Computed())
        elif not quoted and self._text.startswith("'", start + 1):
            if not self._take(_ANSI):
                raise Unreadable(start, "a quote is not closed")
            parts.append(Computed())
        else:
            self._at += 1
            if quoted or not self._text.startswith('"', self._at):
                parts.append("$")

    def _skip(self, *opened: str) -> None:
        """Go behind what closes all of ``opened``, whatever is nested in them."""
        start = self._at
        stack = list(opened)
        while stack:
            kind = stack[-1]
            closing, signs = _INSIDE[kind]
            found = signs.search(self._text, self._at)
            if found is None or found[0] == "'":
                raise Unreadable(start, "a quote or a bracket is not closed")
            self._at = found.end()
            sign = found[0]
            if sign == closing:
                stack.pop()
            elif sign == "<<":
                raise Unreadable(found.start(), _HEREDOC)
            elif sign == "(":
                stack.append(kind)
            elif sign == "${":
                stack.append("braces in quotes" if kind in ("quotes", "braces in quotes") else "braces")
            elif sign in _OPENING:
                stack.extend(_OPENING[sign])


def _merged(parts: list[Part]) -> Iterator[Part]:
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        if texts:
            yield "".join(texts)
            texts = []
        yield part
    if texts:
        yield "".join(texts)
