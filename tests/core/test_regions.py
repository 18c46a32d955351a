"""Towers beside the scope, and patterns that PEFT excludes them by."""

from __future__ import annotations

import pytest
from peft import LoraConfig
from peft.tuners.tuners_utils import _ExcludedModule, check_target_module_exists

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, Scope, Site, TypeInfo, Weight
from archlint.core.regions import excluding, roots


def blueprint(paths: dict[str, Role], scope: Scope = Scope.TEXT) -> Blueprint:
    linear = TypeInfo("Linear", "torch.nn")
    sites = (
        Site(path, linear, Kind.LINEAR, role, (Weight("weight", (4, 4), "float32"),)) for path, role in paths.items()
    )
    return Blueprint(ModelInfo("name", "object", "Model", "", 1, 1), tuple(sites), scope)


PLAIN = {
    "model.language_model.layers.0.q_proj": Role.TEXT,
    "model.vision_tower.layers.0.q_proj": Role.VISION,
    "model.vision_tower.layers.1.q_proj": Role.VISION,
    "model.embed_vision.projection": Role.PROJECTOR,
    "connector": Role.PROJECTOR,
}
NESTED = {"text.vision.layers.0.q": Role.TEXT, "vision.layers.0.q": Role.VISION}
INDEXED = {"parts.0.q": Role.TEXT, "parts.1.q": Role.VISION, "parts.1.k": Role.VISION}


def excluded(pattern: str, path: str) -> bool:
    config = LoraConfig(target_modules=["q_proj"], exclude_modules=pattern)
    return isinstance(check_target_module_exists(config, path), _ExcludedModule)


def test_a_root_is_the_highest_module_that_holds_nothing_of_the_scope() -> None:
    model = blueprint(PLAIN)
    assert roots(model, model.outside(PLAIN)) == ["model.vision_tower", "model.embed_vision", "connector"]


def test_the_scope_turns_it_round() -> None:
    model = blueprint(PLAIN, Scope.VISION)
    assert roots(model, model.outside(PLAIN)) == ["model.language_model", "model.embed_vision", "connector"]


@pytest.mark.parametrize("paths", [PLAIN, NESTED, INDEXED], ids=["plain", "nested", "indexed"])
def test_peft_excludes_what_is_outside_and_nothing_else(paths: dict[str, Role]) -> None:
    model = blueprint(paths)
    pattern = excluding(model, roots(model, model.outside(paths)))
    assert {path for path in paths if excluded(pattern, path)} == {
        path for path, role in paths.items() if role is not Role.TEXT
    }


@pytest.mark.parametrize("besides", [["lm_head", "vision_tower"], r".*lm_head"])
def test_what_a_plan_excludes_already_stays_excluded(besides: str | list[str]) -> None:
    model = blueprint(PLAIN)
    pattern = excluding(model, roots(model, model.outside(PLAIN)), besides)
    assert excluded(pattern, "lm_head")
    assert excluded(pattern, "model.vision_tower.layers.0.q_proj")
    assert not excluded(pattern, "model.language_model.layers.0.q_proj")


def test_names_are_taken_where_they_do() -> None:
    model = blueprint(PLAIN)
    assert excluding(model, ["model.vision_tower", "connector"]) == ".*(vision_tower|connector).*"
