"""What comments suppress, and which of them suppress nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from archlint.core.blueprint import Blueprint, TypeInfo
from archlint.core.catalog import Catalog, UnknownRuleError
from archlint.core.finding import Finding, Location
from archlint.core.folding import unfold
from archlint.core.rule import listed
from archlint.core.suppression import Suppressed
from archlint.suppressions.comments import Comment

_UNKNOWN = TypeInfo("another class", "")
"""The class of a site that the model does not have: a rule may say anything."""


@dataclass(frozen=True, slots=True)
class Useless:
    """A comment, or a name in one, that suppresses nothing, and why."""

    location: Location
    message: str


@dataclass(frozen=True)
class Suppressions:
    """The comments on one model's classes.

    What is found in modules of a class is suppressed at that class, and what is found in the model as a whole at
    the model's own.
    """

    blueprint: Blueprint
    comments: Sequence[Comment]
    catalog: Catalog
    """The rules that comments may name."""

    def suppressed(self, finding: Finding) -> Suppressed | None:
        """``finding`` with the comment that suppresses it; of several classes, that of the first.

        ``None`` where a class of its sites has no comment for it: what it says holds for that one too. ``None``
        also where something could not be checked, which no comment makes good.
        """
        covering = [self._covering(finding, place) for place in self._classes(finding)]
        if finding.unchecked or (comment := covering[0]) is None or None in covering:
            return None
        return Suppressed(finding, comment.location, comment.reason)

    def useless(
        self, findings: Collection[Finding], others: Collection[Finding], ran: Collection[str]
    ) -> Iterator[Useless]:
        """The comments, and names in them, that suppress nothing.

        Args:
            findings: what was found, before anything was suppressed.
            others: what is found where something else is asked; a comment on these has its use.
            ran: codes of the rules that saw all there is: what others would find is not known.
        """
        for comment in self.comments:
            if (problem := _problem(comment)) is not None:
                yield Useless(comment.location, problem)
                continue
            for name in comment.names:
                if (reason := self._reason(comment, name, findings, others, ran)) is not None:
                    message = f"{_spelt([name])} at {comment.class_name} suppresses nothing: {reason}"
                    yield Useless(comment.location, message)

    def _reason(
        self,
        comment: Comment,
        name: str,
        findings: Collection[Finding],
        others: Collection[Finding],
        ran: Collection[str],
    ) -> str | None:
        """Why ``name`` in a comment suppresses nothing; ``None`` where it does, or where that is not known."""
        try:
            codes = self._codes(name)
        except UnknownRuleError as error:
            # it may be of a plugin that could not be loaded
            return None if self.catalog.failures else str(error)
        if self._is_too_wide(name):
            return "it would hide whatever is found; write the codes that are meant"
        here = [finding for finding in findings if self._concerns(finding, comment, codes)]
        if any(self.suppressed(finding) is not None for finding in here):
            return None
        if here:
            return self._standing(here[0])
        is_there = any(_is_at(comment, site.type) for site in self.blueprint.sites)
        if not is_there or not codes <= set(ran) or any(self._concerns(other, comment, codes) for other in others):
            return None
        elsewhere = [place.name for found in findings if found.code in codes for place in self._classes(found)]
        return f"it is found in {listed(elsewhere)}" if elsewhere else "it is not found there"

    def _standing(self, finding: Finding) -> str:
        """Why a finding stands though a comment names it."""
        if finding.unchecked:
            return f"{finding.code} says that something could not be checked"
        others = (place.name for place in self._classes(finding) if self._covering(finding, place) is None)
        return f"{finding.code} is found in {listed(others)} as well"

    def _concerns(self, finding: Finding, comment: Comment, codes: Collection[str]) -> bool:
        return finding.code in codes and any(_is_at(comment, place) for place in self._classes(finding))

    def _covering(self, finding: Finding, place: TypeInfo) -> Comment | None:
        """The first comment at the class ``place`` that names the rule of ``finding``."""
        return next((one for one, codes in self._usable if _is_at(one, place) and finding.code in codes), None)

    @cached_property
    def _usable(self) -> Sequence[tuple[Comment, frozenset[str]]]:
        """The comments at classes, and the codes that each stands for; a name that is no use leaves the others."""
        usable = [comment for comment in self.comments if _problem(comment) is None]
        return [(one, frozenset(code for name in one.names for code in self._usable_codes(name))) for one in usable]

    def _usable_codes(self, name: str) -> frozenset[str]:
        try:
            return frozenset() if self._is_too_wide(name) else self._codes(name)
        except UnknownRuleError:
            return frozenset()

    def _codes(self, name: str) -> frozenset[str]:
        """The codes that ``name`` stands for, as with ``--select``.

        Raises:
            UnknownRuleError: there are none.
        """
        return frozenset(self.catalog.codes([name]))

    def _is_too_wide(self, name: str) -> bool:
        """Whether it is ``ALL``, or what all codes of a package begin with."""
        return name.isalpha() and all(name.lower() != rule.name for rule in self.catalog.known.values())

    def _classes(self, finding: Finding) -> tuple[TypeInfo, ...]:
        """The classes of its sites, each once; that of the model where it is about no modules."""
        paths = [unfold(fold.pattern)[0] for fold in finding.sites] or [""]
        sites = map(self.blueprint.by_path.get, paths)
        return tuple(dict.fromkeys(_UNKNOWN if site is None else site.type for site in sites))


def _problem(comment: Comment) -> str | None:
    """Why a comment cannot be used at all."""
    if not comment.names:
        said = f"says {comment.said!r}" if comment.said else "is empty"
        return f"a comment to archlint {said}: write ignore[ARC101], with the codes that are meant, and a reason"
    if comment.class_line is None:
        return f"{_spelt(comment.names)} stands at no class: put it on the line of a class statement, or directly above"
    return None


def _is_at(comment: Comment, place: TypeInfo) -> bool:
    return comment.class_line is not None and (comment.location.file, comment.class_line) == (place.file, place.line)


def _spelt(names: Iterable[str]) -> str:
    return f"ignore[{', '.join(names)}]"
