"""A run's status and exit code, at every threshold: 'not checked' is never 'clean'."""

from __future__ import annotations

import pytest

from archlint.core.finding import Finding, Severity
from archlint.core.report import Environment, FindingsError, Report, Run, Unchecked

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def finding(severity: Severity, *, unchecked: bool = False) -> Finding:
    return Finding("TST001", "test", severity, "message", "why", unchecked=unchecked)


def run(*severities: Severity, unchecked: bool = False) -> Run:
    gaps = (Unchecked("m", "no config"),) if unchecked else ()
    return Run(Environment("3.11"), (Report("m", findings=tuple(map(finding, severities)), unchecked=gaps),))


@pytest.mark.parametrize(
    ("severities", "fails_on"),
    [
        ((), ()),
        ((INFO,), (INFO,)),
        ((WARNING,), (INFO, WARNING)),
        ((ERROR,), (INFO, WARNING, ERROR)),
        ((INFO, WARNING), (INFO, WARNING)),
        ((INFO, ERROR), (INFO, WARNING, ERROR)),
    ],
)
@pytest.mark.parametrize("fail_on", [ERROR, WARNING, INFO, None])
@pytest.mark.parametrize("unchecked", [False, True])
def test_exit_code(
    severities: tuple[Severity, ...], fails_on: tuple[Severity, ...], fail_on: Severity | None, unchecked: bool
) -> None:
    expected = 1 if fail_on in fails_on else 3 if unchecked else 0
    assert run(*severities, unchecked=unchecked).exit_code(fail_on) == expected


@pytest.mark.parametrize("fail_on", [ERROR, WARNING, INFO, None])
def test_a_finding_that_says_unchecked_is_no_finding_about_the_model(fail_on: Severity | None) -> None:
    report = Report("m", findings=(finding(ERROR, unchecked=True),), unchecked=(Unchecked("rule TST001", "crashed"),))
    assert Run(Environment("3.11"), (report,)).exit_code(fail_on) == 3


def test_one_bad_report_of_several_decides() -> None:
    clean, unchecked = Report("a"), Report("b", unchecked=(Unchecked("b", "missing"),))
    bad = Report("c", findings=(finding(ERROR),))
    environment = Environment("3.11")
    assert Run(environment, (clean, clean)).exit_code(ERROR) == 0
    assert Run(environment, (clean, unchecked)).exit_code(ERROR) == 3
    assert Run(environment, (clean, unchecked, bad)).exit_code(ERROR) == 1


@pytest.mark.parametrize(
    ("severities", "unchecked", "status"),
    [
        ((), False, "clean"),
        ((INFO, INFO), False, "clean"),
        ((WARNING,), False, "findings"),
        ((INFO, ERROR), False, "findings"),
        ((), True, "unchecked"),
        ((ERROR,), True, "unchecked"),
    ],
)
def test_status(severities: tuple[Severity, ...], unchecked: bool, status: str) -> None:
    [report] = run(*severities, unchecked=unchecked).reports
    assert report.status == status


def test_counts_go_over_all_reports() -> None:
    reports = run(ERROR, INFO).reports + run(WARNING, ERROR, unchecked=True).reports
    both = Run(Environment("3.11"), reports)
    assert [both.count(severity) for severity in Severity] == [2, 1, 1]
    assert both.unchecked == 1
    assert reports[0].of(INFO) == (finding(INFO),)


def test_infos_raise_only_where_that_is_asked_for() -> None:
    [report] = run(INFO, INFO).reports
    assert report.raise_for_findings() is report
    with pytest.raises(FindingsError) as raised:
        report.raise_for_findings("info")
    assert raised.value.report is report
    assert Report("m").raise_for_findings("info").ok


@pytest.mark.parametrize(
    ("severities", "unchecked", "expected"),
    [
        ((), False, "<Report m: nothing found; ok>"),
        ((INFO, INFO), False, "<Report m: 2 infos; ok>"),
        ((), True, "<Report m: 1 not checked; not ok>"),
        ((ERROR, WARNING, WARNING, INFO), True, "<Report m: 1 error, 2 warnings, 1 info, 1 not checked; not ok>"),
    ],
)
def test_a_report_is_shown_in_a_line(severities: tuple[Severity, ...], unchecked: bool, expected: str) -> None:
    [report] = run(*severities, unchecked=unchecked).reports
    assert repr(report) == expected
