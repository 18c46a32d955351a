"""What a rule is. Built-in rules and those of other packages are written and found in the same way."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from archlint.core.blueprint import Blueprint, Scope, Site, TypeInfo, fold_sites
from archlint.core.checkpoint import AdapterWeights
from archlint.core.finding import Evidence, Finding, FoldedSites, Location, Remedy, Severity
from archlint.core.training import Trainer
from archlint.core.trial import Trial


@dataclass(frozen=True, slots=True)
class Example:
    """A model on which a rule must fire, or must stay silent.

    ``model`` is ``toy:NAME`` (a class of ``archlint.fixtures.toys``) or any source that needs no network.
    ``plan`` holds LoraConfig arguments; ``at`` a pattern that one of the finding's folds must equal. The rule's page
    shows the first example that has ``says``.
    """

    model: str
    plan: Mapping[str, Any] | None = None
    at: str | None = None
    severity: Severity | None = None
    scope: Scope | None = None
    weights: AdapterWeights | None = None
    """What became of a published adapter's weights, for rules about these."""
    trainers: Sequence[Trainer] = ()
    """Whom it is checked for."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the trainer is given."""
    says: str = ""
    """The message of a finding there, with ``…`` for what depends on versions and folders."""
    fix: Remedy | None = None
    """A remedy that a finding there has: kind, text and value."""


@dataclass(frozen=True, slots=True)
class Documentation:
    """A rule's docstring, taken apart: the first line, and the sections under ``## Title`` lines."""

    summary: str
    sections: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, docstring: str) -> Documentation:
        summary, *sections = re.split(r"^## +", inspect.cleandoc(docstring), flags=re.MULTILINE)
        titled = (section.partition("\n") for section in sections)
        return cls(" ".join(summary.split()), {title.strip(): body.strip() for title, _, body in titled})


class Rule(ABC):
    """One thing that archlint knows to look for.

    A subclass sets ``code``, ``name`` (kebab-case), ``severity`` (the worst that it says), ``why`` (one
    sentence: what it means for somebody who trains), examples, and a docstring: one line of summary and the
    sections ``## What it does``, ``## Why it matters`` and ``## What to do``. That docstring is the rule's
    documentation everywhere. ``check`` is a pure function of the blueprint.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity]
    why: ClassVar[str]
    fires: ClassVar[Sequence[Example]] = ()
    silent: ClassVar[Sequence[Example]] = ()

    @abstractmethod
    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        """What this rule has to say about ``blueprint``."""

    @classmethod
    def documentation(cls) -> Documentation:
        return Documentation.parse(cls.__doc__ or "")

    def finding(
        self,
        message: str,
        *,
        sites: Iterable[Site] = (),
        severity: Severity | None = None,
        evidence: Evidence = Evidence.STATIC,
        remedies: Sequence[Remedy] = (),
        proof: Sequence[str] = (),
        why: str | None = None,
        unchecked: bool = False,
        settings: Sequence[str] = (),
        values: Sequence[str] = (),
        trainers: Sequence[Trainer] = (),
    ) -> Finding:
        """A finding of this rule about ``sites``, which are folded; its location is the first one's class.

        ``settings`` are the plan's arguments that it is about, where sites and remedies do not tell, and ``values``
        the single values in them; ``trainers`` whom it concerns, where it does not concern all.
        """
        folds = fold_sites(sites)
        return Finding(
            code=self.code,
            name=self.name,
            severity=self.severity if severity is None else severity,
            message=message,
            why=self.why if why is None else why,
            evidence=evidence,
            sites=tuple(map(FoldedSites.of, folds)),
            location=Location.of(folds[0].type) if folds else None,
            remedies=tuple(remedies),
            proof=tuple(proof),
            unchecked=unchecked,
            settings=tuple(settings),
            values=tuple(values),
            trainers=tuple(trainers),
        )


def by_class(sites: Iterable[Site]) -> list[list[Site]]:
    """``sites`` in groups of one class each, in order of appearance."""
    groups: dict[TypeInfo, list[Site]] = {}
    for site in sites:
        groups.setdefault(site.type, []).append(site)
    return list(groups.values())


def listed(names: Iterable[str], most: int = 4) -> str:
    """Each of ``names`` once, separated by commas; the number of the others where there are more than ``most``."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) <= most + 1:
        return ", ".join(distinct)
    return f"{', '.join(distinct[:most])} and {len(distinct) - most} more"


def quote(trial: Trial) -> str:
    """A trial in one line: the setting that was tried and what came of it."""
    outcome = str(trial.raised) if trial.raised else f"{len(trial.adapted)} adapters"
    return f"{spell(trial)} → {' '.join(outcome.split())}"


def spell(trial: Trial) -> str:
    """A trial's plan, as a person would write it."""
    lora = trial.plan.lora
    if not lora:
        return "PEFT's default targets"
    return ", ".join(f"{key}={value!r}" for key, value in lora.items())
