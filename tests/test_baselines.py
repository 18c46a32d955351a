"""A baseline: only what is new fails, what is mended is told, and what could not be checked is never known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.baselines import SCHEMA, Baseline, BaselineError, Entry
from archlint.core.finding import Finding, FoldedSites, Location, Severity
from archlint.core.report import Environment, Report, Run, Unchecked
from archlint.core.suppression import Suppressed

CODES = ("ARC101", "ARC301", "ARC902")


def finding(
    code: str = "ARC101",
    severity: Severity = Severity.ERROR,
    pattern: str = "layers.{0..3}.q",
    unchecked: bool = False,
) -> Finding:
    sites = (FoldedSites(pattern, 4, "Wrapper", "wrapper", "text"),)
    return Finding(code, "a-name", severity, f"{code} of {pattern}", "why", sites=sites, unchecked=unchecked)


def run(*findings: Finding, source: str = "org/net", unchecked: tuple[Unchecked, ...] = ()) -> Run:
    return Run(Environment("3"), (Report(source, findings=findings, unchecked=unchecked),))


def known(*findings: Finding, source: str = "org/net") -> Baseline:
    return Baseline().updated(run(*findings, source=source), CODES)


def test_what_is_known_does_not_fail_and_what_is_new_does() -> None:
    baseline = known(finding())
    (report,) = baseline.applied(run(finding(), finding("ARC301")), CODES).reports

    assert [one.code for one in report.findings] == ["ARC301"]
    assert report.notes == ("1 known: in the baseline, and not shown",)
    assert baseline.applied(run(finding()), CODES).exit_code(Severity.INFO) == 0


def test_a_finding_is_the_same_with_other_layers_and_another_wording() -> None:
    baseline = known(finding())
    deeper = dataclasses.replace(finding(pattern="layers.{0..47}.q"), message="said anew")

    assert baseline.applied(run(deeper), CODES).exit_code(Severity.ERROR) == 0
    assert baseline.applied(run(finding(pattern="layers.{0..3}.k")), CODES).exit_code(Severity.ERROR) == 1


def test_what_is_worse_by_now_is_new_and_what_is_better_is_known() -> None:
    mild, bad = finding(severity=Severity.WARNING), finding(severity=Severity.ERROR)

    assert known(mild).applied(run(bad), CODES).exit_code(Severity.ERROR) == 1
    assert known(bad).applied(run(mild), CODES).exit_code(Severity.WARNING) == 0


def test_what_is_known_of_another_source_is_not_known_of_this_one() -> None:
    assert known(finding(), source="org/other").applied(run(finding()), CODES).exit_code(Severity.ERROR) == 1


def test_what_is_mended_is_told_and_leaves_with_an_update() -> None:
    baseline = known(finding(), finding("ARC301"))
    (report,) = baseline.applied(run(finding()), CODES).reports

    assert "the baseline's ARC301 is mended: ARC301 of layers.{0..3}.q" in report.notes
    assert baseline.updated(run(finding()), CODES) == known(finding())


def test_what_a_comment_suppresses_by_now_is_not_mended_and_leaves_with_an_update() -> None:
    by_comment = Suppressed(finding(), Location("own.py", 3))
    suppressing = Run(Environment("3"), (Report("org/net", findings=(finding("ARC301"),), suppressed=(by_comment,)),))
    baseline = known(finding(), finding("ARC301"))
    (report,) = baseline.applied(suppressing, CODES).reports

    assert report.notes == ("1 known: in the baseline, and not shown",)
    assert baseline.updated(suppressing, CODES) == known(finding("ARC301"))


def test_what_was_not_looked_for_is_not_mended_and_stays() -> None:
    baseline = known(finding(), finding("ARC301"))
    for other, codes in (
        (run(), ("ARC902",)),
        (run(unchecked=(Unchecked("a part", "why"),)), CODES),
        (run(source="org/other"), CODES),
    ):
        assert not any(report.notes for report in baseline.applied(other, codes).reports)
        assert baseline.updated(other, codes) == baseline


def test_that_something_could_not_be_checked_is_never_known() -> None:
    failed = finding("ARC902", unchecked=True)
    stuck = run(failed, unchecked=(Unchecked("all", "why"),))
    baseline = Baseline().updated(stuck, CODES)

    assert baseline == Baseline()
    assert baseline.applied(stuck, CODES).exit_code(Severity.ERROR) == 3


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
entries = st.builds(
    Entry, texts, texts, texts, texts, st.sampled_from([severity.value for severity in Severity]), texts
)


@given(st.frozensets(entries))
def test_a_file_holds_all_of_it_in_an_order_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, kept: frozenset[Entry]
) -> None:
    path = tmp_path_factory.mktemp("baseline") / "known.json"
    path.write_text(Baseline(kept).text, encoding="utf-8")

    assert Baseline.read(path) == Baseline(kept)
    assert Baseline.read(path).text == Baseline(frozenset(sorted(kept, reverse=True))).text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is no JSON"),
        ("[]", f"is no {SCHEMA}"),
        ('{"schema": "archlint/report/v1"}', f"is no {SCHEMA}"),
        (json.dumps({"schema": SCHEMA, "findings": {}}), "findings is no list"),
        (
            json.dumps({"schema": SCHEMA, "findings": [{"code": "ARC101"}]}),
            r"findings\[0\] lacks one of source, asked, code",
        ),
        (
            json.dumps({"schema": SCHEMA, "findings": [{**dataclasses.asdict(Entry("s", "", "c", "f", "bad", "m"))}]}),
            r"findings\[0\] has the severity 'bad'",
        ),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BaselineError, match=told):
        Baseline.read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="No such file"):
        Baseline.read(tmp_path / "known.json")


def test_what_other_questions_found_is_known_and_neither_mended_nor_dropped() -> None:
    baseline = Baseline().updated(run(finding(), finding("ARC301")), CODES)
    asked = "--target-modules ('q',)"

    (report,) = baseline.applied(run(finding()), CODES, asked).reports
    assert report.findings == ()
    assert len(report.notes) == 1, "that the other one is mended is not said"
    assert baseline.updated(run(finding()), CODES, asked).entries > baseline.entries


def test_a_folder_is_the_same_however_the_way_to_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net").mkdir()
    monkeypatch.chdir(tmp_path)
    baseline = known(finding(), source="./net")

    for way in ("net", "net/", str(tmp_path / "net")):
        assert baseline.applied(run(finding(), source=way), CODES).exit_code(Severity.ERROR) == 0


def test_paths_are_named_from_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "known.json"
    file.write_text(Baseline(folder=file.parent).updated(run(finding(), source="model"), CODES).text, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "runs")
    (report,) = Baseline.read(Path("../known.json")).applied(run(finding(), source="../model"), CODES).reports
    assert (report.findings, report.known) == ((), 1)


def test_a_finding_that_spreads_is_not_called_mended() -> None:
    wide = finding(pattern="layers.{0..3}.{q,o}")
    (report,) = known(finding()).applied(run(wide), CODES).reports
    assert (report.findings, report.known) == ((wide,), 0)
    assert not any("mended" in note for note in report.notes)
