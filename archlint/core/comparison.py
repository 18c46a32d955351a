"""What came and went between two runs over the same sources: an upgrade, or a change of a model or a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from archlint.core.finding import Finding, Severity
from archlint.core.folding import size, unfold, without_indices
from archlint.core.report import Report, Run, Unchecked
from archlint.core.suppression import Suppressed
from archlint.core.trial import Trial


@dataclass(frozen=True, slots=True)
class Pair:
    """A finding that was there before and still is, in other words, at other places or of another severity."""

    before: Finding
    after: Finding

    @property
    def is_worse(self) -> bool:
        """Whether it is graver, or has spread to other places of the model: more layers of the same are none."""
        return self.after.severity.rank < self.before.severity.rank or not _places(self.after) <= _places(self.before)


@dataclass(frozen=True)
class Comparison:
    """Two reports on one source; ``None`` where one run has no report on it."""

    source: str
    before: Report | None
    after: Report | None

    @cached_property
    def new(self) -> tuple[Finding, ...]:
        """What was not found before, nor at some of its places."""
        paired = {_identity(pair.after) for pair in self._pairs}
        return tuple(finding for key, finding in _identified(self.after).items() if key not in paired)

    @cached_property
    def mended(self) -> tuple[Finding, ...]:
        """What is not found any more, and was looked for."""
        return () if self.is_blind else self._gone

    @cached_property
    def lost(self) -> tuple[Finding, ...]:
        """What is not found any more where something could not be checked: nobody knows whether it is mended."""
        return self._gone if self.is_blind else ()

    @cached_property
    def suppressed(self) -> tuple[Suppressed, ...]:
        """What was found before, and is suppressed by now."""
        gone = set(_identified(self.before)).difference(_identity(pair.before) for pair in self._pairs)
        found = () if self.after is None else self.after.suppressed
        return tuple(one for one in found if _identity(one.finding) in gone)

    @cached_property
    def changed(self) -> tuple[Pair, ...]:
        """What is still found, and not quite the same."""
        return tuple(pair for pair in self._pairs if _told(pair.before) != _told(pair.after))

    @cached_property
    def same(self) -> tuple[Finding, ...]:
        """What is found as before."""
        told = {id(finding) for finding in (*self.new, *(pair.after for pair in self.changed))}
        return tuple(finding for finding in _identified(self.after).values() if id(finding) not in told)

    @cached_property
    def bad(self) -> tuple[Finding, ...]:
        """What is new, and what is worse than it was."""
        return (*self.new, *(pair.after for pair in self.changed if pair.is_worse))

    @property
    def unchecked(self) -> tuple[Unchecked, ...]:
        """What cannot be checked, and could be before or was not asked then."""
        known = () if self.before is None else self.before.unchecked
        return () if self.after is None else tuple(item for item in self.after.unchecked if item not in known)

    @property
    def checked(self) -> tuple[Unchecked, ...]:
        """What could not be checked before, and is by now; nothing where something else keeps that from being known."""
        if self.before is None or self.after is None or self.unchecked:
            return ()
        return tuple(item for item in self.before.unchecked if item not in self.after.unchecked)

    @property
    def still_unchecked(self) -> tuple[Unchecked, ...]:
        """What can be checked neither before nor now."""
        return () if self.after is None else tuple(item for item in self.after.unchecked if item not in self.unchecked)

    @property
    def is_blind(self) -> bool:
        """Whether something that was found before may be there still, unseen."""
        return self.after is not None and bool(self.after.unchecked)

    @property
    def was_blind(self) -> bool:
        """Whether something that is found now may have been there before, unseen."""
        if self.before is None or self.after is None:
            return False
        return any(item not in self.after.unchecked for item in self.before.unchecked)

    @property
    def recipes(self) -> tuple[Trial | None, Trial | None] | None:
        """The recipes of both, where they differ in what they say or in what they come to."""
        before, after = (None if report is None else report.recipe for report in (self.before, self.after))
        if self.before is None or self.after is None or _outcome(before) == _outcome(after):
            return None
        return before, after

    @property
    def is_same(self) -> bool:
        """Whether nothing came, went or changed."""
        lists = (self.new, self.mended, self.lost, self.suppressed, self.changed, self.unchecked, self.checked)
        there = (self.before is None) == (self.after is None)
        return there and not any(lists) and self.recipes is None

    @cached_property
    def _pairs(self) -> tuple[Pair, ...]:
        """What both have: the same finding, or else one by the same rule that shares places of the model with it."""
        before, after = dict(_identified(self.before)), dict(_identified(self.after))
        pairs = [Pair(before.pop(key), after.pop(key)) for key in list(after) if key in before]
        for finding in after.values():
            alike = (key for key, old in before.items() if old.code == finding.code and _places(old) & _places(finding))
            if (key := next(alike, None)) is not None:
                pairs.append(Pair(before.pop(key), finding))
        return tuple(pairs)

    @property
    def _gone(self) -> tuple[Finding, ...]:
        """What is not found any more; nothing where the source itself is not asked for any more."""
        if self.after is None:
            return ()
        still = {_identity(pair.before) for pair in self._pairs}
        still |= {_identity(one.finding) for one in self.after.suppressed}
        return tuple(finding for key, finding in _identified(self.before).items() if key not in still)


@dataclass(frozen=True)
class Difference:
    """Two runs, source by source."""

    before: Run
    after: Run
    comparisons: tuple[Comparison, ...]

    @classmethod
    def of(cls, before: Run, after: Run) -> Difference:
        """Both runs, held side by side by the names of their sources; two runs over one source each are by these.

        Several reports on one source are so in their order.
        """
        if len(before.reports) == len(after.reports) == 1:
            old, new = before.reports[0], after.reports[0]
            return cls(before, after, (Comparison(new.source, old, new),))
        known, found = _by_source(before), _by_source(after)
        pairs = (
            Comparison(source, old, new)
            for source in dict.fromkeys([*found, *known])
            for old, new in zip_longest(known.get(source, ()), found.get(source, ()))
        )
        return cls(before, after, tuple(pairs))

    @property
    def news(self) -> Run:
        """The later run with what is new or worse, and what could not be checked; notes tell what is mended."""
        return dataclasses.replace(self.after, reports=tuple(self._news()))

    def exit_code(self, fail_on: Severity | None) -> int:
        """1 where a finding at or above ``fail_on`` is new or worse, else 3 or 0.

        3 means that something cannot be checked in the later run, whether it could be in the earlier or not.
        """
        return self.news.exit_code(fail_on)

    def _news(self) -> Iterator[Report]:
        for comparison in self.comparisons:
            if (report := comparison.after) is None:
                continue
            mended = (finding for finding in comparison.mended if finding.severity is not Severity.INFO)
            notes = [f"mended: {finding.code} {finding.message}" for finding in mended]
            yield dataclasses.replace(report, findings=comparison.bad, notes=(*report.notes, *notes))


def _by_source(run: Run) -> Mapping[str, Sequence[Report]]:
    reports: dict[str, list[Report]] = {}
    for report in run.reports:
        reports.setdefault(report.source, []).append(report)
    return reports


def _identified(report: Report | None) -> Mapping[tuple[str, str], Finding]:
    """Its findings, of those that are the same the gravest; that something could not be checked is told elsewhere."""
    found: dict[tuple[str, str], Finding] = {}
    for finding in sorted(() if report is None else report.findings, key=lambda finding: finding.severity.rank):
        if not finding.unchecked:
            found.setdefault(_identity(finding), finding)
    return found


def _identity(finding: Finding) -> tuple[str, str]:
    return finding.code, finding.fingerprint


def _places(finding: Finding) -> frozenset[tuple[str, str]]:
    """Classes and paths without indices."""
    return frozenset((fold.type, path) for fold in finding.sites for path in _written_out(fold.pattern))


def _written_out(pattern: str) -> Sequence[str]:
    bare = without_indices(pattern)
    return unfold(bare) if size(bare) <= _MOST else (bare,)


_MOST = 10_000
"""Paths that one pattern is written out to."""


def _told(finding: Finding) -> object:
    places = sorted((fold.pattern, fold.count, fold.type) for fold in finding.sites)
    return finding.severity, finding.message, places


def _outcome(recipe: Trial | None) -> object:
    """What a recipe says and comes to; where in detail is for the reports themselves."""
    if recipe is None:
        return None
    figures = (len(recipe.adapted), round(recipe.coverage, 4), recipe.outside, recipe.forward, recipe.is_sound)
    return dict(recipe.plan.lora), figures
