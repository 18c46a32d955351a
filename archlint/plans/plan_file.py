"""The file that a user's plan comes from: in which tool's words it is written, what it says, and how it is changed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Edit, PlanLine
from archlint.core.training import Trainer
from archlint.core.trial import USER, Plan
from archlint.plans.dialect import Dialect, Reading
from archlint.plans.dialects import DIALECTS
from archlint.plans.document import UNREAD, Document, Entry, PlanError, Section
from archlint.plans.documents import open_document
from archlint.plans.untouched import check_untouched

PLACING = ("target_modules", "target_parameters", "exclude_modules")
"""Arguments that a finding about the plan as a whole is shown at, the first that the file has."""
_UNORDERED = (*PLACING, "modules_to_save")
"""Arguments whose lists PEFT goes by whatever their order."""
_ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class PlanFile:
    """A file of settings that one tool reads adapters from."""

    document: Document
    section: Section
    dialect: Dialect
    reading: Reading

    @property
    def path(self) -> Path:
        return self.document.path

    @property
    def text(self) -> str:
        return self.document.text

    @property
    def place(self) -> int:
        """Which of the document's sections it is, from 0."""
        return self.document.sections.index(self.section)

    @property
    def base_model(self) -> str | None:
        """The model that it names."""
        return self.reading.base_model

    @property
    def trainers(self) -> tuple[Trainer, ...] | None:
        """With whom it trains: nobody where that is one that archlint knows nothing of, ``None`` if it does not say."""
        return self.reading.training.trainers

    @property
    def trainer_arguments(self) -> Mapping[str, Any]:
        """What its trainer is given (JSON values), by transformers' and TRL's names."""
        return self.reading.training.arguments

    @property
    def format(self) -> str:
        """What kind of file it is, in words."""
        what = f" ({self.section.about})" if self.section.about else ""
        training = self._training_section
        also = f", and {training.about} in line {training.line} for the trainer" if training is not self.section else ""
        return f"{self.dialect.title} settings in {self.document.syntax}{what}{also}"

    def plan(self, blueprint: Blueprint) -> Plan:
        """What the tool gives PEFT on the model of ``blueprint``."""
        arguments = self.dialect.choose(self.reading, blueprint) if self.reading.waits else self.reading.arguments
        return Plan(USER, dict(arguments), self.reading.tuner, means_all=self.reading.wants_all)

    def remarks(self) -> Iterator[str]:
        """What kind of file it is, what is not understood in it, and what the tool makes of it, each with its place."""
        yield f"{self.path}:{self.section.line}: read as {self.format}"
        for remark in (*self.reading.unknown, *self.reading.notes):
            yield f"{self.path}:{remark.line}: {remark.text}"

    def line(self, arguments: Sequence[str], values: Collection[str] = ()) -> PlanLine:
        """Where the file says one of ``values`` in ``arguments``, or any of these; else where it begins."""
        said = self._entries(arguments)
        for entry in said:
            if lines := entry.lines_of(values):
                return PlanLine(str(self.path), lines[0], entry.key)
        for entry in (*said, *self._entries(PLACING)):
            return PlanLine(str(self.path), entry.line, entry.key)
        return PlanLine(str(self.path), self.section.line, self.section.about or self.dialect.title)

    def training_line(self, arguments: Sequence[str]) -> PlanLine:
        """Where the file gives one of ``arguments`` to the trainer; else where what it gives to that begins."""
        section = self._training_section
        for argument in arguments:
            for key in self.reading.training.keys.get(argument, ()):
                if key in section.entries:
                    return PlanLine(str(self.path), section.entries[key].line, key)
        return PlanLine(str(self.path), section.line, section.about or self.dialect.title)

    def _entries(self, arguments: Sequence[str]) -> list[Entry]:
        """The entries that give ``arguments``, in their order."""
        keys = [key for argument in arguments for key in self.reading.keys.get(argument, ())]
        return [self.section.entries[key] for key in keys if key in self.section.entries]

    def changes(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of the file to be changed, ``None`` for one to be taken out, so that ``old`` becomes ``new``.

        Raises:
            PlanError: the tool has no way to say it.
        """
        changed = differing(old, new)
        wanted = self.dialect.spell({argument: new[argument] for argument in changed if argument in new})
        changes: dict[str, Any] = {
            key: None
            for argument in changed
            for key in self.reading.keys.get(argument, ())
            if key in self.section.entries and self.section.entries[key].data is not False  # which asks for nothing
        }
        for argument in changed:
            spelled = self.dialect.spell({argument: new[argument]}) if argument in new else {}
            there = next((key for key in self.reading.keys.get(argument, ()) if key in changes), None)
            if there is not None and there not in wanted and len(spelled) == 1:
                (key, data) = next(iter(spelled.items()))
                if self._reads(there, data, argument, new[argument]):  # another of the tool's keys for the same
                    wanted = {there if other == key else other: value for other, value in wanted.items()}
        unordered = {key for argument in _UNORDERED for key in self.reading.keys.get(argument, ())}
        for key in unordered & wanted.keys() & self.section.entries.keys():
            wanted[key] = _in_order(self.section.entries[key].data, wanted[key])
        entries = self.section.entries
        return {
            key: data
            for key, data in {**changes, **wanted}.items()
            if data is None or key not in entries or not self.document.holds(entries[key], data)
        }

    def _reads(self, key: str, data: Any, argument: str, value: Any) -> bool:
        """Whether ``key`` with ``data`` is read as ``argument`` with ``value``."""
        try:
            reading = self._with(self.document.rewritten(self.section, {key: data})).reading
        except PlanError:
            return False
        return key in reading.keys.get(argument, ()) and reading.arguments.get(argument) == value

    def edits(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Edit, ...]:
        """:meth:`changes` in words, each with its line; none where the tool has no way to say it."""
        try:
            return self._edits(self.section, self.changes(old, new))
        except PlanError:
            return ()

    def training_changes(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The keys to be changed, with their values, so that the trainer is given the arguments ``changes``.

        Raises:
            PlanError: the tool has no key for one, or the file no place for them.
        """
        given = self.trainer_arguments
        wanted = self.dialect.spell_training({name: data for name, data in changes.items() if given.get(name) != data})
        if self.reading.training.place is None:
            raise PlanError(f"{self.path}: what the trainer is given does not stand in one place of this file")
        entries = self._training_section.entries
        if UNREAD in entries and not wanted.keys() <= entries.keys():
            raise PlanError(f"{self.path}:{entries[UNREAD].line}: more arguments are computed; one may be among them")
        return wanted

    def training_edits(self, changes: Mapping[str, Any]) -> tuple[Edit, ...]:
        """:meth:`training_changes` in words, each with its line; none where the file has no way to say it."""
        try:
            return self._edits(self._training_section, self.training_changes(changes))
        except PlanError:
            return ()

    def _edits(self, section: Section, changes: Mapping[str, Any]) -> tuple[Edit, ...]:
        anchor = next((key for key in changes if key in section.entries), None)
        after = section.entries[anchor].line if anchor is not None else section.line
        return tuple(
            Edit(
                file=str(self.path),
                line=section.entries[key].line if key in section.entries else after,
                key=key,
                text="" if data is None else self.document.spelled(section, key, data),
            )
            for key, data in changes.items()
        )

    def changed(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> PlanFile:
        """The file with ``old`` become ``new``, which is nowhere written yet.

        Raises:
            PlanError: the tool has no way to say it, or the file cannot be changed without touching something else.
        """
        return self._changed(self.section, self.changes(old, new))

    def training_changed(self, changes: Mapping[str, Any]) -> PlanFile:
        """The file that gives its trainer the arguments ``changes``, which is nowhere written yet.

        Raises:
            PlanError: the tool has no key for one, the file no place for them, or it cannot be changed without
                touching something else.
        """
        wanted = self.training_changes(changes)
        changed = self._changed(self._training_section, wanted) if wanted else self
        if any(changed.trainer_arguments.get(name) != data for name, data in changes.items()):
            raise PlanError(f"{self.path}: {', '.join(wanted)} would not become what was asked for")
        return changed

    @property
    def _training_section(self) -> Section:
        """Where the trainer's arguments stand, or this file's own section where that is not known."""
        place = self.reading.training.place
        return self.section if place is None else self.document.sections[place]

    def _changed(self, section: Section, changes: Mapping[str, Any]) -> PlanFile:
        changed = self._with(self.document.rewritten(section, changes))
        there = changed.document.sections[self.document.sections.index(section)].entries
        for key, data in changes.items():
            entry = there.get(key)
            if (entry is not None) if data is None else (entry is None or not changed.document.holds(entry, data)):
                raise PlanError(f"{self.path}: {key} could not be changed without touching something else")
        check_untouched(self.document, section, changes, changed.document)
        return changed

    def _with(self, text: str) -> PlanFile:
        document = type(self.document)(self.path, text)
        section = document.sections[self.document.sections.index(self.section)]
        return PlanFile(document, section, self.dialect, self.dialect.read(document, section))

    def diff(self, other: PlanFile) -> str:
        """What has to change for this file to become ``other``, as a unified diff."""
        lines = difflib.unified_diff(
            self.text.splitlines(keepends=True),
            other.text.splitlines(keepends=True),
            f"a/{self.path}".replace("//", "/"),
            f"b/{self.path}".replace("//", "/"),
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The arguments that ``old`` and ``new`` do not say alike."""
    return [argument for argument in {**old, **new} if old.get(argument) != new.get(argument)]


def _in_order(old: Any, new: Any) -> Any:
    """The list ``new``, what it has in common with the list ``old`` first and in the order there."""
    if not all(isinstance(data, list) and all(isinstance(item, str) for item in data) for data in (old, new)):
        return new
    before, after = dict.fromkeys(old), dict.fromkeys(new)
    return [*(item for item in before if item in after), *(item for item in after if item not in before)]


def read_plan_file(path: Path) -> PlanFile:
    """The plan in a file of PEFT or of a trainer, or in an adapter's folder.

    Raises:
        PlanError: the file cannot be read, no tool's adapter settings are in it, or those of several.
    """
    document = open_document(path / _ADAPTER_CONFIG if path.is_dir() else path)
    claims = [(signs, dialect, section) for dialect in DIALECTS for signs, section in dialect.claims(document)]
    if not claims:
        raise PlanError(f"{document.path}: {_nothing_in(document)}")
    most = max(signs for signs, _, _ in claims)
    best = [(dialect, section) for signs, dialect, section in claims if signs == most]
    dialect, section = best[0]
    if any(other is not section for _, other in best[1:]):
        lines = ", ".join(str(other.line) for _, other in best)
        raise PlanError(f"{document.path}: several adapters are set up in it, in lines {lines}; archlint checks one")
    return PlanFile(document, section, dialect, dialect.read(document, section))


def dialect(name: str) -> Dialect:
    """The dialect of a tool, by the name that ``--for`` has for it.

    Raises:
        KeyError: there is none.
    """
    return {dialect.name: dialect for dialect in DIALECTS}[name]


def _nothing_in(document: Document) -> str:
    tools = ", ".join(dialect.title for dialect in DIALECTS)
    for section in document.sections:
        model = next((key for key in ("model_type", "architectures") if key in section.entries), None)
        if model is not None:
            what = section.entries[model].data
            return f"looks like the config.json of a model ({model} {what}), not like settings of an adapter"
    return f"no adapter settings that {tools} would read are in this {document.syntax} file"
