"""Workflow commands: what GitHub's runner reads from them."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from archlint.core.finding import Finding, FoldedSites, Location, PlanLine, Severity
from archlint.core.report import Environment, Report, Run, Unchecked
from archlint.report import github
from archlint.report.places import Checkout, ConfigFile

from .conftest import TOWERS
from .strategies import RUNS

ROOT = Path(__file__).parent.resolve()
HERE = Checkout(ROOT, ROOT)


def commands(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Name, properties and message of each line, as the runner takes them apart."""
    assert not text or text.endswith("\n")
    for line in text.removesuffix("\n").split("\n") if text else ():
        empty, head, data = line.split("::", 2)
        assert empty == ""
        name, _, listed = head.partition(" ")
        pairs = (part.split("=", 1) for part in listed.split(","))
        yield name, {key: unescaped(value) for key, value in pairs}, unescaped(data)


def unescaped(text: str) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def said(**fields: object) -> tuple[str, dict[str, str], str]:
    """The command of a finding."""
    finding = Finding("ARC101", "a-name", Severity.ERROR, "it is so", "")
    finding = dataclasses.replace(finding, **fields)  # type: ignore[arg-type]
    run = Run(Environment("3.11"), (Report(source="x", findings=(finding,)),))
    (command,) = commands(github.render(run, checkout=HERE))
    return command


def test_github_annotates_the_lines_of_a_plan(planned: Run, golden: Callable[[str], None]) -> None:
    golden(github.render(planned, checkout=HERE))


def test_a_command_for_each_finding_and_each_unchecked_thing(run: Run) -> None:
    told = list(commands(github.render(run, checkout=HERE)))
    severities = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
    untold = [unchecked for report in run.reports for unchecked in report.untold]
    names = [*(severities[f.severity] for f in run.findings), *["warning"] * len(untold)]
    assert Counter(name for name, _, _ in told) == Counter(names)
    assert all(char.isprintable() or char == "\n" for _, _, data in told for char in data)
    of_findings = [properties for _, properties, _ in told if properties["title"] != "not checked"]
    for properties, finding in zip(of_findings, run.findings, strict=True):
        assert properties["title"] == f"{finding.code} {finding.name}"
        assert ("file" in properties) == ("line" in properties) == (finding.plan_line is not None)


def test_the_gravest_of_all_sources_come_first(several: Run) -> None:
    again = Run(several.environment, (*several.reports, *several.reports))
    told = [name for name, _, _ in commands(github.render(again, checkout=HERE))]
    assert {"error", "warning", "notice"} == set(told)
    assert told == sorted(told, key=["error", "warning", "notice"].index)


def test_a_message_that_speaks_of_the_recipe_holds_it(gemma: Run) -> None:
    data = next(data for _, _, data in commands(github.render(gemma, checkout=HERE)) if "the recipe below" in data)
    assert data.splitlines()[-1] == f'recipe: LoraConfig(target_modules="all-linear", exclude_modules="{TOWERS}")'


def test_what_was_not_checked_is_a_warning(unchecked: Run) -> None:
    ((name, properties, data),) = commands(github.render(unchecked, checkout=HERE))
    assert (name, properties) == ("warning", {"title": "not checked"})
    assert data.startswith("gogle/gemma-4: the architecture: no repository")
    assert said(severity=Severity.INFO, unchecked=True)[0] == "warning"
    (report,) = unchecked.reports
    told = Finding("ARC902", "cannot-load", Severity.WARNING, report.unchecked[0].why, "", unchecked=True)
    run = Run(unchecked.environment, (dataclasses.replace(report, findings=(told,)),))
    ((_, properties, _),) = commands(github.render(run, checkout=HERE))
    assert properties == {"title": "ARC902 cannot-load"}


def test_messages_come_through_as_they_are() -> None:
    assert said(message="50%0A of ::error:: %25")[2] == "x: 50%0A of ::error:: %25"


def test_where_it_is() -> None:
    assert said()[1] == {"title": "ARC101 a-name"}
    line = PlanLine("runs/50%3A::a,line=1.yml", 7, "key")
    assert said(plan_line=line)[1] == {"file": "runs/50%3A::a,line=1.yml", "line": "7", "title": "ARC101 a-name"}
    assert said(plan_line=PlanLine(str(ROOT / "a" / "b.yml"), 7, ""))[1]["file"] == "a/b.yml"
    assert said(plan_line=PlanLine("../b.yml", 7, ""))[1]["file"] == str(ROOT.parent / "b.yml")
    assert said(location=Location(str(ROOT / "net.py"), 9))[1]["file"] == "net.py"
    assert said(plan_line=line, location=Location(str(ROOT / "net.py"), 9))[1]["line"] == "7"
    assert "file" not in said(location=Location("transformers/models/net.py", 9))[1]
    assert "file" not in said(location=Location(str(ROOT.parent / "net.py"), 9))[1]


def test_a_finding_with_many_folds_stays_short() -> None:
    sites = tuple(FoldedSites(f"part{n}.proj", 10, "Odd", "wrapper", "text") for n in range(30))
    assert said(sites=sites)[2].splitlines()[-2:] == ["10× part7.proj", "and 22 patterns more"]


@given(st.text(min_size=1), st.text(), st.text(min_size=1))
def test_no_text_leaves_its_command(source: str, message: str, file: str) -> None:
    finding = Finding("ARC101", "a-name", Severity.ERROR, f"m{message}", "", plan_line=PlanLine("f" + file, 1, ""))
    report = Report(source=source, findings=(finding,), unchecked=(Unchecked(message, source),))
    text = github.render(Run(Environment("3.11"), (report,)), checkout=HERE)
    (name, properties, _), *others = commands(text)
    assert (name, list(properties)) == ("error", ["file", "line", "title"])
    assert [other[1] for other in others] == [{"title": "not checked"}] * len(report.untold)


COMMAND = re.compile(r"::(?:error|warning|notice) (?:file=[^,:\n]+,line=[1-9]\d*,)?title=[^,:\n]+::[^\r\n]*")


@given(RUNS)
def test_any_run_is_commands_as_they_are_documented(run: Run) -> None:
    files = {report.source: ConfigFile(str(ROOT / "models" / "config.json")) for report in run.reports[:1]}
    plans = {report.source: "train.yml" for report in run.reports}
    lines = github.render(run, checkout=Checkout(ROOT, ROOT, files, plans)).split("\n")
    assert lines.pop() == ""
    assert all(COMMAND.fullmatch(line) for line in lines), lines
    assert len(lines) == len(list(run.findings)) + sum(len(report.untold) for report in run.reports)
    assert all("file=" in line for line in lines)


def test_what_was_not_checked_is_told_at_the_file_of_the_source(unchecked: Run) -> None:
    checkout = Checkout(ROOT, ROOT, {"gogle/gemma-4": ConfigFile("gogle/gemma-4/config.json", {"model_type": 3})})
    ((_, properties, _),) = commands(github.render(unchecked, checkout=checkout))
    assert properties == {"file": "gogle/gemma-4/config.json", "line": "3", "title": "not checked"}
