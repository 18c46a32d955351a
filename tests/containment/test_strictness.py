"""Answers of a process that anybody may have written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archlint.containment.questions import Said
from archlint.containment.strictness import NonsenseError, decoded, strictly
from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, Site, TypeInfo, Weight
from archlint.core.serial import to_json
from archlint.core.trial import Baseline, Crash, Trial

SITE = Site(
    "layer.up", TypeInfo("Own", "own", ("Linear",), "own.py", 3), Kind.LINEAR, Role.TEXT, (Weight("w", (2,), "f"),)
)
BLUEPRINT = Blueprint(ModelInfo("x", "hub", "Own", "own", 2**40, 2), (SITE,))


def through(data: Any) -> Any:
    return decoded(json.dumps(data).encode())


def test_what_archlint_wrote_is_read() -> None:
    assert strictly(Blueprint, through(to_json(BLUEPRINT)), lambda file: file == "own.py") == BLUEPRINT


def changed(path: str, value: Any) -> Any:
    data: Any = through(to_json(BLUEPRINT))
    *way, last = path.split(".")
    at = data
    for name in way:
        at = at[int(name)] if name.isdigit() else at[name]
    at[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model", None),
        ("model", []),
        ("model.id", 1),
        ("model.id", "x" * 10**6),
        ("model.parameters", "2"),
        ("model.parameters", 2.0),
        ("model.parameters", True),
        ("model.parameters", 10**30),
        ("model.layers", {"text": "2"}),
        ("model.unknown", 1),
        ("sites", {}),
        ("sites.0.kind", "none of ours"),
        ("sites.0.kind", ["linear"]),
        ("sites.0.is_parameter", "no"),
        ("sites.0.traits", "expert"),
        ("sites.0.traits", [["expert"]]),
        ("sites.0.weights.0.shape", [2, "3"]),
        ("sites.0.weights.0.shape", 2),
        ("sites.0.type.file", "/etc/shadow"),
        ("facts", {"peft_default": {"a": 1}}),
    ],
)
def test_whatever_is_of_another_type_is_nonsense(path: str, value: Any) -> None:
    with pytest.raises(NonsenseError):
        strictly(Blueprint, changed(path, value), lambda file: file == "own.py")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b'{"word": "\xff"}',
        b"[" * 100_000,
        b'{"word": 1' + b"0" * 5000 + b"}",
        b"[" + b"0," * 9_000_000 + b"0]",
        b'{"word": "\x1b"}',
    ],
)
def test_what_is_no_answer_at_all_is_nonsense(line: bytes) -> None:
    with pytest.raises(NonsenseError):
        strictly(Said, decoded(line))


def test_files_are_asked_about_wherever_they_are_named() -> None:
    asked = []

    def is_file(file: str) -> bool:
        asked.append(file)
        return True

    crash = Crash("ValueError", "no", "/somewhere/own.py", 3)
    strictly(Baseline, through(to_json(Baseline(cache=crash))), is_file)
    assert asked == ["/somewhere/own.py"]


def test_nothing_that_moves_a_cursor_gets_through() -> None:
    hostile = "\x1b[2J\r\u202e\u0007\ud800 \nnext"
    read = strictly(Baseline, through({"reason": hostile}))
    assert read.reason == r"\x1b[2J\r\u202e\x07\ud800" + " \nnext"
    assert strictly(Baseline, through({"reason": "größer ×"})).reason == "größer ×"


def test_a_trial_with_values_of_any_kind_is_read() -> None:
    plan = {"name": "user", "lora": {"r": 8, "target_modules": ["a"], "rank_pattern": {"a": 1.5}, "bias": None}}
    trial = strictly(Trial, through({"plan": plan, "muted": {"a": "scaling"}}))
    assert trial.plan.lora["rank_pattern"] == {"a": 1.5}
    with pytest.raises(NonsenseError):
        strictly(Trial, through({"plan": {"name": "user", "lora": {"r": "x" * 10**6}}}))
