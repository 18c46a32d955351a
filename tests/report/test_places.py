"""Where findings are shown: the user's file, a class of the repository, the file of the source, or that of the plan."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from archlint.core.finding import Finding, FoldedSites, Location, PlanLine, Severity
from archlint.report.places import Checkout, ConfigFile, Place

ROOT = Path("/repository")
LINES = {"architectures": 2, "text_config": 4, "vision_config": 9, "model_type": 20}
PLANS = dict.fromkeys(("../model", "../../model", "org/model"), "train.yml")
CHECKOUT = Checkout(ROOT, ROOT / "training", {"../model": ConfigFile("../model/config.json", LINES)}, PLANS)
LINE = PlanLine("train.yml", 7, "lora_r")
MODEL = ("model/config.json", 2)


def about(*roles: str, **fields: object) -> Finding:
    sites = tuple(FoldedSites(f"{role}.proj", 1, "Linear", "linear", role) for role in roles)
    finding = Finding("ARC101", "a-name", Severity.ERROR, "it is so", "", sites=sites)
    return dataclasses.replace(finding, **fields)  # type: ignore[arg-type]


def placed(finding: Finding | None, source: str = "../model", checkout: Checkout = CHECKOUT) -> tuple[str, int] | None:
    place = checkout.place(source, finding)
    return None if place is None else (place.file, place.line)


def test_the_user_s_file_comes_first_then_a_class_of_the_repository() -> None:
    own = Location("/repository/net.py", 9)
    assert placed(about(plan_line=LINE, location=own)) == ("training/train.yml", 7)
    assert placed(about(location=own)) == ("net.py", 9)
    assert list(CHECKOUT.places("../model", about(plan_line=LINE, location=own))) == [
        Place("training/train.yml", 7),
        Place("net.py", 9),
        Place(*MODEL),
        Place("training/train.yml", 1),
    ]


@pytest.mark.parametrize("file", ["transformers/models/net.py", "/elsewhere/net.py"])
def test_a_class_of_a_library_is_in_the_file_of_the_source(file: str) -> None:
    assert placed(about(location=Location(file, 9))) == MODEL
    assert placed(None) == MODEL


def test_the_line_is_that_of_the_part_that_it_is_about() -> None:
    assert placed(about("vision", "vision")) == ("model/config.json", 9)
    assert placed(about("text")) == ("model/config.json", 4)
    for finding in (about("text", "vision"), about("audio"), about("head"), about()):
        assert placed(finding) == MODEL
    assert ConfigFile("x", {"model_type": 20}).line(about()) == 20
    assert ConfigFile("x", {"base_model_name_or_path": 3, "r": 4}).line(about("text")) == 3
    assert ConfigFile("x").line(about("text")) == 1


def test_what_is_not_in_the_repository_is_in_the_plan() -> None:
    elsewhere = {"../../model": ConfigFile("../../model/config.json", LINES)}
    checkout = dataclasses.replace(CHECKOUT, configs=elsewhere)
    assert placed(about(), "../../model", checkout) == ("training/train.yml", 1)
    assert placed(about(), "org/model") == ("training/train.yml", 1)
    assert placed(about(), "org/other") is None, "it has no plan"
    outside = {"org/model": "../../train.yml"}
    assert placed(about(), "org/model", dataclasses.replace(CHECKOUT, plans=outside)) is None


def test_the_user_s_file_may_be_elsewhere() -> None:
    assert placed(about(plan_line=PlanLine("../../a.yml", 3, ""))) == ("/a.yml", 3)
    assert placed(about(plan_line=PlanLine("/repository/./a b.yml", 3, ""))) == ("a b.yml", 3)
