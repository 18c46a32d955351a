"""What is said of stacks, from what archlint found with each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archlint.core.finding import Severity
from archlint.matrix import Outcome, compare
from archlint.matrix.telling import Sentence, sentences, stand

Made = Callable[..., Outcome]


def told(*outcomes: Outcome, fail_on: Severity | None = Severity.ERROR) -> list[Sentence]:
    matrix = compare(outcomes, fail_on, ["m"])
    return sentences(matrix, matrix.rows[0])


def texts(*outcomes: Outcome, fail_on: Severity | None = Severity.ERROR) -> list[str]:
    return [sentence.text for sentence in told(*outcomes, fail_on=fail_on)]


def test_versions_on_one_side_are_a_range_of_those_tried(outcome: Made) -> None:
    assert texts(outcome("peft==0.10.0"), outcome("peft==0.9.0", "ARC101 error"), outcome("peft==0.21.2")) == [
        "works with peft ≥ 0.10.0 of those tried, breaks with 0.9.0: ARC101",
        "ARC101 some-name with peft 0.9.0, not with 0.10.0 or 0.21.2",
    ]


def test_a_fault_that_came_lately_is_a_range_downwards(outcome: Made) -> None:
    old = [outcome(f"transformers=={version}") for version in ("5.2.0", "5.10.0")]
    assert texts(*old, outcome("transformers==5.11.0", "ARC508 error"))[0] == (
        "works with transformers ≤ 5.10.0 of those tried, breaks with 5.11.0: ARC508"
    )


def test_a_fault_in_between_is_no_range(outcome: Made) -> None:
    good = [outcome(f"peft=={version}") for version in ("0.21.0", "0.9.0", "0.20.0")]
    assert texts(*good, outcome("peft==0.19.0", "ARC508 error"))[0] == (
        "works with peft 0.9.0, 0.20.0 and 0.21.0, breaks with 0.19.0: ARC508"
    )


def test_nothing_is_claimed_of_a_version_that_was_not_checked(outcome: Made) -> None:
    good = [outcome(f"peft=={version}") for version in ("0.19.0", "0.21.0")]
    lost = outcome("peft==0.20.0", reason="cannot be installed: gone")
    bad = outcome("peft==0.18.0", "ARC508 error")
    assert texts(*good, lost, bad) == [
        "works with peft 0.19.0 and 0.21.0, breaks with 0.18.0: ARC508",
        "ARC508 some-name with peft 0.18.0, not with 0.19.0 or 0.21.0",
    ]


def test_a_stack_that_could_not_be_checked_in_part_is_neither_good_nor_bad(outcome: Made) -> None:
    said = told(outcome("peft==0.18.0"), outcome("peft==0.19.0", unchecked="no memory"))
    assert said == [
        Sentence("stacks", "works with peft 0.18.0"),
        Sentence("unchecked", "with peft 0.19.0", "the step: no memory"),
    ]


def test_two_packages_that_change_together_are_told_together(outcome: Made) -> None:
    assert texts(outcome("peft==0.18.0,trl==1.7", "ARC101 error"), outcome("peft==0.19.0,trl==1.8"))[0] == (
        "works with peft 0.19.0 + trl 1.8, breaks with peft 0.18.0 + trl 1.7: ARC101"
    )


def test_stacks_that_have_nothing_in_common_are_not_counted_up_where_all_work(outcome: Made) -> None:
    stacks = outcome("peft==0.18.0,trl==1.7"), outcome("peft==0.19.0,trl==1.8")
    assert texts(*stacks) == ["works with all of them"]


def test_of_two_packages_the_one_that_tells_is_named(outcome: Made) -> None:
    stacks = [
        outcome(f"peft=={peft},trl=={trl}", *(["ARC101 error"] if trl == "1.7" else []))
        for peft in ("0.18.0", "0.19.0")
        for trl in ("1.7", "1.8")
    ]
    assert texts(*stacks)[0] == "works with trl 1.8, breaks with 1.7: ARC101"


def test_a_package_that_changed_with_the_one_named_may_be_the_reason(outcome: Made) -> None:
    older = outcome("transformers==5.3.0", "ARC705 error", versions={"trl": "1.7"})
    newer = [outcome(f"transformers==5.{minor}.0", versions={"trl": "1.16"}) for minor in (10, 20)]
    assert texts(older, *newer)[0] == (
        "works with transformers 5.10.0 + trl 1.16 and transformers 5.20.0 + trl 1.16, "
        "breaks with transformers 5.3.0 + trl 1.7: ARC705"
    )


def test_the_installed_stack_is_called_by_its_version(outcome: Made) -> None:
    here = outcome("installed", versions={"peft": "0.21.2"})
    assert (
        texts(here, outcome("peft==0.18.0", "ARC101 error"))[0] == "works with peft 0.21.2, breaks with 0.18.0: ARC101"
    )


def test_another_severity_is_a_difference(outcome: Made) -> None:
    said = told(outcome("peft==0.18.0", "ARC301 warning"), outcome("peft==0.19.0", "ARC301 info"))
    assert said[1] == Sentence(
        "warning", "ARC301 some-name: warning with peft 0.18.0, info with 0.19.0", detail="it is so"
    )


def test_other_sites_are_a_difference_of_their_own(outcome: Made) -> None:
    said = texts(outcome("peft==0.18.0", "ARC106 warning"), outcome("peft==0.19.0", "ARC106 warning @head.out_proj"))
    assert said[1] == "ARC106 some-name at other sites with peft 0.18.0 than with peft 0.19.0"


def test_findings_without_sites_are_told_apart_by_their_code_alone(outcome: Made) -> None:
    same = outcome("peft==0.18.0", "ARC515 info !{'a','b'}"), outcome("peft==0.19.0", "ARC515 info !{'b','a'}")
    assert texts(*same) == ["works with peft 0.18.0 and 0.19.0"]


def test_what_all_stacks_have_is_no_difference(outcome: Made) -> None:
    assert texts(outcome("peft==0.18.0", "ARC101 error"), outcome("peft==0.19.0", "ARC101 error")) == [
        "breaks with peft 0.18.0 and 0.19.0: ARC101"
    ]


@pytest.mark.parametrize(
    ("found", "unchecked", "word"),
    [
        ([], "", "clean"),
        (["ARC101 error", "ARC601 warning", "ARC602 warning", "ARC201 info"], "", "1 error, 2 warnings"),
        ([], "why", "not all checked"),
        (["ARC101 error"], "why", "1 error, not all checked"),
    ],
)
def test_a_cell_is_a_word_or_two(outcome: Made, found: list[str], unchecked: str, word: str) -> None:
    matrix = compare([outcome("peft==0.18.0", *found, unchecked=unchecked)], Severity.ERROR)
    assert stand(matrix.rows[0].cells[0]) == word


ERROR, GAP, LOST, CLEAN = ("ARC101 error",), {"unchecked": "why"}, {"reason": "gone"}, ()


@pytest.mark.parametrize(
    ("found", "fail_on", "code"),
    [
        ([(CLEAN, {}), (CLEAN, {})], Severity.ERROR, 0),
        ([(CLEAN, {}), (ERROR, {})], Severity.ERROR, 1),
        ([(ERROR, {}), (CLEAN, LOST)], Severity.ERROR, 1),
        ([(CLEAN, {}), (CLEAN, LOST)], Severity.ERROR, 3),
        ([(CLEAN, GAP)], Severity.ERROR, 3),
        ([(ERROR, {})], None, 0),
        ([(ERROR, {}), (CLEAN, LOST)], None, 3),
        ([(("ARC601 warning",), {})], Severity.ERROR, 0),
        ([(("ARC601 warning",), {})], Severity.WARNING, 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst_stack(
    outcome: Made, found: list[tuple[tuple[str, ...], dict[str, str]]], fail_on: Severity | None, code: int
) -> None:
    stacks = [outcome(f"peft==0.{number}", *words, **more) for number, (words, more) in enumerate(found)]
    assert compare(stacks, fail_on, ["m"]).exit_code == code


def test_of_warnings_it_is_said_that_they_pass_or_fail(outcome: Made) -> None:
    stacks = outcome("peft==0.18.0", "ARC301 warning"), outcome("peft==0.19.0")
    assert texts(*stacks, fail_on=Severity.WARNING)[0] == "passes with peft 0.19.0, fails with 0.18.0: ARC301"
    assert texts(*stacks)[0] == "works with peft 0.18.0 and 0.19.0"


def test_a_source_that_no_stack_checked_is_there_all_the_same(outcome: Made) -> None:
    lost = outcome("peft==0.18.0", reason="cannot be installed: gone")
    assert texts(lost) == ["not checked, or not wholly, with any of them"]
