"""Tools whose settings are one flat list of keys: what each key is in PEFT's words, as a table."""

from __future__ import annotations

import difflib
import json
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, ClassVar

from archlint.core.training import Trainer
from archlint.core.trial import LORA
from archlint.plans import peft_configs
from archlint.plans.dialect import Dialect, Reading, Remark
from archlint.plans.dialects.reading import TRAINER_ARGUMENTS, anything
from archlint.plans.document import COMPUTED, UNREAD, Document, Entry, PlanError, Section, Value
from archlint.plans.trainer_settings import TrainerSettings

_LAUNCHER = re.compile(r"(.*/)?(accelerate|torchrun|deepspeed|python[\d.]*)")
"""Programs that start a trainer's script and have options of their own."""
_LAUNCHING_MODULES = frozenset({"torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch"})
_NEAR, _VERY_NEAR = 0.75, 0.85
"""How much alike two keys are of which one may be meant for the other. The arguments of a user's own script are told
from misspelt ones by the latter: ``log_dir`` is close to ``logging_dir`` and is none."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a tool."""

    name: str
    argument: str | None
    """The argument of PEFT's config that it becomes; ``None`` where it steers something else."""
    read: Callable[[Any], Any]
    """Takes the value in the file; raises ValueError with what belongs there."""
    default: Any = None
    """What the tool takes where the key is not there."""
    formerly: tuple[str, ...] = ()
    """Other names of the key, in earlier versions."""
    places: bool = False
    """Whether it decides where adapters go, so that nothing can be said without it."""
    write: Callable[[Any], Any] = anything
    """The value for the file of a value for PEFT."""
    trains: str | None = None
    """The argument of the trainer that it becomes."""


def trainer_keys(*names: str) -> tuple[Key, ...]:
    """Keys that are called like the arguments of the trainer that they become."""
    return tuple(Key(name, None, TRAINER_ARGUMENTS[name], trains=name) for name in names)


