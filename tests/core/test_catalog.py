"""Which rules are meant by codes and names, and that these are known before any rule is loaded."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from archlint.core import rule_loading
from archlint.core.blueprint import Blueprint
from archlint.core.catalog import Catalog, Known, RuleLoadError, UnknownRuleError
from archlint.core.finding import Finding, Severity
from archlint.core.rule import Rule


def make(code: str, name: str) -> type[Rule]:
    def check(self: Rule, blueprint: Blueprint) -> Iterable[Finding]:
        return ()

    attributes = {"code": code, "name": name, "severity": Severity.INFO, "why": "It matters.", "check": check}
    return type(name.title().replace("-", ""), (Rule,), attributes)


@pytest.fixture
def catalog() -> Catalog:
    rules = [make("ARC101", "wrapped-linear"), make("ARC102", "linear-subclass"), make("ARC511", "no-default")]
    return Catalog({rule.code: rule for rule in rules})


@pytest.mark.parametrize(
    ("select", "ignore", "extend", "chosen"),
    [
        (None, [], [], ["ARC101", "ARC102", "ARC511"]),
        ([], [], [], ["ARC101", "ARC102", "ARC511"]),
        (["ARC1"], [], [], ["ARC101", "ARC102"]),
        (["arc1"], ["ARC102"], [], ["ARC101"]),
        (["ARC511"], [], ["ARC101"], ["ARC101", "ARC511"]),
        (["ALL"], ["wrapped-linear"], [], ["ARC102", "ARC511"]),
        (["no-default"], [], [], ["ARC511"]),
        (["ARC1"], ["ALL"], [], []),
    ],
)
def test_select(
    catalog: Catalog, select: list[str] | None, ignore: list[str], extend: list[str], chosen: list[str]
) -> None:
    assert [rule.code for rule in catalog.select(select, ignore, extend)] == chosen


@pytest.mark.parametrize("argument", ["select", "ignore", "extend"])
@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("ARC103", "Did you mean ARC10[12]?"),
        ("ARC1O1", "Did you mean ARC101?"),
        ("warped-linear", "Did you mean wrapped-linear?"),
        ("Linear-Subclasses", "Did you mean linear-subclass?"),
        ("XYZ", "`archlint rules` lists them"),
        ("", "`archlint rules` lists them"),
    ],
)
def test_a_code_that_no_rule_has_is_refused_with_the_nearest(
    catalog: Catalog, argument: str, code: str, hint: str
) -> None:
    with pytest.raises(UnknownRuleError, match=hint):
        catalog.select(**{argument: [code]})


@pytest.mark.parametrize("code", ["ARC101", "arc101", "wrapped-linear", "Wrapped-Linear"])
def test_a_rule_is_found_by_its_code_or_name(catalog: Catalog, code: str) -> None:
    assert catalog.code(code) == "ARC101"


def test_a_prefix_is_no_code(catalog: Catalog) -> None:
    with pytest.raises(UnknownRuleError, match="no rule 'ARC1'"):
        catalog.code("ARC1")


KNOWN = {"ARC101": Known("wrapped-linear", "one"), "ARC102": Known("linear-subclass", "other")}


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for each time that the installed rules are loaded."""
    done: list[None] = []

    def load() -> tuple[dict[str, type[Rule]], tuple[RuleLoadError, ...]]:
        done.append(None)
        return {"ARC101": make("ARC101", "wrapped-linear")}, (RuleLoadError("rule plugin broken: it is"),)

    monkeypatch.setattr(rule_loading, "load", load)
    return done


def test_codes_and_names_are_known_before_rules_are_loaded(loads: list[None]) -> None:
    catalog = Catalog.deferred(KNOWN)
    assert catalog.codes(["ARC1"], ["linear-subclass"]) == ["ARC101"]
    assert catalog.code("wrapped-linear") == "ARC101"
    with pytest.raises(UnknownRuleError, match="Did you mean ARC102"):
        catalog.codes(["ARC1O2"])
    assert (catalog.failures, loads) == ((), [])


def test_rules_are_loaded_once_and_those_that_cannot_be_are_told_then(loads: list[None]) -> None:
    catalog = Catalog.deferred(KNOWN)
    assert [rule.code for rule in catalog.select(["ARC1"])] == ["ARC101"]
    assert list(catalog.rules) == ["ARC101"]
    assert list(map(str, catalog.failures)) == ["rule plugin broken: it is"]
    assert loads == [None]


def test_what_is_known_of_a_rule_is_what_it_says() -> None:
    rule = make("ARC101", "wrapped-linear")
    assert Catalog({"ARC101": rule}).known == {"ARC101": Known("wrapped-linear", rule.__module__)}
