"""SARIF logs: what the standard asks of them, and that a fix in one does what it says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from string import ascii_letters, digits
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, FoldedSites, Location, PlanLine, Remedy, Severity
from archlint.core.report import Environment, Report, Run
from archlint.core.rule import Rule
from archlint.core.suppression import Suppressed
from archlint.report import sarif
from archlint.report.places import Checkout, ConfigFile

from .conftest import PLAN_TEXT

ROOT = Path(__file__).parent.resolve()
HERE = Checkout(ROOT, ROOT)
FILE = "runs/train.yml"
RULES = list(Catalog.load().rules.values())


def shape(required: str, optional: str = "", **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others; those without a shape of their own are texts."""
    names = [*required.split(), *optional.split()]
    assert properties.keys() <= set(names)
    values = {name: properties.get(name, {"type": "string", "minLength": 1}) for name in names}
    return {"type": "object", "required": required.split(), "properties": values, "additionalProperties": False}


def many(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


NUMBER = {"type": "integer", "minimum": 1}
LEVEL = {"enum": ["error", "warning", "note"]}
TEXT = shape("text")
ARTIFACT = shape("uri", "uriBaseId description", uriBaseId={"const": "%SRCROOT%"}, description=TEXT)
REGION = shape(
    "startLine", "startColumn endLine endColumn", startLine=NUMBER, startColumn=NUMBER, endLine=NUMBER, endColumn=NUMBER
)
REPLACEMENT = shape(
    "deletedRegion insertedContent", deletedRegion=REGION, insertedContent=shape("text", text={"type": "string"})
)
CHANGE = shape("artifactLocation replacements", artifactLocation=ARTIFACT, replacements=many(REPLACEMENT, minItems=1))
PHYSICAL = shape("artifactLocation", "region", artifactLocation=ARTIFACT, region=REGION)
LOCATION = shape(
    "logicalLocations physicalLocation",
    physicalLocation=PHYSICAL,
    logicalLocations=many(
        {**shape("", "name fullyQualifiedName kind"), "minProperties": 1}, minItems=1, uniqueItems=True
    ),
)
RESULT = shape(
    "ruleId level message locations partialFingerprints properties",
    "ruleIndex fixes suppressions",
    level=LEVEL,
    message=TEXT,
    locations=many(LOCATION, minItems=1, maxItems=1),
    partialFingerprints=shape("archlint/v1"),
    properties={"type": "object", "required": ["source", "severity", "evidence", "sites"]},
    ruleIndex={"type": "integer", "minimum": 0},
    fixes=many(
        shape("description artifactChanges", description=TEXT, artifactChanges=many(CHANGE, minItems=1)), minItems=1
    ),
    suppressions=many(
        shape(
            "kind",
            "justification location",
            kind={"enum": ["inSource", "external"]},
            location=shape("physicalLocation", physicalLocation=PHYSICAL),
        ),
        uniqueItems=True,
    ),
)
DESCRIPTOR = shape(
    "id name shortDescription fullDescription help defaultConfiguration",
    shortDescription=TEXT,
    fullDescription=TEXT,
    help=shape("text markdown"),
    defaultConfiguration=shape("level", level=LEVEL),
)
INVOCATION = shape(
    "executionSuccessful toolExecutionNotifications",
    executionSuccessful={"type": "boolean"},
    toolExecutionNotifications=many(shape("level message", level=LEVEL, message=TEXT)),
)
BASE = shape("description", description=TEXT)
RUN = shape(
    "tool invocations originalUriBaseIds columnKind results",
    tool=shape("driver", driver=shape("name version rules", rules=many(DESCRIPTOR, uniqueItems=True))),
    invocations=many(INVOCATION, minItems=1, maxItems=1),
    originalUriBaseIds={"type": "object", "required": ["%SRCROOT%"], "additionalProperties": BASE},
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=many(RESULT),
)
VALIDATOR = Draft202012Validator(
    shape("$schema version runs", version={"const": "2.1.0"}, runs=many(RUN, minItems=1, maxItems=1))
)
"""The objects of SARIF 2.1.0 that archlint writes, with their required properties and none that the standard lacks."""


def log(
    run: Run, plan: sarif.PlanText | None = None, rules: list[type[Rule]] = RULES, checkout: Checkout = HERE
) -> dict[str, Any]:
    plans = {} if plan is None else {report.source: plan for report in run.reports}
    document = json.loads(sarif.render(run, rules=rules, checkout=checkout, plans=plans))
    VALIDATOR.validate(document)
    made: dict[str, Any] = document["runs"][0]
    return made


def result(**fields: object) -> dict[str, Any]:
    """The result of a finding."""
    finding = Finding("ARC101", "a-name", Severity.ERROR, "it is so", "")
    finding = dataclasses.replace(finding, **fields)  # type: ignore[arg-type]
    (made,) = log(Run(Environment("3.11"), (Report(source="x", findings=(finding,)),)))["results"]
    return dict(made)


def mended(_: Report, remedy: Remedy) -> str | None:
    """The plan of the fixture with a remedy in it; other files are not known."""
    lines = PLAN_TEXT.splitlines(keepends=True)
    for edit in remedy.edits:
        if edit.file != FILE:
            return None
        lines[edit.line - 1] = f"{edit.text}\n" if edit.text else ""
    return "".join(lines)


PLAN = sarif.PlanText(FILE, PLAN_TEXT, mended)


def applied(text: str, replacements: list[dict[str, Any]]) -> str:
    """``text`` with each region replaced, the last one first."""
    starts = [0, *(place + 1 for place, char in enumerate(text) if char == "\n")]
    ends = [*(place - text.endswith("\r", 0, place) for place, char in enumerate(text) if char == "\n"), len(text)]
    for replacement in reversed(replacements):
        region = replacement["deletedRegion"]
        start = starts[region["startLine"] - 1] + region["startColumn"] - 1
        end = starts[region["endLine"] - 1] + region["endColumn"] - 1
        assert start <= end
        assert start <= ends[region["startLine"] - 1]
        assert end <= ends[region["endLine"] - 1]
        text = text[:start] + replacement["insertedContent"]["text"] + text[end:]
    return text


def test_logs_keep_to_the_standard(run: Run) -> None:
    made = log(run, PLAN)
    for written, finding in zip(made["results"], run.findings, strict=True):
        assert written["ruleId"] == finding.code
        assert written["level"] == {"error": "error", "warning": "warning", "info": "note"}[finding.severity.value]
        assert written["partialFingerprints"] == {"archlint/v1": finding.fingerprint}
        assert sum(site["count"] for site in written["properties"]["sites"]) == finding.count


def test_every_rule_is_described_by_its_documentation(gemma: Run) -> None:
    described = log(gemma)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == [rule.code for rule in RULES]
    for descriptor, rule in zip(described, RULES, strict=True):
        documentation = rule.documentation()
        assert descriptor["shortDescription"]["text"] == documentation.summary
        assert descriptor["defaultConfiguration"]["level"] in ("error", "warning", "note")
        for title, body in documentation.sections.items():
            assert f"## {title}\n{body}\n" in descriptor["help"]["markdown"]
            assert title in descriptor["help"]["text"].splitlines()


def test_results_point_to_their_rules(gemma: Run) -> None:
    made = log(gemma)
    known = [rule for rule in RULES if rule.code != "ARC601"]
    for written in made["results"]:
        assert RULES[written["ruleIndex"]].code == written["ruleId"]
    missing = [written["ruleId"] for written in log(gemma, rules=known)["results"] if "ruleIndex" not in written]
    assert missing == ["ARC601"]


def test_a_result_is_where_the_plan_says_it(planned: Run) -> None:
    checkout = Checkout(ROOT, ROOT, plans={planned.reports[0].source: FILE})
    places = [written["locations"][0] for written in log(planned, checkout=checkout)["results"]]
    assert [place["physicalLocation"] for place in places] == [
        {"artifactLocation": {"uri": FILE, "uriBaseId": "%SRCROOT%"}, "region": {"startLine": line}}
        for line in (5, 4, 1, 4)
    ]
    experts = [{"fullyQualifiedName": "model.layers.{0..47}.mlp.experts", "kind": "module"}]
    assert places[2]["logicalLocations"] == experts


def test_a_result_without_a_file_is_about_the_model(gemma: Run, unchecked: Run) -> None:
    *_, last = log(gemma)["results"]
    (location,) = last["locations"]
    assert location["logicalLocations"] == [{"name": "Gemma4ForConditionalGeneration", "kind": "type"}]
    artifact = location["physicalLocation"]["artifactLocation"]
    assert artifact["uri"] == "google/gemma-4"
    assert "uriBaseId" not in artifact
    (location,) = result()["locations"]
    assert location["logicalLocations"] == [{"name": "x"}]


def test_a_result_about_a_source_elsewhere_is_about_its_file(gemma: Run) -> None:
    file = ROOT.parent / "gemma" / "config.json"
    made = log(gemma, checkout=Checkout(ROOT, ROOT, {"google/gemma-4": ConfigFile(str(file))}))
    uris = {written["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for written in made["results"]}
    assert uris == {file.as_uri()}


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ({"location": Location(str(ROOT / "a b" / "né:t#1.py"), 9)}, "a%20b/n%C3%A9%3At%231.py"),
        ({"plan_line": PlanLine("./runs/../train.yml", 9, "")}, "train.yml"),
        ({"plan_line": PlanLine(str(ROOT / "train.yml"), 9, "")}, "train.yml"),
        ({"plan_line": PlanLine("../50%.yml", 9, "")}, (ROOT.parent / "50%.yml").as_uri()),
        ({"location": Location("transformers/models/net.py", 9)}, None),
        ({"location": Location(str(ROOT.parent / "net.py"), 9)}, None),
    ],
)
def test_files_are_named_from_the_repository(fields: dict[str, Any], uri: str | None) -> None:
    physical = result(**fields)["locations"][0]["physicalLocation"]
    artifact = physical["artifactLocation"]
    if uri is None:
        assert artifact["uri"] == "x"
        return
    assert physical["region"] == {"startLine": 9}
    assert artifact["uri"] == uri
    assert ("uriBaseId" in artifact) == (urlsplit(uri).scheme == "")
    assert (ROOT / unquote(urlsplit(uri).path)).is_absolute()


def test_exact_and_proven_fixes_are_written(planned: Run) -> None:
    lossy, exact, *others = log(planned, PLAN)["results"]
    assert "fixes" not in lossy
    assert all("fixes" not in other for other in others)
    (fix,) = exact["fixes"]
    assert fix["description"]["text"] == "leave the routers out"
    (change,) = fix["artifactChanges"]
    assert change["artifactLocation"] == {"uri": FILE, "uriBaseId": "%SRCROOT%"}
    (replacement,) = change["replacements"]
    assert replacement["insertedContent"]["text"] == "lora_target_modules: [q_proj, v_proj]"
    assert replacement["deletedRegion"] == {"startLine": 4, "startColumn": 1, "endLine": 4, "endColumn": 44}
    assert applied(PLAN_TEXT, change["replacements"]) == PLAN_TEXT.replace(", gate]", "]")


def test_what_is_not_proven_or_changes_nothing_is_no_fix(planned: Run) -> None:
    (report,) = planned.reports
    finding = report.findings[1]
    guess = dataclasses.replace(finding, remedies=(dataclasses.replace(finding.remedies[0], proven=False),))
    run = Run(planned.environment, (dataclasses.replace(report, findings=(guess, finding)),))
    assert ["fixes" in written for written in log(run, PLAN)["results"]] == [False, True]
    idle = sarif.PlanText(FILE, PLAN_TEXT, lambda report, remedy: PLAN_TEXT)
    assert ["fixes" in written for written in log(run, idle)["results"]] == [False, False]


def test_fixes_that_cannot_be_written_are_told(planned: Run) -> None:
    nowhere = sarif.PlanText(FILE, PLAN_TEXT, lambda report, remedy: None)
    for plan in (None, nowhere):
        lossy, exact, *_ = log(planned, plan)["results"]
        assert "fixes" not in exact
        assert exact["message"]["text"].splitlines()[1:] == [
            "fix (exact, proven): leave the routers out",
            "  runs/train.yml:4  lora_target_modules: [q_proj, v_proj]",
        ]
        assert "  runs/train.yml:5  take out lora_dropout" in lossy["message"]["text"].splitlines()


LINES = st.lists(st.sampled_from(["a", "b: [c]", "", "é\r", "a\r", "\u2028x"]), max_size=6)


@given(LINES, LINES, st.booleans(), st.booleans())
def test_replacements_make_one_text_into_the_other(old: list[str], new: list[str], ends: bool, stays: bool) -> None:
    before, after = ("\n".join(lines) + "\n" * end for lines, end in ((old, ends), (new, stays)))
    made = list(sarif.replacements(before, after))
    assert applied(before, made) == after
    assert bool(made) == (before != after)


def test_only_lines_that_change_are_replaced() -> None:
    same = "- a\n" * 300
    (replacement,) = sarif.replacements(f"{same}x: 1\n{same}", f"{same}x: 2\n{same}")
    assert replacement == {
        "deletedRegion": {"startLine": 301, "startColumn": 1, "endLine": 301, "endColumn": 5},
        "insertedContent": {"text": "x: 2"},
    }


def test_a_message_that_speaks_of_the_recipe_holds_it(gemma: Run) -> None:
    texts = [result["message"]["text"] for result in log(gemma)["results"]]
    text = next(text for text in texts if "the recipe below" in text)
    assert text.splitlines()[-1].startswith('recipe: LoraConfig(target_modules="all-linear", exclude_modules=')


def test_what_was_not_checked_is_a_notification(planned: Run, unchecked: Run) -> None:
    (invocation,) = log(unchecked)["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["level"] == "error"
    assert notification["message"]["text"].startswith("gogle/gemma-4: the architecture not checked: no repository")
    partly = dataclasses.replace(planned.reports[0], unchecked=unchecked.reports[0].unchecked)
    (invocation,) = log(Run(planned.environment, (partly,)))["invocations"]
    assert [note["level"] for note in invocation["toolExecutionNotifications"]] == ["warning"]
    (invocation,) = log(planned)["invocations"]
    assert invocation == {"executionSuccessful": True, "toolExecutionNotifications": []}


def test_what_a_comment_suppresses_is_a_result_that_says_so(gemma: Run) -> None:
    (report,) = gemma.reports
    assert all("suppressions" not in written for written in log(gemma)["results"])
    first, *others = report.findings
    own = Location(str(ROOT / "modeling_own.py"), 12)
    suppressed = (Suppressed(first, own, "as\nmeant"), Suppressed(others[0], own))
    told = dataclasses.replace(report, findings=tuple(others[1:]), suppressed=suppressed)
    *kept, with_reason, without = log(Run(gemma.environment, (told,)))["results"]
    assert [written["suppressions"] for written in kept] == [[]] * 3
    assert (with_reason["ruleId"], with_reason["level"]) == ("ARC101", "error")
    (suppression,) = with_reason["suppressions"]
    assert (suppression["kind"], suppression["justification"]) == ("inSource", "as meant")
    place = suppression["location"]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]) == ("modeling_own.py", {"startLine": 12})
    assert "justification" not in without["suppressions"][0]


def test_a_place_in_the_model_is_named_once() -> None:
    sites = tuple(FoldedSites("layers.{0..1}", 2, name, "other", "text") for name in ("One", "Two"))
    (location,) = result(sites=sites)["locations"]
    assert location["logicalLocations"] == [{"fullyQualifiedName": "layers.{0..1}", "kind": "module"}]


def test_names_are_neither_placeholders_nor_links() -> None:
    text = result(message="{0} of [all](http://x) in {1}")["message"]["text"]
    assert text == "x: {{0}} of [all] (http://x) in {{1}}"


def test_the_bytes_are_ascii(hostile: Run) -> None:
    text = sarif.render(hostile, rules=RULES, checkout=HERE)
    assert text.isascii()
    json.dumps(json.loads(text), ensure_ascii=False).encode()  # no half of a surrogate pair
    (written, planned, _) = json.loads(text)["runs"][0]["results"]
    assert all(char.isprintable() for char in written["message"]["text"].replace("\n", ""))
    uri = planned["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert set(uri) <= set(f"{ascii_letters}{digits}%-._~/")
