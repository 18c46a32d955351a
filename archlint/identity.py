"""Which architecture a source is: known from its configuration and its code, before anything is built."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from archlint import published
from archlint.canonical import canonical
from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Finding
from archlint.core.report import Report
from archlint.digests import digest, key_of
from archlint.options import Options
from archlint.own_code import survey_code
from archlint.published import PublishedAdapter
from archlint.sources import Source, custom_code, resolve
from archlint.sources.hub import AdapterOnHubError
from archlint.surroundings import surroundings

_MOST_FILES, _MOST_BYTES = 1000, 20_000_000
"""Of a repository's code, far more than any has: the folder may be somebody's home."""

NAMELESS = "SOURCE"
"""What a report says in place of a source before it is given the name of one."""


@dataclass(frozen=True)
class Located:
    """A source whose configuration is at hand."""

    name: str
    """As the user wrote it."""
    source: Source
    """The model; of an adapter, its base."""
    adapter: PublishedAdapter | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know of how it was found, a line each."""
        if self.adapter is None:
            return self.source.notes
        return (f"an adapter for {self.adapter.base}", *self.source.notes)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration that is built; a repository's own code gets it as it stands."""
        config = dict(self._config)
        return config if self.is_custom else canonical(config)

    @property
    def _config(self) -> Mapping[str, Any]:
        assert self.source.config is not None  # `locate` looked
        return self.source.config

    @cached_property
    def is_custom(self) -> bool:
        """Whether the architecture exists only as the repository's own code."""
        return custom_code.is_needed(self._config)

    @property
    def info(self) -> ModelInfo:
        """The model without a name, for a report that is to be given one."""
        return ModelInfo(id=NAMELESS, origin="hub", class_name="", model_type="", parameters=0, modules=0)

    def asked(self, options: Options) -> Options:
        """``options`` with the adapter, and its own plan unless there is another."""
        if self.adapter is None:
            return options
        plan_file = options.plan_file or self.adapter.plan_file
        return dataclasses.replace(options, adapter=self.adapter, plan_file=plan_file)

    def architecture(self, options: Options) -> str | None:
        """The same for all that have the same evidence; ``None`` where that cannot be told."""
        if self.is_custom and "--" in repr(self.config.get("auto_map")):  # code of another repository
            return None
        adapter = None if self.adapter is None else (self.adapter.task, self.adapter.labels)
        code = _code(self.source.folder) if self.is_custom and self.source.folder is not None else []
        if code is None:
            return None
        return key_of(
            "architecture",
            surroundings(),
            survey_code(),
            self.config,
            self.is_custom,
            code,
            options.source.class_name,
            self.is_custom and [options.source.trust_remote_code, options.source.require_sandbox],
            options.rewards,
            adapter,
            options.scope,
        )

    def named(self, report: Report) -> Report:
        """``report``, which names no source, as that of this one."""
        model = report.model
        if model is not None:
            source = self.source
            model = dataclasses.replace(
                model, id=source.id, origin=source.origin, revision=source.revision, family=source.family
            )
        called = shlex.quote((model.source if model is not None else None) or self.name)
        if report.own_code is not None and report.own_code.was_run:
            called += " --trust-remote-code"
        return dataclasses.replace(
            report,
            source=self.name,
            model=model,
            findings=tuple(_called(finding, called) for finding in report.findings),
            suppressed=tuple(
                dataclasses.replace(one, finding=_called(one.finding, called)) for one in report.suppressed
            ),
            notes=(*self.notes, *report.notes),
        )


def locate(name: str, options: Options) -> Located:
    """The source that ``name`` means, which may be an adapter with its base model. Imports no torch.

    Raises:
        SourceError: there is no such thing, or it cannot be read.
    """
    try:
        adapter = published.find(name)
        if adapter is None:
            return Located(name, resolve(name, options.source))
    except AdapterOnHubError as found:
        adapter = published.from_hub(name, found)
    base = dataclasses.replace(options.source, revision=None, subfolder=None)  # which are the adapter's
    return Located(name, resolve(adapter.base, base), adapter)


def _called(finding: Finding, name: str) -> Finding:
    """``finding`` with ``name``, as a shell takes it, in the commands of its remedies."""
    if not any(NAMELESS in remedy.text for remedy in finding.remedies):
        return finding
    old, new = f"archlint patch {NAMELESS} ", f"archlint patch {name} "
    remedies = (
        dataclasses.replace(remedy, text=remedy.text.replace(old, new), value=str(remedy.value).replace(old, new))
        if remedy.kind == "patch"
        else remedy
        for remedy in finding.remedies
    )
    return dataclasses.replace(finding, remedies=tuple(remedies))


def _code(folder: Path) -> list[tuple[str, str]] | None:
    """The Python files of a repository with digests of what is in them; first the folder, which reports name.

    ``None`` where they are more than a repository has, or cannot be read.
    """
    found, size = [(str(folder.absolute()), "")], 0
    try:
        for path in folder.rglob("*.py"):
            if path.is_file():
                size += path.stat().st_size
                if len(found) > _MOST_FILES or size > _MOST_BYTES:
                    return None
                found.append((str(path.relative_to(folder)), digest(path.read_bytes())))
    except OSError:
        return None
    return sorted(found)
