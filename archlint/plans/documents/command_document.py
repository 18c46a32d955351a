"""Shell scripts and single commands: the options that a trainer is started with. Nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archlint.plans.document import COMPUTED, Document, Entry, PlanError, Section, Value
from archlint.plans.documents.splicing import Lines, Splice, spliced

_TOKEN = re.compile(
    r"""
    (?P<gap>(?:[ \t]|\\\r?\n)+)
  | (?P<comment>\#[^\n]*)
  | (?P<end>\r?\n|&&|\|\||[;|&()])
  | (?P<word>(?:'[^']*'|"(?:\\.|[^"\\])*"|\$\([^()]*\)|\$\{[^}]*\}|\\.|[^\s'"\\;|&()])+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_NUMBER = re.compile(r"-\.?\d.*")


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int


class CommandDocument(Document):
    """The commands of a script that have options, one section each.

    A key is an option without its dashes, with ``_`` for ``-``. Its value is the text of its word, a list where it
    has several, ``True`` where it has none; a variable is replaced by what the script gives it above, if that is
    a plain text.
    """

    syntax = "command line"

    def _read(self) -> tuple[Section, ...]:
        self._lines = Lines(self.text)
        self._variables: dict[str, str] = {}
        return tuple(section for words in self._commands() if (section := self._section(words)) is not None)

    def _commands(self) -> Iterator[list[_Word]]:
        words: list[_Word] = []
        at = 0
        while at < len(self.text):
            token = _TOKEN.match(self.text, at)
            if token is None:
                line = self._lines.number(at)
                raise PlanError(f"{self.path}:{line}: not a command line: a quote is not closed")
            if token.lastgroup == "word":
                words.append(_Word(token[0], token.start(), token.end()))
            elif token.lastgroup == "end" and words:
                yield words
                words = []
            at = token.end()
        if words:
            yield words

    def _section(self, words: list[_Word]) -> Section | None:
        while words and (found := _ASSIGNMENT.fullmatch(words[0].text)):
            value = self._text(found[2])
            if isinstance(value, str):
                self._variables[found[1]] = value
            words = words[1:]
        if words and words[0].text == "export":
            return self._section(words[1:])
        first = next((n for n, word in enumerate(words) if _is_option(word.text)), len(words))
        plain = [self._value([word]) for word in words[:first]]
        entries: dict[str, Entry] = {}
        at = first
        while at < len(words):
            option, following = words[at], at + 1
            while following < len(words) and not _is_option(words[following].text):
                following += 1
            name, joined, text = option.text.lstrip("-").partition("=")
            values = words[at + 1 : following]
            if joined:
                start = option.end - len(text)
                values = [_Word(text, start, option.end), *values]
            key = name.replace("-", "_")
            entries[key] = Entry(key, self._lines.number(option.start), option.start, self._value(values, option))
            at = following
        if not words or not entries:
            return None
        about = " ".join(str(value.data) for value in plain)
        line = self._lines.number(words[0].start)
        return Section(about, entries, tuple(plain), line, words[0].start, words[-1].end)

    def _value(self, words: list[_Word], option: _Word | None = None) -> Value:
        items = tuple(
            Value(self._text(word.text), self._lines.number(word.start), word.start, word.end) for word in words
        )
        if not items:
            assert option is not None  # only an option may stand alone
            return Value(True, self._lines.number(option.start), option.end, option.end)
        if len(items) == 1:
            return items[0]
        texts = [item.data for item in items]
        data = COMPUTED if COMPUTED in texts else texts
        return Value(data, items[0].line, items[0].start, items[-1].end, items)

    def _text(self, word: str) -> Any:
        """What the shell makes of a word; :data:`COMPUTED` where that takes more than reading the script."""
        parts: list[str] = []
        for piece in re.findall(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|(?:\\.|[^'\"\\])+", word, re.DOTALL):
            if piece.startswith("'"):
                parts.append(piece[1:-1])
                continue
            if "$(" in piece or "`" in piece:
                return COMPUTED
            names = [a or b for a, b in _VARIABLE.findall(piece)]
            if "$" in _VARIABLE.sub("", piece).replace("\\$", "") or any(n not in self._variables for n in names):
                return COMPUTED
            piece = _VARIABLE.sub(lambda found: self._variables[found[1] or found[2]], piece)
            inner = piece[1:-1] if piece.startswith('"') else piece
            parts.append(re.sub(r"\\([\"\\$`])" if piece.startswith('"') else r"\\(.)", r"\1", inner))
        return "".join(parts)

    def holds(self, entry: Entry, data: Any) -> bool:
        return _texts(entry.data) == _texts(data)  # a shell has words only

    def spelled(self, section: Section, key: str, data: Any) -> str:
        written = _words(data)
        return f"--{key} {written}" if written else f"--{key}"

    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        splices: list[Splice] = []
        for key in [key for key in changes if key in section.entries]:
            entry = section.entries[key]
            if changes[key] is None:
                splices.append(self._removal(entry))
            else:
                gap = " " if entry.value.start == entry.value.end else ""
                splices.append((entry.value.start, entry.value.end, gap + _words(changes[key])))
        new = {key: data for key, data in changes.items() if key not in section.entries and data is not None}
        if new:
            after = [entry for key, entry in section.entries.items() if changes.get(key) is not None]
            last = (after or list(section.entries.values()))[-1]
            alone = self._lines.number(last.start) > section.line
            margin = self._lines.margin(last.start)
            between = f" \\{self._lines.newline}{margin}" if alone else " "
            text = "".join(f"{between}{self.spelled(section, *item)}" for item in new.items())
            splices.append((last.value.end, last.value.end, text))
        return spliced(self.text, splices)

    def _removal(self, entry: Entry) -> Splice:
        before = re.compile(r"(?:[ \t]|\\\r?\n)*$").search(self.text[: entry.start])
        return before.start() if before else entry.start, entry.value.end, ""


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-" and not _NUMBER.fullmatch(word)


def _texts(data: Any) -> list[str]:
    return [
        str(item).lower() if isinstance(item, bool) else str(item)
        for item in (data if isinstance(data, list) else [data])
    ]


def _words(data: Any) -> str:
    return " ".join(map(shlex.quote, _texts(data)))
