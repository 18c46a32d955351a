"""Two runs side by side: what is new, mended, changed and not known, and how each format tells it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from archlint.core.comparison import Comparison, Difference
from archlint.core.finding import Finding, FoldedSites, Severity
from archlint.core.report import Report, Run, Unchecked
from archlint.core.training import Trainer, Training
from archlint.core.trial import Plan
from archlint.report import stored
from archlint.report.difference import concise, document, full, markdown, words
from archlint.report.layout import draw

from .conftest import ENVIRONMENT, trained
from .strategies import RUNS

VALIDATOR = Draft202012Validator(document.schema())
LACK = Unchecked("the training step", "no batch fits")


def finding(code: str = "ARC601", severity: Severity = Severity.WARNING, *patterns: str, message: str = "m") -> Finding:
    sites = tuple(FoldedSites(pattern, 2, "Linear", "linear", "text") for pattern in patterns)
    return Finding(code, "a-name", severity, message, "", sites=sites)


def run_of(*reports: Report, **versions: str) -> Run:
    environment = dataclasses.replace(ENVIRONMENT, **versions)
    return Run(environment, reports)


def compared(before: Report, after: Report) -> Comparison:
    (comparison,) = Difference.of(run_of(before), run_of(after)).comparisons
    return comparison


def with_findings(report: Report, *findings: Finding) -> Report:
    return dataclasses.replace(report, findings=findings)


@pytest.fixture
def upgraded(gemma: Run) -> Difference:
    """An upgrade that mends the error, widens the warning, brings another and changes the recipe."""
    (report,) = gemma.reports
    _, tower, *infos = report.findings
    wider = dataclasses.replace(tower, message="all-linear also adapts the towers", sites=tower.sites)
    worse = dataclasses.replace(infos[0], severity=Severity.WARNING)
    brought = dataclasses.replace(
        report.findings[0], code="ARC508", name="adapted-forward-crash", evidence=tower.evidence
    )
    assert report.recipe is not None
    plan = Plan("recipe", {"target_modules": ["q_proj", "v_proj"], "r": 8})
    recipe = dataclasses.replace(report.recipe, plan=plan, adapted=report.recipe.adapted[:70], coverage=0.25)
    after = dataclasses.replace(
        report, findings=(brought, wider, worse, *infos[1:]), recipe=recipe, notes=(), unchecked=()
    )
    return Difference.of(gemma, Run(dataclasses.replace(ENVIRONMENT, peft="0.22.0", trl="1.16.0"), (after,)))


@given(RUNS)
@settings(deadline=None)
def test_a_run_beside_itself_is_the_same(run: Run) -> None:
    difference = Difference.of(run, run)
    for comparison in difference.comparisons:
        assert comparison.is_same
    assert not list(difference.news.findings)
    assert difference.exit_code(Severity.INFO) == (3 if run.unchecked else 0)


@given(RUNS, RUNS)
@settings(deadline=None)
def test_every_finding_is_in_one_place(before: Run, after: Run) -> None:
    difference = Difference.of(before, after)
    for comparison in difference.comparisons:
        if comparison.after is not None:
            there = {(f.code, f.fingerprint) for f in comparison.after.findings if not f.unchecked}
            told = [*comparison.new, *comparison.same, *(pair.after for pair in comparison.changed)]
            assert sorted((f.code, f.fingerprint) for f in told) == sorted(there)
        assert not (comparison.mended and comparison.lost)
    draw(full.render(difference, exit_code=0), width=100)
    MarkdownIt("commonmark").render(markdown.render(difference))
    assert len(concise.render(difference).splitlines()) >= sum(not c.is_same for c in difference.comparisons)


def test_what_is_not_found_where_something_could_not_be_checked_is_not_mended() -> None:
    before = Report("x", findings=(finding(),))
    mended, blind = compared(before, Report("x")), compared(before, Report("x", unchecked=(LACK,)))
    assert (len(mended.mended), len(mended.lost)) == (1, 0)
    assert (len(blind.mended), len(blind.lost)) == (0, 1)
    assert (blind.unchecked, blind.checked) == ((LACK,), ())
    assert compared(Report("x", unchecked=(LACK,)), Report("x")).checked == (LACK,)


def test_nothing_is_called_checked_where_something_else_came_in_the_way() -> None:
    lost = Unchecked("model", "it is not there")
    comparison = compared(Report("x", unchecked=(LACK,)), Report("x", unchecked=(lost,)))
    assert (comparison.unchecked, comparison.checked) == ((lost,), ())
    reworded = dataclasses.replace(LACK, why="no batch fits at all")
    assert compared(Report("x", unchecked=(LACK,)), Report("x", unchecked=(reworded,))).checked == ()


def test_what_still_cannot_be_checked_is_named() -> None:
    lacking = run_of(Report("x", unchecked=(LACK,)))
    difference = Difference.of(lacking, lacking)
    assert concise.render(difference) == "x: still unchecked the training step: no batch fits\n"
    assert "unchecked  the training step: no batch fits (as before)" in _shown(difference)
    assert "no batch fits" in markdown.render(difference)


def test_what_is_new_where_not_all_was_checked_before_may_have_been_there() -> None:
    def told(*before: Unchecked) -> str:
        return words.remark(compared(Report("x", unchecked=before), Report("x", findings=(finding(),))))

    assert told(LACK) == "not everything could be checked before: what is new may have been there"
    assert told() == ""


def test_the_gravest_of_findings_that_are_the_same_counts() -> None:
    places = "layers.{0..3}.q"
    warning, error = (finding("ARC507", severity, places) for severity in (Severity.WARNING, Severity.ERROR))
    for found in ((error, warning), (warning, error)):
        comparison = compared(Report("x", findings=(warning,)), Report("x", findings=found))
        assert [pair.is_worse for pair in comparison.changed] == [True]


def test_no_report_on_a_source_hides_another() -> None:
    good, bad = Report("x"), Report("x", findings=(finding(severity=Severity.ERROR),))
    difference = Difference.of(run_of(good, good), run_of(bad, good, good))
    assert difference.exit_code(Severity.ERROR) == 1
    assert [len(comparison.new) for comparison in difference.comparisons] == [1, 0, 0]


def test_layers_that_are_counted_otherwise_are_a_change_and_nothing_new() -> None:
    before = Report("x", findings=(finding("ARC601", Severity.WARNING, "layers.{0..3}.q"),))
    after = Report("x", findings=(finding("ARC601", Severity.WARNING, "layers.{0..5}.q"),))
    comparison = compared(before, after)
    assert (comparison.new, comparison.mended) == ((), ())
    (pair,) = comparison.changed
    assert not pair.is_worse
    assert words.changes(pair) == "at other places"


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ((), (finding(severity=Severity.ERROR),), 1),
        ((), (finding(),), 0),
        ((finding(severity=Severity.ERROR),), (finding(severity=Severity.ERROR),), 0),
        ((finding(),), (finding(severity=Severity.ERROR),), 1),
        ((finding(severity=Severity.ERROR),), (finding(),), 0),
    ],
)
def test_what_is_new_or_worse_fails(before: tuple[Finding, ...], after: tuple[Finding, ...], code: int) -> None:
    difference = Difference.of(run_of(Report("x", findings=before)), run_of(Report("x", findings=after)))
    assert difference.exit_code(Severity.ERROR) == code
    assert difference.exit_code(None) == 0


def test_what_still_cannot_be_checked_is_never_clean() -> None:
    lacking = run_of(Report("x", unchecked=(LACK,)))
    difference = Difference.of(lacking, lacking)
    assert difference.exit_code(Severity.ERROR) == 3
    told = f"{LACK.what}: {LACK.why}"
    assert concise.render(difference) == f"x: still unchecked {told}\n"
    assert f"unchecked  {told} (as before)" in draw(full.render(difference, exit_code=3), width=100)


def test_sources_are_held_side_by_side_by_name_and_two_alone_by_that() -> None:
    before = run_of(Report("a"), Report("b", findings=(finding(),)))
    after = run_of(Report("b"), Report("c"))
    kept, new, gone = Difference.of(before, after).comparisons
    assert (kept.source, len(kept.mended)) == ("b", 1)
    assert (new.source, new.before, words.remark(new)) == ("c", None, "checked for the first time")
    assert (gone.source, gone.after, words.remark(gone)) == ("a", None, "not checked any more")
    assert words.tally(Difference.of(before, after)) == "nothing new, 1 mended, 1 not checked any more"
    (one,) = Difference.of(run_of(Report("old", findings=(finding(),))), run_of(Report("new"))).comparisons
    assert (one.source, len(one.mended)) == ("new", 1)


def test_difference_at_100_columns(upgraded: Difference, golden: Callable[[str], None]) -> None:
    golden(draw(full.render(upgraded, exit_code=1), width=100))


def test_difference_in_a_line_each(upgraded: Difference, golden: Callable[[str], None]) -> None:
    golden(concise.render(upgraded))


def test_difference_as_a_comment(upgraded: Difference, golden: Callable[[str], None]) -> None:
    golden(markdown.render(upgraded))


def test_a_difference_for_programs(upgraded: Difference) -> None:
    found = json.loads(document.render(upgraded))
    VALIDATOR.validate(found)
    counts = {"new": 1, "mended": 1, "changed": 2, "worse": 1, "lost": 0, "unchecked": 0}
    assert found["summary"] == {**counts, "errors": 1, "warnings": 1, "infos": 0}
    (comparison,) = found["comparisons"]
    assert [item["code"] for item in comparison["mended"]] == ["ARC101"]
    assert comparison["recipe"]["after"]["lora"]["r"] == 8
    assert [json.loads(line) for line in document.lines(upgraded).splitlines()] == [found]


def test_written_reports_are_compared_as_those_in_hand(upgraded: Difference) -> None:
    from archlint.report import json_document

    (before,), (after,) = (stored.parse(json_document.render(run)) for run in (upgraded.before, upgraded.after))
    again = Difference.of(before, after)
    assert document.render(again) == document.render(upgraded)
    assert draw(full.render(again, exit_code=1), width=100) == draw(full.render(upgraded, exit_code=1), width=100)


def test_the_recipe_stands_there_where_a_fix_names_it(upgraded: Difference) -> None:
    (comparison,) = upgraded.comparisons
    assert comparison.before is not None
    assert comparison.after is not None
    kept = dataclasses.replace(comparison.after, recipe=comparison.before.recipe)
    difference = Difference.of(upgraded.before, run_of(kept))
    assert not any(line.startswith("recipe") for line in _shown(difference))
    assert "LoraConfig(" in _shown(difference)
    (comparison,) = Difference.of(run_of(kept), run_of(kept)).comparisons
    assert "LoraConfig(" not in _shown(Difference.of(run_of(kept), run_of(kept)))


def test_what_the_trainers_need_stands_beside_the_recipe(upgraded: Difference, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "needed_by", lambda self, trainer: {"router_aux_loss_coef": 0.0})
    (report,) = upgraded.after.reports
    needy = trained(report, Training(trainers=(Trainer.SFT,)))
    shown = _shown(Difference.of(upgraded.before, run_of(needy)))
    assert shown.index("LoraConfig(") < shown.index("SFTConfig(")


def _shown(difference: Difference) -> list[str]:
    return draw(full.render(difference, exit_code=1), width=100).splitlines()


def test_a_finding_that_spreads_is_worse_and_nothing_is_mended() -> None:
    narrow = finding("ARC101", Severity.ERROR, "layers.{0..3}.attn.q_proj", message="1 name")
    wide = finding("ARC101", Severity.ERROR, "layers.{0..3}.attn.{q,o}_proj", message="2 names")
    spread, shrunk = (compared(Report("x", findings=(a,)), Report("x", findings=(b,))) for a, b in _both(narrow, wide))
    assert (spread.new, spread.mended, [pair.is_worse for pair in spread.changed]) == ((), (), [True])
    assert spread.bad == (wide,)
    assert (shrunk.new, shrunk.mended, [pair.is_worse for pair in shrunk.changed]) == ((), (), [False])
    elsewhere = finding("ARC101", Severity.ERROR, "layers.{0..3}.mlp.up_proj")
    moved = compared(Report("x", findings=(narrow,)), Report("x", findings=(elsewhere,)))
    assert (moved.new, moved.mended) == ((elsewhere,), (narrow,))


def _both(one: Finding, other: Finding) -> list[tuple[Finding, Finding]]:
    return [(one, other), (other, one)]


def test_patterns_of_any_size_are_held_side_by_side() -> None:
    huge = finding("ARC101", Severity.ERROR, "{a,b}.{0..9}x{" + ",".join(map(str, range(1000, 3000, 2))) + "}.{c,d}")
    assert compared(Report("x", findings=(huge,)), Report("x", findings=(huge,))).is_same


def test_a_trait_that_spreads_is_a_change_of_which_no_red_line_is_made() -> None:
    few, more = (finding("ARC201", Severity.INFO, pattern) for pattern in ("layers.{0..3}.a", "layers.{0..3}.{a,b}"))
    difference = Difference.of(run_of(Report("x", findings=(few,))), run_of(Report("x", findings=(more,))))
    assert words.tally(difference) == "nothing new, 1 changed"
    assert concise.render(difference).startswith("x: changed info ARC201")
    assert not any(line.startswith("worse") for line in _shown(difference))
    assert (difference.exit_code(Severity.ERROR), difference.exit_code(Severity.INFO)) == (0, 1)
