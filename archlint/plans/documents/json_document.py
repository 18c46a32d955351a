"""JSON files: an ``adapter_config.json``, or the arguments that a trainer saved."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from archlint.plans.document import Document, Entry, PlanError, Section, Value
from archlint.plans.documents.splicing import Lines, Splice, spliced

_BLANK = re.compile(r"[ \t\r\n]*")


class JsonDocument(Document):
    """An object whose members are the settings."""

    syntax = "JSON"

    def _read(self) -> tuple[Section, ...]:
        self._lines = Lines(self.text)
        try:
            data = json.loads(self.text, parse_constant=_no_constant, object_pairs_hook=_once)
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
        items: list[Value] = []
        if isinstance(data, list):
            at = self._skip(start + 1)
            while self.text[at] != "]":
                items.append(self._value(at))
                at = self._skip(items[-1].end)
                at = self._skip(at + 1) if self.text[at] == "," else at
        return Value(data, self._lines.number(start), start, end, tuple(items))

    def spelled(self, section: Section, key: str, data: Any) -> str:
        return f"{json.dumps(key)}: {json.dumps(data, ensure_ascii=False)}"

    def rewritten(self, section: Section, changes: Mapping[str, Any]) -> str:
        there = [section.entries[key] for key in changes if key in section.entries]
        splices: list[Splice] = []
        for entry in there:
            if changes[entry.key] is None:
                splices.append(self._removal(section, entry))
            else:
                splices.append((entry.value.start, entry.value.end, self._written(entry, changes[entry.key])))
        new = {key: data for key, data in changes.items() if key not in section.entries and data is not None}
        if new:
            kept = [entry for entry in section.entries.values() if changes.get(entry.key, entry) is not None]
            changed = [entry for entry in kept if entry.key in changes]
            splices.append(self._insertion(section, (changed or kept)[-1] if kept else None, new))
        return spliced(self.text, splices)

    def _written(self, entry: Entry, data: Any) -> str:
        old = self.text[entry.value.start : entry.value.end]
        margin = self._lines.margin(entry.start)
        if "\n" not in old and not (isinstance(data, (list, dict)) and not isinstance(entry.data, (list, dict))):
            return json.dumps(data, ensure_ascii=False)
        alone = self.text[self._lines.start(entry.start) : entry.start].strip() == ""
        if not alone:
            return json.dumps(data, ensure_ascii=False)
        text = json.dumps(data, ensure_ascii=False, indent=margin or "  ")
        return text.replace("\n", f"{self._lines.newline}{margin}")

    def _removal(self, section: Section, entry: Entry) -> Splice:
        entries = list(section.entries.values())
        place = entries.index(entry)
        if place + 1 < len(entries):
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


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {json.dumps(key)} is there twice")
        found[key] = value
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")
