"""JSON files: an ``adapter_config.json``, or the arguments that a trainer saved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from archlint.plans.document import Document, Entry, PlanError, Section, Value, is_countable
from archlint.plans.documents.items import relisted, successors
from archlint.plans.documents.splicing import Lines, Splice, spliced

_BLANK = re.compile(r"[ \t\r\n]*")


class JsonDocument(Document):
    """An object whose members are the settings."""

    syntax = "JSON"

    def _read(self) -> tuple[Section, ...]:
        self._lines = Lines(self.text)
        try:
            data = json.loads(self.text, parse_int=_integer, parse_constant=_no_constant, object_pairs_hook=_once)
        except RecursionError as error:
            raise PlanError(f"{self.path}: not JSON: it is nested too deeply") from error
        except ValueError as error:
            raise PlanError(f"{self.path}: not JSON: {error}") from error
        if not isinstance(data, dict):
            raise PlanError(f"{self.path}: a JSON object is expected, not {type(data).__name__}")
        start = self._skip(0)
        entries: dict[str, Entry] = {}
        at = self._skip(start + 1)
        while self.text[at] == '"':
            key, behind = json.JSONDecoder().raw_decode(self.text, at)
            value = self._value(self._skip(self._skip(behind) + 1))
            entries[key] = Entry(key, self._lines.number(at), at, value)
            at = self._skip(value.end)
            at = self._skip(at + 1) if self.text[at] == "," else at
        return (Section("", entries, start=start, end=at),)

    def _skip(self, at: int) -> int:
        found = _BLANK.match(self.text, at)
        assert found is not None  # it matches nothing as well
        return found.end()

    def _value(self, start: int) -> Value:
        data, end = json.JSONDecoder().raw_decode(self.text, start)
        items = tuple(self._items(start)) if isinstance(data, list) else ()
        return Value(data, self._lines.number(start), start, end, items)

    def _items(self, start: int) -> Iterator[Value]:
        at = self._skip(start + 1)
        while self.text[at] != "]":
            data, end = json.JSONDecoder().raw_decode(self.text, at)
            yield Value(data, self._lines.number(at), at, end)
            at = self._skip(end)
            at = self._skip(at + 1) if self.text[at] == "," else at

    def spelled(self, section: Section, key: str, data: Any) -> str:
        return f"{json.dumps(key)}: {_spelled(data)}"

    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        there = [section.entries[key] for key in changes if key in section.entries]
        splices: list[Splice] = []
        for entry in there:
            if changes[entry.key] is None:
                splices.append(self._removal(section, entry, changes))
            else:
                splices.append(self._replacement(entry, changes[entry.key]))
        new = {key: data for key, data in changes.items() if key not in section.entries and data is not None}
        if new:
            kept = [entry for entry in section.entries.values() if changes.get(entry.key, entry) is not None]
            changed = [entry for entry in kept if entry.key in changes]
            splices.append(self._insertion(section, (changed or kept)[-1] if kept else None, new))
        return spliced(self.text, splices)

    def _replacement(self, entry: Entry, data: Any) -> Splice:
        old = entry.value
        if isinstance(data, list) and data and old.items:
            numbers = successors([item.data for item in old.items], data)
            there = [self.text[item.start : item.end] for item in old.items]
            new = [
                (number, _spelled(item) if number is None else there[number])
                for number, item in zip(numbers, data, strict=True)
            ]
            spans = [(item.start - old.start - 1, item.end - old.start - 1) for item in old.items]
            margin = self._lines.margin(entry.start) + "  "
            inside = self.text[old.start + 1 : old.end - 1]
            if (text := relisted(inside, spans, self._lines.newline, margin, new)) is not None:
                return old.start + 1, old.end - 1, text
        return old.start, old.end, self._written(entry, data)

    def _written(self, entry: Entry, data: Any) -> str:
        old = self.text[entry.value.start : entry.value.end]
        margin = self._lines.margin(entry.start)
        if "\n" not in old and not (isinstance(data, (list, dict)) and not isinstance(entry.data, (list, dict))):
            return _spelled(data)
        alone = self.text[self._lines.start(entry.start) : entry.start].strip() == ""
        if not alone:
            return _spelled(data)
        text = json.dumps(data, ensure_ascii=False, indent=margin or "  ")
        return text.replace("\n", f"{self._lines.newline}{margin}")

    def _removal(self, section: Section, entry: Entry, changes: Mapping[str, Any]) -> Splice:
        entries = list(section.entries.values())
        place = entries.index(entry)
        if any(changes.get(other.key, other) is not None for other in entries[place + 1 :]):
            return entry.start, entries[place + 1].start, ""
        start = entries[place - 1].value.end if place else entry.start
        return start, entry.value.end, ""

    def _insertion(self, section: Section, after: Entry | None, new: Mapping[str, Any]) -> Splice:
        if after is None:
            return section.start + 1, section.start + 1, ", ".join(self.spelled(section, *item) for item in new.items())
        margin = self._lines.margin(after.start)
        alone = self.text[self._lines.start(after.start) : after.start].strip() == ""
        between = f",{self._lines.newline}{margin}" if alone else ", "
        text = "".join(f"{between}{self.spelled(section, *item)}" for item in new.items())
        return after.value.end, after.value.end, text


def _spelled(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {json.dumps(key)} is there twice")
        found[key] = value
    return found


def _integer(digits: str) -> int:
    number = int(digits)
    if not is_countable(number):
        raise ValueError(f"an integer of {len(digits)} digits is no number of any setting")
    return number


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")
