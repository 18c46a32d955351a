"""Code Quality reports: what GitLab asks of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from archlint.core.finding import Finding, FoldedSites, Location, PlanLine, Severity
from archlint.core.report import Environment, Report, Run, Unchecked
from archlint.report import gitlab
from archlint.report.places import Checkout, ConfigFile

from .strategies import RUNS

ROOT = Path(__file__).parent.resolve()
TEXT = {"type": "string", "minLength": 1}
ENTRY = {
    "type": "object",
    "required": ["description", "check_name", "fingerprint", "severity", "location"],
    "additionalProperties": False,
    "properties": {
        "description": TEXT,
        "check_name": TEXT,
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
        "location": {
            "type": "object",
            "required": ["path", "lines"],
            "additionalProperties": False,
            "properties": {
                "path": {"type": "string", "pattern": "^[^/].*$"},
                "lines": {"type": "object", "required": ["begin"], "properties": {"begin": {"type": "integer"}}},
            },
        },
    },
}
VALIDATOR = Draft202012Validator({"type": "array", "items": ENTRY})


def entries(run: Run, plan: str | None = None, configs: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    files = {source: ConfigFile(file) for source, file in (configs or {}).items()}
    plans = {} if plan is None else {report.source: plan for report in run.reports}
    text = gitlab.render(run, checkout=Checkout(ROOT, ROOT, files, plans))
    assert text.isascii()
    made: list[dict[str, Any]] = json.loads(text)
    VALIDATOR.validate(made)
    json.dumps(made, ensure_ascii=False).encode()  # no half of a surrogate pair
    prints = [entry["fingerprint"] for entry in made]
    assert len(set(prints)) == len(prints)
    return made


def about(source: str = "x", **fields: object) -> Run:
    """A run with one finding."""
    finding = Finding("ARC101", "a-name", Severity.ERROR, "it is so", "")
    finding = dataclasses.replace(finding, **fields)  # type: ignore[arg-type]
    return Run(Environment("3.11"), (Report(source=source, findings=(finding,)),))


def path(run: Run, **files: Any) -> tuple[str, int]:
    (entry,) = entries(run, **files)
    return entry["location"]["path"], entry["location"]["lines"]["begin"]


def test_gitlab_has_an_entry_for_each_finding_and_unchecked_thing(several: Run, golden: Callable[[str], None]) -> None:
    made = entries(several)
    assert len(made) == len(list(several.findings)) + sum(len(report.untold) for report in several.reports)
    golden(gitlab.render(several, checkout=Checkout(ROOT, ROOT)))


def test_severities(run: Run) -> None:
    expected = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}
    made = entries(run)
    assert [entry["severity"] for entry in made][: len(list(run.findings))] == [
        expected[f.severity] for f in run.findings
    ]


def test_a_description_alone_tells_how_to_mend_it(gemma: Run, planned: Run) -> None:
    first, *_ = entries(gemma)
    assert "google/gemma-4: ARC101 wrapped-linear: Gemma4ClippableLinear is no nn.Linear" in first["description"]
    assert "64× model.vision_tower.encoder.layers.{0..15}.self_attn.{q,k,v,o}_proj" in first["description"]
    assert first["description"].endswith(
        ' · recipe: LoraConfig(target_modules="all-linear", '
        'exclude_modules=".*(vision_tower|audio_tower|embed_vision|embed_audio).*")'
    )
    _, routed, *_ = entries(planned)
    assert routed["description"].endswith("runs/train.yml:4  lora_target_modules: [q_proj, v_proj]")


def test_nothing_is_an_empty_list() -> None:
    assert entries(Run(Environment("3.11"), (Report(source="x"),))) == []


def test_what_was_not_checked_is_an_entry(unchecked: Run, planned: Run) -> None:
    (entry,) = entries(unchecked)
    assert entry["description"].startswith("gogle/gemma-4: the architecture not checked: no repository")
    assert (entry["check_name"], entry["severity"]) == ("not-checked", "major")
    partly = dataclasses.replace(planned.reports[0], findings=(), unchecked=(Unchecked("the plans", "not run"),) * 2)
    assert [entry["severity"] for entry in entries(Run(planned.environment, (partly,)))] == ["minor", "minor"]


def test_a_finding_that_says_so_is_no_info(planned: Run) -> None:
    run = about(severity=Severity.INFO, unchecked=True)
    assert [entry["severity"] for entry in entries(run)] == ["major"]
    report = dataclasses.replace(planned.reports[0], findings=run.reports[0].findings)
    assert [entry["severity"] for entry in entries(Run(run.environment, (report,)))] == ["minor"]


def test_lines_are_those_of_the_plan_or_of_a_class_in_the_repository() -> None:
    line = PlanLine("runs/train.yml", 7, "key")
    inside, outside = Location(str(ROOT / "net.py"), 9), Location(str(ROOT.parent / "net.py"), 9)
    assert path(about(plan_line=line)) == ("runs/train.yml", 7)
    assert path(about(location=inside)) == ("net.py", 9)
    assert path(about(location=inside, plan_line=line)) == ("runs/train.yml", 7)
    assert path(about(location=inside), plan="train.yml", configs={"x": "config.json"}) == ("net.py", 9)
    for location in (outside, Location("transformers/models/net.py", 9), None):
        assert path(about(location=location)) == ("config.json", 1)


def test_what_has_no_line_is_about_the_plan_or_the_source() -> None:
    run, configs = about("models/x"), {"models/x": "models/x/config.json", "y": "y.json"}
    assert path(run, plan="./runs/../train.yml") == ("train.yml", 1)
    assert path(run, plan="train.yml", configs=configs) == ("models/x/config.json", 1)
    assert path(run, configs=configs) == ("models/x/config.json", 1)
    assert path(run, configs={"models/x": str(ROOT / "x.json")}) == ("x.json", 1)


@pytest.mark.parametrize("file", ["../train.yml", "/somewhere/train.yml"])
def test_what_is_outside_the_repository_is_no_place(file: str) -> None:
    assert path(about(plan_line=PlanLine(file, 7, "")), plan=file, configs={"x": "x.json"}) == ("x.json", 1)
    assert path(about(), plan=file, configs={"x": file}) == ("config.json", 1)


def test_fingerprints_stay_when_layers_are_added_or_a_message_changes(gemma: Run) -> None:
    def grown(finding: Finding) -> Finding:
        sites = tuple(
            dataclasses.replace(fold, pattern=fold.pattern.replace("{0..15}", "{0..31}"), count=2 * fold.count)
            for fold in finding.sites
        )
        message = f"{finding.message}, now" if sites else finding.message
        return dataclasses.replace(finding, sites=sites, message=message, severity=Severity.INFO)

    (report,) = gemma.reports
    later = dataclasses.replace(report, findings=tuple(map(grown, report.findings)))
    prints = [[entry["fingerprint"] for entry in entries(Run(gemma.environment, (made,)))] for made in (report, later)]
    assert prints[0] == prints[1]


def test_fingerprints_differ_between_sources_and_stay_beside_others() -> None:
    one, other = about("x"), about("y")
    both = Run(one.environment, other.reports + one.reports)
    assert [entry["fingerprint"] for entry in entries(both)] == [
        *(entry["fingerprint"] for entry in entries(other)),
        *(entry["fingerprint"] for entry in entries(one)),
    ]


def test_findings_of_one_place_are_told_apart() -> None:
    sites = (FoldedSites("layers.{0..3}", 4, "Net", "other", "text"),)
    (report,) = about(sites=sites).reports
    twice = dataclasses.replace(report, findings=report.findings * 2)
    once, again = entries(Run(Environment("3.11"), (twice,)))
    assert once["fingerprint"] == entries(about(sites=sites))[0]["fingerprint"] != again["fingerprint"]


@given(RUNS)
def test_any_run_is_a_valid_report(run: Run) -> None:
    made = entries(run, plan="a\nb/\ud800.yml", configs={report.source: report.source for report in run.reports})
    assert len(made) == len(list(run.findings)) + sum(len(report.untold) for report in run.reports)
    assert all(text.isprintable() for entry in made for text in (entry["description"], entry["location"]["path"]))
