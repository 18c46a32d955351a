"""The concise format: one line a finding."""

from __future__ import annotations

from collections.abc import Callable

from archlint.core.report import Run
from archlint.report import concise


def test_concise_has_a_line_for_each_finding(several: Run, golden: Callable[[str], None]) -> None:
    golden(concise.render(several))


def test_concise_keeps_hostile_names_on_one_line(hostile: Run, golden: Callable[[str], None]) -> None:
    golden(concise.render(hostile))


def test_concise_ends_in_the_line_of_the_plan(planned: Run, golden: Callable[[str], None]) -> None:
    golden(concise.render(planned))


def test_as_many_lines_as_findings_and_unchecked_things(run: Run) -> None:
    text = concise.render(run)
    assert len(text.splitlines()) == len(list(run.findings)) + sum(len(report.untold) for report in run.reports)
    assert all(char.isprintable() or char == "\n" for char in text)


def test_nothing_to_say_is_nothing() -> None:
    from archlint.core.report import Environment, Report

    assert concise.render(Run(Environment("3.11"), (Report(source="x"),))) == ""
