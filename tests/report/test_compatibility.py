"""The schema takes nothing away from those who read reports of the version that was released.

At a release ``ARCHLINT_UPDATE_GOLDEN=1 python -m pytest tests/report/test_compatibility.py`` makes the schema of today
the released one, unless it takes something away: then it is another version, with a file of its own.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from archlint.core.report import Run
from archlint.report import contract

from .compatibility import OPEN, breaks

RELEASED = Path(__file__).parent / "released" / "report-v1.json"
Change = Callable[[Any], object]


def released() -> Any:
    return json.loads(RELEASED.read_text(encoding="utf-8"))


def test_nothing_is_taken_away() -> None:
    found = breaks(released(), contract.schema())
    assert found == [], "readers of archlint/report/v1 rely on this"
    if os.environ.get("ARCHLINT_UPDATE_GOLDEN"):
        RELEASED.write_text(json.dumps(contract.schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def test_what_is_written_is_what_was_promised(run: Run) -> None:
    schema = released()
    for part in _enums(schema):
        if part.get("$comment") == OPEN:
            del part["enum"]
    Draft202012Validator(schema).validate(contract.document(run))


def _enums(schema: Any) -> list[Any]:
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = [schema] if isinstance(schema, dict) and isinstance(schema.get("enum"), list) else []
    return own + [found for part in parts for found in _enums(part)]


def definition(schema: Any, name: str) -> Any:
    return schema["$defs"][name]["properties"]


INCOMPATIBLE: dict[str, tuple[Change, str]] = {
    "a field is removed": (
        lambda schema: definition(schema, "finding").pop("why"),
        "$.reports[].findings[].why: is gone",
    ),
    "a field is renamed": (
        lambda schema: definition(schema, "sites").update(path=definition(schema, "sites").pop("pattern")),
        "$.reports[].findings[].sites[].pattern: is gone",
    ),
    "a field may be missing": (
        lambda schema: schema["$defs"]["finding"]["required"].remove("severity"),
        "$.reports[].findings[].severity: may be missing",
    ),
    "all of the summary may be missing": (
        lambda schema: schema["required"].remove("summary"),
        "$.summary: may be missing",
    ),
    "a field may be null": (
        lambda schema: definition(schema, "model")["class"].update(type=["string", "null"]),
        "$.reports[].model.class: may be null",
    ),
    "an object may be null": (
        lambda schema: schema["properties"].update(summary={"anyOf": [{"$ref": "#/$defs/summary"}, {"type": "null"}]}),
        "$.summary: may be null",
    ),
    "an object is never there": (
        lambda schema: definition(schema, "report").update(model={"type": "null"}),
        "$.reports[].model: is no object any more",
    ),
    "a number is a text": (
        lambda schema: definition(schema, "summary")["errors"].update(type="string"),
        "$.summary.errors: may be string",
    ),
    "an integer is any number": (
        lambda schema: definition(schema, "model")["parameters"].update(type="number"),
        "$.reports[].model.parameters: may be number",
    ),
    "a type is not told any more": (
        lambda schema: schema["properties"]["archlint"].pop("type"),
        "$.archlint: may be of any type",
    ),
    "a word is added to a closed list": (
        lambda schema: definition(schema, "finding")["severity"]["enum"].append("fatal"),
        "$.reports[].findings[].severity: may be 'fatal'",
    ),
    "a closed list is opened": (
        lambda schema: definition(schema, "finding")["severity"].update({"$comment": OPEN}),
        "$.reports[].findings[].severity: words may be added",
    ),
    "a list of words is given up": (
        lambda schema: definition(schema, "sites").update(role={"type": "string"}),
        "$.reports[].findings[].sites[].role: may be any word",
    ),
    "another name of the schema": (
        lambda schema: schema["properties"]["schema"].update(const="archlint/report/v2"),
        "$.schema: may be 'archlint/report/v2'",
    ),
    "items of another type": (
        lambda schema: definition(schema, "trial")["dead"].update(items={"type": "object"}),
        "$.reports[].recipe.trial.dead[]: may be object",
    ),
    "items of any type": (
        lambda schema: definition(schema, "trial")["dead"].pop("items"),
        "$.reports[].recipe.trial.dead[]: may be anything",
    ),
    "values of a map of any type": (
        lambda schema: definition(schema, "model")["layers"].pop("additionalProperties"),
        "$.reports[].model.layers.*: may be anything",
    ),
    "a lower bound is lowered": (
        lambda schema: definition(schema, "sites")["count"].update(minimum=0),
        "$.reports[].findings[].sites[].count: has a wider minimum",
    ),
    "an upper bound is dropped": (
        lambda schema: definition(schema, "trial")["coverage"].pop("maximum"),
        "$.reports[].recipe.trial.coverage: has a wider maximum",
    ),
    "another pattern": (
        lambda schema: definition(schema, "finding")["fingerprint"].update(pattern="^[0-9a-f]{32}$"),
        "$.reports[].findings[].fingerprint: has another pattern",
    ),
    "a part of allOf is dropped": (
        lambda schema: definition(schema, "plan")["adapts"]["items"]["allOf"].pop(0),
        "$.reports[].plan.adapts[].pattern: is gone",
    ),
}
COMPATIBLE: dict[str, Change] = {
    "nothing": lambda schema: None,
    "a field is added": lambda schema: definition(schema, "finding").update(new={"type": "integer"}),
    "a field is added and always there": lambda schema: (
        definition(schema, "report").update(new={"type": "string"}),
        schema["$defs"]["report"]["required"].append("new"),
    ),
    "a field is always there": lambda schema: schema["$defs"]["finding"]["required"].append("why"),
    "a field is never null": lambda schema: definition(schema, "environment")["peft"].update(type="string"),
    "an object is never null": lambda schema: definition(schema, "report").update(model={"$ref": "#/$defs/model"}),
    "a number is always whole": lambda schema: definition(schema, "report")["seconds"].update(type="integer"),
    "a word is added to an open list": lambda schema: definition(schema, "remedy")["kind"]["enum"].append("downgrade"),
    "a word is not used any more": lambda schema: definition(schema, "sites")["kind"]["enum"].remove("gate"),
    "a bound is tighter": lambda schema: definition(schema, "sites")["count"].update(minimum=2),
    "fields of an object are told": lambda schema: definition(schema, "stock")["lora"].update(
        properties={"r": {"type": "integer"}}
    ),
    "a definition is moved": lambda schema: schema["properties"].update(summary=schema["$defs"].pop("summary")),
    "a description is reworded": lambda schema: schema.update(description="Other words."),
}


@pytest.mark.parametrize(("change", "said"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_what_takes_something_away_is_refused(change: Change, said: str) -> None:
    schema = copy.deepcopy(released())
    change(schema)
    found = breaks(released(), schema)
    assert said in found


@pytest.mark.parametrize("change", COMPATIBLE.values(), ids=COMPATIBLE)
def test_what_adds_or_narrows_is_taken(change: Change) -> None:
    schema = copy.deepcopy(released())
    change(schema)
    assert breaks(released(), schema) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda schema: schema.update({"if": {}}), "keywords that are not compared: if"),
        (lambda schema: schema["$defs"].update(trainer={"$ref": "#/$defs/trainer"}), "refers to itself"),
    ],
)
def test_what_is_not_understood_is_not_passed_over(change: Change, said: str) -> None:
    schema = copy.deepcopy(released())
    change(schema)
    with pytest.raises(ValueError, match=said):
        breaks(released(), schema)