@cache
def facts(table: str) -> Mapping[str, Any]:
    """What ``keys/TABLE.json`` has of a tool: its version, its keys, and where they are from."""
    text = (resources.files(__package__) / "keys" / f"{table}.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


@cache
def known_keys(table: str) -> tuple[str, frozenset[str]]:
    """The version and the keys of the tool that ``keys/TABLE.json`` lists."""
    content = facts(table)
    return content["version"], frozenset(content["keys"])


@dataclass(frozen=True)
class Settings:
    """What the keys of a section say."""

    document: Document
    section: Section
    values: Mapping[str, Any]
    """By the key's present name; the tool's default where it is not there."""
    entries: Mapping[str, Entry]
    """The entry of each key that is there, by the key's present name."""
    remarks: tuple[Remark, ...] = ()
    """What was not understood."""
    notes: list[Remark] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def line(self, name: str) -> int:
        """The line of a key, or of the section where it is not there."""
        return self.entries[name].line if name in self.entries else self.section.line

    def place(self, name: str) -> str:
        """The file and the line of a key, for a message."""
        return f"{self.document.path}:{self.line(name)}"

    def note(self, name: str, text: str) -> None:
        """Say ``text`` where the key ``name`` stands."""
        self.notes.append(Remark(self.line(name), text))


class FlatDialect(Dialect):
    """A tool with a table of keys."""

    keys: ClassVar[tuple[Key, ...]]
    table: ClassVar[str]
    """The name of its list of known keys."""
    signs: ClassVar[frozenset[str]]
    """Keys that no other tool has."""
    pairs: ClassVar[tuple[frozenset[str], ...]] = ()
    """Sets of keys that only this tool has together."""
    calls: ClassVar[frozenset[str]] = frozenset()
    """What of it is called in Python."""
    commands: ClassVar[tuple[str, ...]] = ()
    """How a command line for it begins."""
    settled: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    """Arguments that the tool sets itself, each with the values that need no key."""
    refuses_dropout: ClassVar[bool] = False
    """Whether its own dropout, if none is given, is refused beside parameters: by PEFT, or by the tool itself."""
    needless: ClassVar[frozenset[str]] = frozenset(TRAINER_ARGUMENTS)
    """Arguments of trainers that the tool's own has no use for, so that a fragment does without them."""

    def claims(self, document: Document) -> list[tuple[int, Section]]:
        found = [(self._claim(document, section), section) for section in document.sections]
        return [(count, section) for count, section in found if count]

    def _claim(self, document: Document, section: Section) -> int:
        keys = frozenset(section.entries)
        count = len(keys & self.signs) + sum(pair <= keys for pair in self.pairs)
        if document.syntax == "Python":
            return 1 + count if section.about.rpartition(".")[2] in self.calls else 0
        if any(f"{section.about} ".startswith(f"{command} ") for command in self.commands):
            return 2 + count
        return count

    def settings(self, document: Document, section: Section) -> Settings:
        """Read every key of the table.

        Raises:
            PlanError: a value is of a type that the tool refuses, or is computed and decides where adapters go.
        """
        values: dict[str, Any] = {}
        entries: dict[str, Entry] = {}
        remarks: list[Remark] = []
        for key in self.keys:
            values[key.name] = key.default
            there = [section.entries[name] for name in (key.name, *key.formerly) if name in section.entries]
            there = [entry for entry in there if entry.data is not None]
            if not there:
                continue
            entry = there[0]
            if _is_computed(entry.data):
                if key.places:
                    raise PlanError(
                        f"{document.path}:{entry.line}: {entry.key} is computed; archlint reads literals only"
                    )
                remarks.append(Remark(entry.line, f"{entry.key} is computed; archlint takes {self.title}'s default"))
                continue
            try:
                values[key.name] = key.read(entry.data)
            except ValueError as error:
                shown = json.dumps(entry.data, ensure_ascii=False, default=repr)[:60]
                raise PlanError(f"{document.path}:{entry.line}: {entry.key} must be {error}, not {shown}") from error
            entries[key.name] = entry
        remarks += self.strangers(document, section)
        return Settings(document, section, values, entries, tuple(sorted(remarks, key=lambda remark: remark.line)))

    def strangers(self, document: Document, section: Section) -> Iterable[Remark]:
        """What to say of the keys that the tool does not know.

        Behind a launcher stand its own options and then a script, which may have others than the tool; of those,
        only the ones are named that look like a key of the tool.
        """
        version, names = known_keys(self.table)
        names |= {name for key in self.keys for name in (key.name, *key.formerly)}
        in_order = sorted(names)
        is_launched = document.syntax == "command line" and _is_launched(section)
        script = _script(section) if is_launched else section.start
        for entry in section.entries.values():
            if entry.key == UNREAD:
                yield Remark(entry.line, "more arguments are computed; archlint reads literals only")
            elif entry.key not in names and script is not None and entry.start >= script:
                cutoff = _VERY_NEAR if is_launched else _NEAR
                near = difflib.get_close_matches(entry.key, in_order, n=1, cutoff=cutoff)
                hint = f"; did you mean {near[0]}?" if near else ""
                if near or not is_launched:
                    yield Remark(entry.line, f"{self.title} {version} has no key {entry.key}{hint}")
        if document.syntax == "command line":
            for word, entry in _strays(section):
                if not is_launched or (script is not None and word.start > script and entry.key in names):
                    shown = "a computed word" if word.data is COMPUTED else word.data
                    is_joined = "=" in document.text[entry.start : entry.value.end]
                    hint = f": {entry.key}= takes one value" if is_joined else ""
                    yield Remark(word.line, f"{shown} belongs to no option{hint}")

    def reading(
        self,
        settings: Settings,
        *,
        base_model: str | None,
        tuner: str = LORA,
        arguments: Mapping[str, Any] | None = None,
        waits: bool = False,
        wants_all: bool = False,
        hints: Mapping[str, Any] | None = None,
    ) -> Reading:
        """The reading of ``settings``: the arguments that the table gives, with ``arguments`` put in their place."""
        content = {key.argument: settings[key.name] for key in self.keys if key.argument is not None}
        content.update(arguments or {})
        kept = peft_configs.config_class(tuner).given(content)
        keys: dict[str, tuple[str, ...]] = {}
        for key in self.keys:
            if key.argument is not None and key.name in settings.entries:
                keys[key.argument] = (*keys.get(key.argument, ()), settings.entries[key.name].key)
        return Reading(
            kept,
            tuner,
            base_model,
            keys,
            settings.remarks,
            tuple(settings.notes),
            waits=waits,
            wants_all=wants_all,
            hints=hints or {},
            training=self.training(settings),
        )

    def training(self, settings: Settings) -> TrainerSettings:
        """What ``settings`` say of the trainer, by the table and by :meth:`trainers`."""
        keys = {key.trains: key.name for key in self.keys if key.trains is not None}
        starts = [section.start for section in settings.document.sections]
        return TrainerSettings(
            self.trainers(settings),
            {argument: settings[name] for argument, name in keys.items() if settings[name] is not None},
            {argument: (settings.entries[name].key,) for argument, name in keys.items() if name in settings.entries},
            starts.index(settings.section.start) if keys else None,
        )

    def trainers(self, settings: Settings) -> tuple[Trainer, ...]:
        """With whom the tool trains: nobody where that is in a way of its own."""
        return ()

    def spell(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        by_argument: dict[str, Key] = {}
        for key in self.keys:
            if key.argument is not None:
                by_argument.setdefault(key.argument, key)
        spelled: dict[str, Any] = {}
        for argument, value in arguments.items():
            if argument in by_argument:
                key = by_argument[argument]
                if value is not None:
                    spelled[key.name] = key.write(value)
            elif value is not None and value not in self.settled.get(argument, ()):
                raise PlanError(f"{self.title} has no key for {argument}")
        if self.refuses_dropout and arguments.get("target_parameters"):
            spelled.setdefault("lora_dropout", 0.0)
        return spelled

    def spell_training(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        by_argument = {key.trains: key for key in self.keys if key.trains is not None}
        for argument in arguments:
            if argument not in by_argument:
                raise PlanError(f"{self.title} has no key for {argument}")
        return {by_argument[argument].name: by_argument[argument].write(data) for argument, data in arguments.items()}

    def spell_needed(self, training: Mapping[str, Any] | None) -> dict[str, Any]:
        """:meth:`spell_training` for a fragment, which does without what the tool's trainer has no use for."""
        given = training or {}
        return self.spell_training({name: given[name] for name in given if name not in self.needless})


def affirmed(section: Section, table: str) -> Section:
    """``section`` with ``--no-x`` as an ``x`` that is off, where only that is a key of the tool."""
    names = known_keys(table)[1]
    entries: dict[str, Entry] = {}
    for entry in section.entries.values():
        name = entry.key.removeprefix("no_")
        if name in names and entry.key not in names and entry.data is True:
            entry = replace(entry, key=name, value=replace(entry.value, data=False))
        entries[entry.key] = entry
    return replace(section, entries=entries)


def _is_computed(data: Any) -> bool:
    if isinstance(data, list):
        return any(map(_is_computed, data))
    if isinstance(data, dict):
        return any(map(_is_computed, data.values()))
    return data is COMPUTED


def _is_launched(section: Section) -> bool:
    return _LAUNCHER.fullmatch(section.about.partition(" ")[0]) is not None


def _script(section: Section) -> int | None:
    """Where the script or the module stands that a launcher starts, if that can be told."""
    first = min(entry.start for entry in section.entries.values())
    leading = [word for word in section.words if word.start < first]
    own = 2 if section.about.startswith("accelerate ") else 1  # accelerate launch
    if len(leading) > own:
        return leading[own].start
    words = list(section.words)
    modules: list[Value] = []
    for entry in section.entries.values():
        values = entry.value.items or (entry.value,)
        words += values
        if entry.key in ("m", "module") and values[0].data not in (True, *_LAUNCHING_MODULES):
            modules.append(values[0])
    scripts = [word for word in words if isinstance(word.data, str) and word.data.endswith(".py")]
    return min((word.start for word in (*modules, *scripts)), default=None)


def _strays(section: Section) -> Iterable[tuple[Value, Entry]]:
    """The words of a command that stand behind an option without being its value, each with that option."""
    entries = sorted(section.entries.values(), key=lambda entry: entry.start)
    starts = [entry.start for entry in entries]
    for word in section.words:
        if before := bisect(starts, word.start):
            yield word, entries[before - 1]
