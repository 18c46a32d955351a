"""Shell scripts and single commands: the options that a trainer is started with. Nothing is run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from archlint.plans.document import COMPUTED, UNREAD, Document, Entry, PlanError, Section, Value
from archlint.plans.documents import shell
from archlint.plans.documents.shell_arguments import Argument, programs
from archlint.plans.documents.splicing import Lines, Splice, spliced

_NUMBER = re.compile(r"-\.?\d.*", re.DOTALL)


@dataclass(slots=True)
class _Option:
    """An option as it is written, with what stands behind it up to the next one."""

    head: Argument
    values: list[Argument] = field(default_factory=list)
    rest: list[Argument] = field(default_factory=list)
    """What is no value of it: what stands behind the one after ``=``, and any number of arguments at once."""

    @property
    def name(self) -> str:
        return self.head.known.partition("=")[0]

    @property
    def key(self) -> str:
        return self.name.lstrip("-").replace("-", "_")

    @property
    def is_joined(self) -> bool:
        return "=" in self.head.known

    @property
    def is_literal(self) -> bool:
        return all(argument.word.is_literal for argument in (self.head, *self.values))

    @property
    def strays(self) -> list[Argument]:
        """What is surely an argument on its own."""
        return list(takewhile(lambda argument: not argument.is_several, self.rest)) if self.is_joined else []

    @property
    def end(self) -> int:
        """Where another option may follow."""
        return (self.head, *self.values, *self.rest)[-1].word.end

    def take(self, argument: Argument) -> None:
        if self.rest or self.is_joined or argument.is_several:
            self.rest.append(argument)
        else:
            self.values.append(argument)


class CommandDocument(Document):
    """The commands of a script that have options, one section each.

    A key is an option without its dashes, with ``_`` for ``-``; the last one counts where it is given again. Its
    value is the text of its word, a list where it has several, ``True`` where it has none; behind ``=`` there is one
    value, as argparse has it. A variable is replaced by what the script gives it above, if that is a plain text.
    """

    syntax = "command line"

    def _read(self) -> tuple[Section, ...]:
        self._lines = Lines(self.text)
        self._options: dict[int, list[_Option]] = {}
        """By the start of the section."""
        try:
            found = [self._section(arguments) for arguments in programs(self.text)]
        except shell.Unreadable as error:
            line = self._lines.number(error.offset)
            raise PlanError(f"{self.path}:{line}: not a command line: {error}") from error
        return tuple(section for section in found if section is not None)

    def _section(self, arguments: Sequence[Argument]) -> Section | None:
        plain: list[Argument] = []
        others: list[Argument] = []
        options: list[_Option] = []
        is_closed = False
        for argument in arguments:
            if _is_option(argument.known):
                options.append(_Option(argument))
                is_closed = False
            elif argument.known == "--" and not argument.is_computed:
                is_closed = True
            elif not options:
                plain.append(argument)
            elif is_closed:
                others.append(argument)
            else:
                options[-1].take(argument)
        if not options:
            return None
        entries = {option.key: self._entry(option) for option in options}
        unknown = next((argument for option in options for argument in option.rest if argument.is_several), None)
        if unknown:
            value = self._value(unknown)
            entries[UNREAD] = Entry(UNREAD, value.line, value.start, value)
        start, end = arguments[0].word.start, arguments[-1].word.end
        self._options[start] = options
        about = " ".join(str(_data(argument)) for argument in plain)
        others += [argument for option in options for argument in option.strays]
        positional = (*plain, *sorted(others, key=lambda argument: argument.word.start))
        line = self._lines.number(start)
        return Section(about, entries, tuple(map(self._value, positional)), line, start, end)

    def _entry(self, option: _Option) -> Entry:
        word = option.head.word
        return Entry(option.key, self._lines.number(word.start), word.start, self._value_of(option))

    def _value_of(self, option: _Option) -> Value:
        word = option.head.word
        if option.is_joined or option.head.is_computed:
            data = COMPUTED if option.head.is_computed else option.head.known.partition("=")[2]
            return Value(data, self._lines.number(word.start), word.start, word.end)
        items = tuple(map(self._value, option.values))
        if not items:
            return Value(True, self._lines.number(word.start), word.end, word.end)
        if len(items) == 1:
            return items[0]
        texts = [item.data for item in items]
        return Value(COMPUTED if COMPUTED in texts else texts, items[0].line, items[0].start, items[-1].end, items)

    def _value(self, argument: Argument) -> Value:
        word = argument.word
        return Value(_data(argument), self._lines.number(word.start), word.start, word.end)

    def holds(self, entry: Entry, data: Any) -> bool:
        return _texts(entry.data) == _texts(data)  # a shell has words only

    def spelled(self, section: Section, key: str, data: Any) -> str:
        return _spelled(self._name(section, key), _texts(data))

    def _name(self, section: Section, key: str) -> str:
        """An option as the command has it, or in the style of those that it has."""
        names = {option.key: option.name for option in self._options.get(section.start, ())}
        if key in names:
            return names[key]
        styles = {sign for name in names.values() for sign in name.lstrip("-") if sign in "-_"}
        return f"--{key.replace('_', '-') if styles == {'-'} else key}"

    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        options = self._options[section.start]
        last = {option.key: option for option in options}
        gone = [option for option in options if option.key in changes and changes[option.key] is None]
        changed = [option for key, option in last.items() if changes.get(key) is not None]
        new = {key: data for key, data in changes.items() if key not in last and data is not None}
        for key, data in changes.items():
            if isinstance(data, list) and any(text == "--" or _is_option(text) for text in _texts(data)):
                raise PlanError(f"{self.path}:{section.line}: no option takes a list with a word like -x: {key}")
        splices: list[Splice] = []
        for option in gone:
            self._check(option, None)
            splices += [(run.before, run.end, "") for run in _runs((option.head, *option.values))]
        for option in changed:
            self._check(option, changes[option.key])
            splices += self._replacement(option, changes[option.key])
        if new:
            anchors = changed or [option for option in options if option.key not in changes] or options
            splices.append(self._insertion(section, max(anchors, key=lambda option: option.end), new))
        return spliced(self.text, map(self._apart, splices))

    def _check(self, option: _Option, data: Any) -> None:
        """See that ``option`` can become one with ``data``, or be taken out, and nothing else with it."""
        place = f"{self.path}:{self._lines.number(option.head.word.start)}"
        if not option.is_literal:
            raise PlanError(f"{place}: {option.key} is computed; archlint changes literals only")
        if option.strays and (data is None or len(_texts(data)) != 1):
            raise PlanError(f"{place}: {option.strays[0].known} behind {option.key} belongs to no option")

    def _replacement(self, option: _Option, data: Any) -> Iterator[Splice]:
        texts = _texts(data)
        if option.is_joined or _must_be_joined(texts):
            text = _joined(option.name, texts[0]) if len(texts) == 1 else _spelled(option.name, texts)
            yield option.head.word.start, option.head.word.end, text
            yield from ((run.before, run.end, "") for run in _runs(option.values))
        elif not option.values:
            yield option.end, option.end, f" {_words(texts)}"
        else:
            first, *others = _runs(option.values)
            yield (first.start, first.end, _words(texts)) if texts else (first.before, first.end, "")
            yield from ((run.before, run.end, "") for run in others)

    def _insertion(self, section: Section, behind: _Option, new: Mapping[str, Any]) -> Splice:
        start = behind.head.word.start
        has_own_line = self._lines.number(start) > section.line
        between = f" \\{self._lines.newline}{self._lines.margin(start)}" if has_own_line else " "
        return behind.end, behind.end, "".join(f"{between}{self.spelled(section, *item)}" for item in new.items())

    def _apart(self, splice: Splice) -> Splice:
        """``splice`` with a blank where a redirection follows at once: the shell reads ``8>log`` as that of file 8."""
        start, end, text = splice
        return (start, end, f"{text} ") if self.text.startswith(("<", ">"), end) else splice


def _data(argument: Argument) -> Any:
    return COMPUTED if argument.is_computed else argument.known


def _runs(arguments: Iterable[Argument]) -> list[shell.Word]:
    """The words of ``arguments``, those that nothing stands between as one."""
    runs: list[shell.Word] = []
    for argument in arguments:
        word = argument.word
        if runs and runs[-1].end == word.before:
            word = shell.Word(runs[-1].before, runs[-1].start, word.end, ())
            runs.pop()
        runs.append(word)
    return runs


def _is_option(text: str) -> bool:
    return text.startswith("-") and text not in ("-", "--") and not _NUMBER.fullmatch(text)


def _must_be_joined(texts: Sequence[str]) -> bool:
    return len(texts) == 1 and (texts[0] == "--" or _is_option(texts[0]))


def _texts(data: Any) -> list[str]:
    return [_text(item) for item in (data if isinstance(data, list) else [data])]


def _text(data: Any) -> str:
    if isinstance(data, dict):
        return json.dumps(data, ensure_ascii=False)
    return str(data).lower() if isinstance(data, bool) else str(data)


def _joined(name: str, text: str) -> str:
    return f"{name}={shlex.quote(text)}"


def _spelled(name: str, texts: Sequence[str]) -> str:
    if _must_be_joined(texts):
        return _joined(name, texts[0])
    return f"{name} {_words(texts)}" if texts else name


def _words(texts: Iterable[str]) -> str:
    return " ".join(map(shlex.quote, texts))
