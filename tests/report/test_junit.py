"""JUnit XML: what a real parser reads from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, Location, PlanLine, Severity
from archlint.core.report import Environment, Report, Run, Unchecked
from archlint.core.rule import Rule
from archlint.report import junit
from archlint.report.places import Checkout

from .strategies import RUNS

ROOT = Path(__file__).parent.resolve()
HERE = Checkout(ROOT, ROOT)
RULES = list(Catalog.load().rules.values())
CHECKED = "everything was checked"


def suites(run: Run, fail_on: Severity | None = Severity.ERROR, rules: list[type[Rule]] = RULES) -> list[TestSuite]:
    """The suites, whose counts are those of what is in them."""
    ran = {report.source: rules for report in run.reports}
    text = junit.render(run, rules=ran, fail_on=fail_on, checkout=HERE)
    assert text.isascii()
    made = JUnitXml.fromstring(text)
    read = list(made)
    for level in (made, *read):
        told = (level.tests, level.failures, level.errors, level.skipped)
        level.update_statistics()
        assert told == (level.tests, level.failures, level.errors, level.skipped)
    return read


def outcomes(suite: TestSuite) -> dict[str, str]:
    """How each test of a suite ended."""
    return {case.name: next((type(result).__name__ for result in case.result), "passed") for case in suite}


def case_of(suite: TestSuite, name: str) -> TestCase:
    (case,) = (case for case in suite if case.name.startswith(name))
    return case


def about(**fields: object) -> Finding:
    finding = Finding("ARC101", "wrapped-linear", Severity.ERROR, "it is so", "")
    return dataclasses.replace(finding, **fields)  # type: ignore[arg-type]


def suite_of(*findings: Finding, fail_on: Severity | None = Severity.ERROR) -> TestSuite:
    (suite,) = suites(Run(Environment("3.11"), (Report(source="x", findings=findings),)), fail_on)
    return suite


def test_junit_has_a_test_for_each_rule(gemma: Run, golden: Callable[[str], None]) -> None:
    few = [rule for rule in RULES if rule.code in ("ARC101", "ARC201", "ARC301", "ARC401", "ARC501", "ARC601")]
    golden(junit.render(gemma, rules={gemma.reports[0].source: few}, fail_on=Severity.ERROR, checkout=HERE))


def test_a_suite_for_each_source_and_a_test_for_each_rule(several: Run) -> None:
    read = suites(several)
    assert [suite.name for suite in read] == [report.source for report in several.reports]
    for suite in read:
        assert [case.name for case in suite] == [CHECKED, *(f"{rule.code} {rule.name}" for rule in RULES)]
        assert {case.classname for case in suite} == {suite.name}


def test_an_error_fails_its_rule_and_all_others_pass(gemma: Run) -> None:
    (suite,) = suites(gemma)
    ended = outcomes(suite)
    assert ended.pop("ARC101 wrapped-linear") == "Failure"
    assert set(ended.values()) == {"passed"}
    (failure,) = case_of(suite, "ARC101").result
    assert failure.message == "Gemma4ClippableLinear is no nn.Linear; PEFT refuses it"
    assert failure.type == "error"
    lines = failure.text.splitlines()
    assert "where: 64× model.vision_tower.encoder.layers.{0..15}.self_attn.{q,k,v,o}_proj" in lines
    assert any(line.startswith("why: PEFT adapts nn.Linear, not what is") for line in lines)
    assert any(line.startswith("proof: target_modules=['q_proj', 'v_proj'] → ValueError: ") for line in lines)
    assert "fix (exact, proven): keep the plan away from the wrappers: the recipe below" in lines
    assert case_of(suite, "ARC601").system_out.startswith("warning: all-linear also adapts the towers")


@pytest.mark.parametrize(
    ("fail_on", "failed"),
    [(None, []), (Severity.ERROR, ["ARC101"]), (Severity.WARNING, ["ARC101", "ARC601"])],
)
def test_what_fails_is_what_the_command_fails_on(gemma: Run, fail_on: Severity | None, failed: list[str]) -> None:
    (suite,) = suites(gemma, fail_on)
    assert [name.split()[0] for name, ended in outcomes(suite).items() if ended != "passed"] == failed


def test_the_recipe_is_the_output_of_the_suite(gemma: Run, unchecked: Run) -> None:
    (suite,) = suites(gemma)
    comment, *source = suite._elem.findtext("system-out").splitlines()
    assert comment.startswith("# recipe: 276 adapters on 100 % of the text weights, none elsewhere; forward and")
    assert source[:2] == ["LoraConfig(", '    target_modules="all-linear",']
    (suite,) = suites(unchecked)
    assert suite._elem.find("system-out") is None


def test_findings_of_one_rule_are_one_test() -> None:
    info = about(severity=Severity.INFO, message="and that")
    case = case_of(suite_of(info, about(), about(message="so is this")), "ARC101")
    (failure,) = case.result
    assert failure.message == "it is so (and 1 more)"
    assert failure.text.splitlines() == ["info: and that", "error: it is so", "error: so is this"]


def test_a_rule_of_which_nothing_is_known_is_a_test_too() -> None:
    assert outcomes(suite_of(about(code="OWN1", name="mine")))["OWN1 mine"] == "Failure"


def test_what_could_not_be_checked_is_an_error_and_no_rule_passes(unchecked: Run) -> None:
    (suite,) = suites(unchecked, None)
    ended = outcomes(suite)
    assert ended.pop(CHECKED) == "Error"
    assert set(ended.values()) == {"Skipped"}
    (error,) = case_of(suite, CHECKED).result
    assert isinstance(error, Error)
    assert error.message.startswith("the architecture: no repository of this name")


def test_a_rule_that_says_so_is_skipped_and_what_was_found_stands(planned: Run) -> None:
    lack = about(code="ARC903", name="cannot-run", severity=Severity.WARNING, message="it does not run", unchecked=True)
    report = dataclasses.replace(planned.reports[0], unchecked=(Unchecked("the run", "it does not run"),) * 2)
    report = dataclasses.replace(report, findings=(*report.findings, lack))
    (suite,) = suites(Run(planned.environment, (report,)), Severity.INFO)
    ended = outcomes(suite)
    assert ended[CHECKED] == "Error"
    assert ended["ARC903 cannot-run"] == "Skipped"
    assert ended["ARC101 wrapped-linear"] == "Skipped"
    assert ended["ARC301 fused-experts"] == "Failure"
    (skipped,) = case_of(suite, "ARC903").result
    assert isinstance(skipped, Skipped)
    assert skipped.message == "it does not run"
    (error,) = case_of(suite, CHECKED).result
    assert error.message == "the run: it does not run (and 1 more)"


def test_a_test_is_where_its_finding_is() -> None:
    line = PlanLine("runs/train.yml", 7, "lora_r")
    case = case_of(suite_of(about(location=Location("transformers/net.py", 3)), about(plan_line=line)), "ARC101")
    assert (case._elem.get("file"), case._elem.get("line")) == ("runs/train.yml", "7")
    assert case.result[0].text.splitlines()[-1] == "plan: runs/train.yml:7 lora_r"
    case = case_of(suite_of(about(location=Location("transformers/net.py", 3))), "ARC101")
    assert case._elem.get("file") is None
    assert "class: transformers/net.py:3" in case.result[0].text


def test_the_time_is_told(gemma: Run) -> None:
    (suite,) = suites(gemma)
    assert suite.time == case_of(suite, CHECKED).time == 2.41


def test_a_report_without_findings_is_no_empty_suite() -> None:
    (suite,) = suites(Run(Environment("3.11"), (Report(source="x"),)), rules=[])
    assert outcomes(suite) == {CHECKED: "passed"}


@given(RUNS, st.sampled_from([*Severity, None]))
def test_any_run_is_valid_and_agrees_with_the_exit_code(run: Run, fail_on: Severity | None) -> None:
    read = suites(run, fail_on, RULES[:3])
    cases = [case for suite in read for case in suite]
    failed = any(isinstance(result, Failure) for case in cases for result in case.result)
    lacking = any(isinstance(result, Error) for case in cases for result in case.result)
    assert run.exit_code(fail_on) == (1 if failed else 3 if lacking else 0)
    assert lacking == bool(run.unchecked)
    for suite in read:
        assert len({(case.classname, case.name) for case in suite}) == len(list(suite))
    for case in cases:
        texts = (case.classname, case.name, *(result.message for result in case.result))
        assert all(text.isprintable() for text in texts)
