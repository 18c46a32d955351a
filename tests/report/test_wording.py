"""Numbers in words, at their limits."""

from __future__ import annotations

import dataclasses

import pytest

from archlint.core.blueprint import Scope
from archlint.core.finding import Finding, FoldedSites, Location, PlanLine, Severity
from archlint.core.report import Run
from archlint.core.suppression import Suppressed
from archlint.core.trial import Plan, Trial
from archlint.report import wording


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 K"),
        (124_439_808, "124 M"),
        (5_104_297_504, "5.10 B"),
        (12_345_678_901, "12.3 B"),
        (671_026_419_200, "671 B"),
        (10**12, "1.00 T"),
    ],
)
def test_magnitude(count: int, words: str) -> None:
    assert wording.magnitude(count) == words


@pytest.mark.parametrize(
    ("part", "words"),
    [(0.0, "0 %"), (1e-9, "0.1 %"), (0.9521, "95.2 %"), (0.99999, "99.9 %"), (1.0, "100 %")],
)
def test_only_all_is_a_hundred_per_cent(part: float, words: str) -> None:
    assert wording.share(part) == words


def test_plurals() -> None:
    assert wording.plural(1, "error") == "1 error"
    assert wording.plural(0, "error") == "0 errors"


def test_dead_adapters_are_counted() -> None:
    trial = Trial(Plan("x"), adapted=("a", "b"), coverage=1.0, forward="ok", dead=("b",))
    assert wording.execution(trial) == "forward and backward run, 1 adapter without a gradient"
    assert wording.injection(trial, Scope.ALL) == ("2 adapters on 100 % of the projection weights, none elsewhere")


def test_the_tally_leaves_out_what_there_is_none_of(gemma: Run, clean: Run, unchecked: Run) -> None:
    assert wording.tally(gemma) == "1 error, 1 warning, 3 infos"
    assert wording.tally(clean) == "clean, 1 info"
    assert wording.tally(unchecked) == "1 not checked"


def test_what_is_suppressed_is_told_with_its_reason(gemma: Run) -> None:
    (report,) = gemma.reports
    first, *others = report.findings
    own = Location("own.py", 3)
    suppressed = (Suppressed(first, own, "as\x1b meant"), Suppressed(first, own))
    run = Run(gemma.environment, (dataclasses.replace(report, findings=tuple(others), suppressed=suppressed),))
    assert wording.tally(run) == "1 warning, 3 infos, 2 suppressed"
    assert [wording.suppressed(one) for one in suppressed] == [
        "ARC101 wrapped-linear at own.py:3: as\\x1b meant",
        "ARC101 wrapped-linear at own.py:3: no reason is given",
    ]


def test_a_finding_about_no_modules_is_at_its_own_line() -> None:
    finding = Finding("ARC904", "unused-suppression", Severity.INFO, "it is", "", location=Location("own.py", 3))
    assert wording.own_line(finding) == " (own.py:3)"
    at_modules = dataclasses.replace(finding, sites=(FoldedSites("a", 1, "A", "other", "text"),))
    assert wording.own_line(at_modules) == ""
    assert wording.own_line(dataclasses.replace(at_modules, plan_line=PlanLine("plan.yml", 4, "r"))) == " (plan.yml:4)"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (249_000, "249 kB"), (336_000_000, "336 MB"), (4_740_000_000, "4.74 GB")],
)
def test_size(count: int, words: str) -> None:
    assert wording.size(count) == words
