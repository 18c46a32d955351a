"""The programs that a shell script runs and the arguments that it gives them, its variables put in. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archlint.plans.documents import shell

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=", re.ASCII)
_OPENERS = frozenset({"if", "for", "while", "until", "case", "select", "{"})
_CLOSERS = frozenset({"fi", "done", "esac", "}"})
_INNER = frozenset({"then", "else", "elif", "do", "!"})
_WRAPPERS = frozenset({"nohup", "exec", "time", "command", "env"})
"""Programs that run the command behind them."""
_SETTERS = frozenset({"export", "declare", "local", "readonly", "typeset"})
_NAMERS = frozenset({"for", "select", "read", "unset"})
"""Commands that give the variables which they name values that no script tells."""
_MOST_EXPANDED = 2**20
"""How many characters of variables are put in before the rest counts as computed: they can double on every line."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a program, and the word that it comes from; a word with variables may be several arguments."""

    word: shell.Word
    known: str
    """What it is, or begins with, as far as the script tells."""
    is_computed: bool = False
    is_several: bool = False
    """Whether it stands for any number of arguments."""


def programs(text: str) -> Iterator[Sequence[Argument]]:
    """What a script runs, in its order, each with its own name as the first argument.

    Raises:
        shell.Unreadable: it cannot be taken apart.
    """
    return _Programs(text).run()


class _Programs:
    """The commands of a script, and what its variables hold at each of them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._variables: dict[str, str | None] = {}
        """``None`` for what only running the script would tell."""
        self._expanded = 0

    def run(self) -> Iterator[Sequence[Argument]]:
        depth = 0
        for command in shell.commands(self._text):
            words, opened = self._stripped(command.words)
            depth = max(0, depth + opened)
            first = next((n for n, word in enumerate(words) if not self._is_in_front(word)), len(words))
            if first == len(words) or self._raw(words[0]) in _SETTERS:
                self._assign(words, depth > 0 or command.is_inside or command.after in ("&&", "||", "|"))
            # else the variables in front of a program are for that alone
            elif arguments := [argument for word in words[first:] for argument in self._arguments(word)]:
                yield arguments

    def _raw(self, word: shell.Word) -> str:
        return self._text[word.start : word.end]

    def _is_in_front(self, word: shell.Word) -> bool:
        text = self._raw(word)
        return text in _WRAPPERS or _ASSIGNMENT.match(text) is not None

    def _stripped(self, words: Sequence[shell.Word]) -> tuple[Sequence[shell.Word], int]:
        """The words of a command without the shell's own in front, and how many blocks those open."""
        opened = 0
        for at, word in enumerate(words):
            text = self._raw(word)
            if text in _NAMERS:
                self._variables.update(dict.fromkeys(map(self._raw, words[at + 1 :])))
            opened += (text in _OPENERS) - (text in _CLOSERS)
            if text not in _OPENERS | _CLOSERS | _INNER:
                return words[at:], opened
        return (), opened

    def _assign(self, words: Sequence[shell.Word], may_be_passed_over: bool) -> None:
        for word in words:
            if found := _ASSIGNMENT.match(self._raw(word)):
                is_array = self._text.startswith("(", word.end)
                value = None if found[2] or is_array else self._assigned(word, found.end())
                if may_be_passed_over and self._variables.get(found[1], value) != value:
                    value = None
                self._variables[found[1]] = value

    def _assigned(self, word: shell.Word, length: int) -> str | None:
        texts: list[str] = []
        for part in word.parts:
            text = self._known(part)
            if text is None:
                return None
            texts.append(text)
        return "".join(texts)[length:]

    def _known(self, part: shell.Part) -> str | None:
        if not isinstance(part, shell.Variable):
            return part if isinstance(part, str) else None
        text = self._variables.get(part.name)
        self._expanded += len(text or "")
        return text if self._expanded <= _MOST_EXPANDED else None

    def _arguments(self, word: shell.Word) -> list[Argument]:
        """What the shell makes of a word."""
        fields: list[list[str]] = []
        is_open = False
        for part in word.parts:
            text = self._known(part)
            if text is None:
                known = " ".join(map("".join, fields))
                is_several = isinstance(part, shell.Computed) and part.is_several
                return [Argument(word, known, is_computed=True, is_several=is_several)]
            if isinstance(part, str) or (isinstance(part, shell.Variable) and part.quoted):
                if not is_open:
                    fields.append([])
                fields[-1].append(text)
                is_open = True
                continue
            for n, piece in enumerate(re.split(r"[ \t\n]+", text)):
                is_open = is_open and not n
                if piece:
                    if not is_open:
                        fields.append([])
                    fields[-1].append(piece)
                    is_open = True
        return [Argument(word, text) for text in map("".join, fields)]
