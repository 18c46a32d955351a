"""A rule's docstring is its documentation, and its findings fold the sites that it names."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from archlint.core.blueprint import Blueprint, Kind, Role, Site, TypeInfo
from archlint.core.finding import Evidence, Finding, FoldedSites, Location, Remedy, Severity
from archlint.core.rule import Documentation, Rule, by_class, listed, quote, spell
from archlint.core.trial import Plan, Refusal, Trial


class Undersized(Rule):
    """A layer is too small
    to be worth an adapter.

    ## What it does

    Looks at every layer.

    It has two paragraphs.

    ## Why it matters
    Time.
    ## What to do

    Nothing:

        ## no heading, as it is indented
    """

    code, name, severity, why = "TST001", "undersized", Severity.WARNING, "It costs time."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        yield self.finding("too small", sites=blueprint.sites)


def site(path: str, kind: Kind = Kind.LINEAR, file: str | None = "m.py") -> Site:
    return Site(path, TypeInfo("Linear", "m", file=file, line=7), kind, Role.TEXT)


def test_the_docstring_is_taken_apart() -> None:
    documentation = Undersized.documentation()
    assert documentation.summary == "A layer is too small to be worth an adapter."
    assert documentation.sections == {
        "What it does": "Looks at every layer.\n\nIt has two paragraphs.",
        "Why it matters": "Time.",
        "What to do": "Nothing:\n\n    ## no heading, as it is indented",
    }


@pytest.mark.parametrize("docstring", ["", "   \n  "])
def test_no_docstring_is_no_documentation(docstring: str) -> None:
    assert Documentation.parse(docstring) == Documentation("")


def test_a_finding_takes_from_its_rule_what_it_is_not_told() -> None:
    finding = Undersized().finding("too small")
    assert (finding.code, finding.name, finding.severity) == ("TST001", "undersized", Severity.WARNING)
    assert finding.why == "It costs time."
    assert finding.evidence is Evidence.STATIC
    assert finding.sites == ()
    assert finding.location is None


def test_a_finding_can_say_otherwise() -> None:
    remedy = Remedy("other", "leave it")
    finding = Undersized().finding(
        "too small", severity=Severity.INFO, why="Look.", evidence=Evidence.INJECTED, remedies=[remedy], proof=["tried"]
    )
    assert (finding.severity, finding.why, finding.evidence) == (Severity.INFO, "Look.", Evidence.INJECTED)
    assert (finding.remedies, finding.proof) == ((remedy,), ("tried",))


def test_sites_are_folded_by_class_kind_and_role() -> None:
    sites = [site("layers.0.up"), site("layers.1.up"), site("layers.0.norm", Kind.NORM)]
    finding = Undersized().finding("too small", sites=sites)
    assert finding.sites == (
        FoldedSites("layers.{0,1}.up", 2, "Linear", "linear", "text"),
        FoldedSites("layers.0.norm", 1, "Linear", "norm", "text"),
    )
    assert finding.count == 3
    assert finding.location == Location("m.py", 7)


def test_a_class_without_a_file_has_no_location() -> None:
    assert Undersized().finding("too small", sites=[site("a", file=None)]).location is None


def test_sites_group_by_class_in_order_of_appearance() -> None:
    linear, norm = site("a"), Site("b", TypeInfo("Norm", "m"), Kind.NORM, Role.TEXT)
    assert by_class([linear, norm, site("c")]) == [[linear, site("c")], [norm]]


@pytest.mark.parametrize(
    ("trial", "line"),
    [
        (Trial(Plan("default"), adapted=("a", "b")), "PEFT's default targets → 2 adapters"),
        (
            Trial(Plan("list", {"target_modules": ["q"], "r": 4}), raised=Refusal("ValueError", "no\n  module")),
            "target_modules=['q'], r=4 → ValueError: no module",
        ),
    ],
)
def test_a_trial_is_quoted_in_one_line(trial: Trial, line: str) -> None:
    assert quote(trial) == line
    assert line.startswith(spell(trial))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["q", "k", "q"], "q, k"),
        (list("abcde"), "a, b, c, d, e"),
        (list("abcdef"), "a, b, c, d and 2 more"),
    ],
)
def test_many_names_are_counted(names: list[str], words: str) -> None:
    assert listed(names) == words
