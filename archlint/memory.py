"""What is known of a source from earlier checks: reports, and the evidence that they are made from."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archlint.core.catalog import Known, known
from archlint.core.report import Report
from archlint.core.serial import read_as, to_json
from archlint.core.shortage import ran_out
from archlint.digests import key_of
from archlint.evidence import Answers, Evidence
from archlint.own_code import all_code
from archlint.places import Places
from archlint.subject import CodeNotRunError, NotBuiltError, Subject
from archlint.subjects import subject_of

if TYPE_CHECKING:
    from archlint.identity import Located
    from archlint.options import Options

_OWN_RULES = "archlint.rules."


class Memory:
    """Reports and evidence on one source; what is new goes into the store of ``options``, where there is one.

    An entry names the files that the model's classes are made from, with digests of what is in them: where somebody
    edited one, in an installed package as well, it is none of ours any more.
    """

    def __init__(self, located: Located, options: Options) -> None:
        self._located = located
        self._options = options
        self._evidence: Evidence | NotBuiltError | None = None
        self._answers = Answers()
        self._subject: Subject | None = None
        self._is_reached = False
        """Whether the model was built, or that was tried."""
        self._places = Places()
        self._files: Mapping[str, Any] = {}
        """Those that the kept evidence is from."""

    @cached_property
    def _key(self) -> str | None:
        """That of the architecture; ``None`` where nothing is kept of it."""
        is_kept = self._options.store is not None and not _knows_of_more()
        return self._located.architecture(self._options) if is_kept else None

    @property
    def is_kept(self) -> bool:
        """Whether what is found out is kept for later checks."""
        return self._key is not None

    def report(self, options: Options) -> Report | None:
        """The report of an earlier check that asked the same; without a name."""
        found = self._read(self._key_of_report(options))
        return None if found is None else read_as(Report, found.get("report"))

    def keep(self, report: Report, options: Options) -> None:
        """Put what was found out into the store, and the report that it came to."""
        if not self.is_kept or not self._is_sure:
            return
        if isinstance(self._evidence, NotBuiltError):
            self._write(
                key_of("evidence", self._key), lack=str(self._evidence), code=type(self._evidence) is CodeNotRunError
            )
        elif self._answers.is_new:
            self._write(key_of("evidence", self._key), answers=self._answers.kept)
            self._answers.is_new = False
        if (key := self._key_of_report(options)) is not None:
            self._write(key, report=to_json(report))

    @property
    def _is_sure(self) -> bool:
        """Whether the same would be found again."""
        if isinstance(self._evidence, NotBuiltError):
            return self._evidence.is_lasting
        return self._answers.is_sure

    def evidence(self) -> Evidence:
        """What is known of the model.

        Raises:
            NotBuiltError: there is no model.
        """
        if self._evidence is None:
            self._evidence = self._found_out()
        if isinstance(self._evidence, NotBuiltError):
            raise self._evidence
        return self._evidence

    def _found_out(self) -> Evidence | NotBuiltError:
        found = (self._read(key_of("evidence", self._key)) if self.is_kept else None) or {}
        self._files = found.get("files", {})
        if isinstance(lack := found.get("lack"), str):
            return (CodeNotRunError if found.get("code") else NotBuiltError)(lack)
        answers = found.get("answers")
        self._answers = Answers(answers if isinstance(answers, dict) else {})
        try:
            return Evidence(self._answers, self._reach)
        except NotBuiltError as error:
            return error

    def close(self) -> None:
        """Give up the model; what is known of it stays."""
        if self._subject is not None:
            self._subject.close()

    def _reach(self) -> Subject:
        self._is_reached = True
        if self._subject is None:
            with self._places.watched():
                self._subject = subject_of(self._located, self._options)
        return self._subject

    def _key_of_report(self, options: Options) -> str | None:
        if not self.is_kept or not all(rule.module.startswith(_OWN_RULES) for rule in _heard(options)):
            return None  # what a plugin's rule says may depend on any of its code
        with contextlib.suppress(TypeError):  # a value that is not plain
            return key_of("report", self._key, all_code(), list(options.asked()))
        return None

    def _read(self, key: str | None) -> Mapping[str, Any] | None:
        store = self._options.store
        content = None if store is None or key is None else store.get(key)
        if content is None:
            return None
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            return None
        files = found.get("files") if isinstance(found, dict) else None
        return found if isinstance(files, dict) and self._places.hold(files) else None

    def _write(self, key: str, **content: Any) -> None:
        assert self._options.store is not None  # there is a key
        files = self._all_files()
        text = json.dumps({"files": files, **content}, separators=(",", ":"))
        if files is not None and not ran_out(text):
            self._options.store.put(key, text.encode())

    def _all_files(self) -> Mapping[str, Any] | None:
        """What an entry that is written now is from; ``None`` where that cannot be told."""
        if self._files and not self._is_reached:
            return self._files
        blueprint = self._evidence.blueprint if isinstance(self._evidence, Evidence) else None
        others = () if self._subject is None else self._subject.files
        found = None if others is None else self._places.states(blueprint, others)
        return None if found is None else {**self._files, **found}


def _knows_of_more() -> bool:
    """Whether code of this process, as that in a rule file, told transformers of models that it does not have."""
    auto = sys.modules.get("transformers.models.auto.configuration_auto")
    return bool(getattr(getattr(auto, "CONFIG_MAPPING", None), "_extra_content", None))


def _heard(options: Options) -> Iterator[Known]:
    """The rules that a report depends on: those that run, and those that would have said something."""
    yield from known(options.rules).values()
    if options.catalog is not None:
        yield from (options.catalog.known[code] for code in options.ignored if code in options.catalog.known)
