"""What is said of code that was read, and of code that was run, is no more than is known."""

from __future__ import annotations

import dataclasses

import pytest

from archlint import claims
from archlint.core.blueprint import Blueprint, Facts, ModelInfo
from archlint.core.custom_code import Conduct, Containment, Gap, OwnCode, Reading, Remark
from archlint.core.finding import Evidence, Finding, FoldedSites, Remedy, Severity
from archlint.rules.tool.intrusive_code import IntrusiveCode

SITES = (FoldedSites("layers.{0,1}.q_proj", 2, "Wrapper", "wrapper", "text"),)
OF_SITES = Finding(
    "ARC101", "wrapped-linear", Severity.ERROR, "it is", "It matters.", Evidence.INJECTED, SITES,
    remedies=(Remedy("target_modules", "take another", proven=True),),
)  # fmt: skip
OF_THE_WHOLE = dataclasses.replace(OF_SITES, code="ARC504", sites=())
GAP = Gap("model.vision", "modeling.py", 7, "timm makes it")
MODEL = ModelInfo("a/b", "hub", "Own", "own", 1, 1)
CLOSED = Containment(("Landlock (ABI 7)", "seccomp"))
CONDUCT = Conduct(CLOSED, (Remark("tried to read ~/.ssh/id_rsa: refused"),))


def test_what_was_built_is_said_as_it_is() -> None:
    assert claims.held([OF_SITES, OF_THE_WHOLE], None) == [OF_SITES, OF_THE_WHOLE]


@pytest.mark.parametrize(("gaps", "unchecked"), [((), [False, False]), ((GAP,), [False, True])])
def test_what_was_read_is_static_and_nothing_is_proven(gaps: tuple[Gap, ...], unchecked: list[bool]) -> None:
    found = claims.held([OF_SITES, OF_THE_WHOLE], Reading(gaps))
    assert [one.evidence for one in found] == [Evidence.STATIC, Evidence.STATIC]
    assert [one.severity for one in found] == [Severity.ERROR, Severity.ERROR]
    assert not any(remedy.proven for one in found for remedy in one.remedies)
    assert [one.unchecked for one in found] == unchecked


def test_what_was_read_was_not_run_and_gaps_are_told_by_their_lines() -> None:
    blueprint = Blueprint(MODEL, (), facts=Facts(custom_code=("own.Model",), reading=Reading((GAP,))))
    told = [(one.what, one.why) for one in claims.unchecked(blueprint)]
    assert told == [
        ("model", "not run: custom code (own.Model); its text was read, and --trust-remote-code runs it"),
        ("modeling.py:7", "timm makes it"),
    ]


def test_an_attempt_of_code_that_was_run_is_told_and_not_clean() -> None:
    blueprint = Blueprint(MODEL, (), conduct=CONDUCT)
    (finding,) = IntrusiveCode().check(blueprint)
    assert (finding.severity, finding.unchecked) == (Severity.WARNING, True)
    assert finding.message == "the repository's own code tried to read ~/.ssh/id_rsa: refused"
    assert [one.why for one in claims.unchecked(blueprint)] == ["tried to read ~/.ssh/id_rsa: refused"]


def test_code_that_only_makes_a_model_gets_no_word() -> None:
    blueprint = Blueprint(MODEL, (), conduct=Conduct(CLOSED))
    assert list(IntrusiveCode().check(blueprint)) == []
    assert list(claims.unchecked(blueprint)) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (OwnCode(Reading()), "the repository's own code was read, and none of it run"),
        (OwnCode(Reading((GAP,))), "…read, and none of it run; 1 place in it could not be read"),
        (OwnCode(Reading((GAP, GAP))), "…read, and none of it run; 2 places in it could not be read"),
        (OwnCode(conduct=CONDUCT), "…run, kept in by Landlock (ABI 7), seccomp"),
        (OwnCode(conduct=Conduct(Containment(("limits",), "files"))), "…run, kept in by limits; open to it: files"),
    ],
)
def test_a_note_says_what_was_done(code: OwnCode, said: str) -> None:
    assert str(code) == said.replace("…", "the repository's own code was ")
