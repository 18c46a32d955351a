"""What comments suppress, and what is said of those that suppress nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, Site, TypeInfo
from archlint.core.catalog import Catalog, RuleLoadError
from archlint.core.finding import Finding, FoldedSites, Location, Severity
from archlint.suppressions import Suppressions, comments

FILE = "/repo/modeling_own.py"
CATALOG = Catalog.load()
ALL = frozenset(CATALOG.rules)


def of_class(name: str, line: int | None, file: str = FILE) -> TypeInfo:
    return TypeInfo(name, "own", (), file, line)


TYPES = {
    "": of_class("Net", 1),
    "layers.0": of_class("Layer", 2),
    "layers.1": of_class("Layer", 2),
    "router": of_class("Router", 3),
    "head": TypeInfo("Linear", "torch.nn.modules.linear", (), "torch/nn/modules/linear.py", 3),
}
BLUEPRINT = Blueprint(
    ModelInfo("own", "local", "Net", "own", 1, 1),
    tuple(Site(path, of, Kind.OTHER, Role.TEXT) for path, of in TYPES.items()),
)


def finding(code: str, *patterns: str, unchecked: bool = False) -> Finding:
    sites = tuple(FoldedSites(pattern, 1, "x", "other", "text") for pattern in patterns)
    return Finding(code, "a-name", Severity.ERROR, f"{code} it is", "", sites=sites, unchecked=unchecked)


def on(catalog: Catalog = CATALOG, **said: str) -> Suppressions:
    """The model's file with comments on its classes."""
    lines = [f"class {name}: ...  {said.get(name, '')}" for name in ("Net", "Layer", "Router", "Other")]
    return Suppressions(BLUEPRINT, tuple(comments(FILE, "\n".join([*lines, said.get("end", "")]))), catalog)


def useless(
    given: Suppressions, *findings: Finding, others: Sequence[Finding] = (), ran: Collection[str] = ALL
) -> list[str]:
    return [one.message for one in given.useless(findings, others, ran)]


def test_what_is_found_in_a_class_is_suppressed_there() -> None:
    given = on(Layer="# archlint: ignore[ARC101] as meant")
    found = finding("ARC101", "layers.{0,1}")
    suppressed = given.suppressed(found)
    assert suppressed is not None
    assert suppressed.finding is found
    assert (suppressed.location, suppressed.reason) == (Location(FILE, 2), "as meant")
    assert given.suppressed(finding("ARC102", "layers.0")) is None
    assert given.suppressed(finding("ARC101", "router")) is None
    assert useless(given, found) == []


def test_what_is_about_the_model_is_suppressed_at_its_own_class() -> None:
    assert on(Net="# archlint: ignore[ARC706]").suppressed(finding("ARC706")) is not None
    assert on(Router="# archlint: ignore[ARC706]").suppressed(finding("ARC706")) is None


@pytest.mark.parametrize("name", ["ARC1", "arc101", "wrapped-linear", "ARC303, ARC10"])
def test_rules_are_named_as_they_are_selected(name: str) -> None:
    assert on(Router=f"# archlint: ignore[{name}]").suppressed(finding("ARC101", "router")) is not None


def test_of_several_classes_all_must_have_a_comment() -> None:
    found = finding("ARC601", "layers.0", "router")
    one = on(Layer="# archlint: ignore[ARC601]")
    assert one.suppressed(found) is None
    assert useless(one, found) == ["ignore[ARC601] at Layer suppresses nothing: ARC601 is found in Router as well"]
    both = on(Router="# archlint: ignore[ARC601] router", Layer="# archlint: ignore[ARC6] layer")
    suppressed = both.suppressed(found)
    assert suppressed is not None
    assert suppressed.reason == "layer"  # its sites come first
    assert useless(both, found) == []


def test_a_class_of_a_package_cannot_be_told_from_the_model() -> None:
    """Its line is also that of the router, in another file."""
    given = on(Router="# archlint: ignore[ARC403]", Net="# archlint: ignore[ARC403]")
    found = finding("ARC403", "head")
    assert given.suppressed(found) is None
    assert useless(given, found) == [
        "ignore[ARC403] at Net suppresses nothing: it is found in Linear",
        "ignore[ARC403] at Router suppresses nothing: it is found in Linear",
    ]


def test_a_site_that_the_model_does_not_have_has_no_class_to_say_it_at() -> None:
    assert on(Net="# archlint: ignore[ARC101]").suppressed(finding("ARC101", "no.such")) is None


def test_that_something_could_not_be_checked_is_never_suppressed() -> None:
    given = on(Net="# archlint: ignore[ARC903]", Router="# archlint: ignore[ARC101]")
    failed = finding("ARC903", unchecked=True)
    assert given.suppressed(failed) is None
    assert given.suppressed(finding("ARC101", "router", unchecked=True)) is None
    assert "ignore[ARC903] at Net suppresses nothing: ARC903 says that something could not be checked" in useless(
        given, failed
    )


class TestUseless:
    """Comments that suppress nothing."""

    def test_nothing_is_found_there(self) -> None:
        given = on(Router="# archlint: ignore[ARC102, ARC3]")
        found = finding("ARC303", "router")
        assert useless(given, found) == ["ignore[ARC102] at Router suppresses nothing: it is not found there"]

    def test_only_where_the_rule_ran(self) -> None:
        given = on(Router="# archlint: ignore[ARC10]")
        assert useless(given, ran=ALL - {"ARC102"}) == []
        assert useless(given, ran=()) == []
        assert len(useless(given)) == 1

    def test_not_what_something_else_asked_would_find(self) -> None:
        given = on(Router="# archlint: ignore[ARC303]")
        assert useless(given, others=[finding("ARC303", "router")]) == []
        assert len(useless(given, others=[finding("ARC303", "layers.0")])) == 1

    def test_not_of_a_class_that_the_model_does_not_have(self) -> None:
        assert useless(on(Other="# archlint: ignore[ARC303]")) == []

    def test_an_unknown_name(self) -> None:
        given = on(Router="# archlint: ignore[ARC1o1, ARC303]")
        assert given.suppressed(finding("ARC303", "router")) is not None
        assert useless(given, finding("ARC303", "router"), ran=()) == [
            "ignore[ARC1o1] at Router suppresses nothing: no rule 'ARC1o1'. Did you mean ARC101?"
        ]

    def test_an_unknown_name_may_be_of_a_plugin_that_could_not_be_loaded(self) -> None:
        catalog = Catalog(CATALOG.rules, [RuleLoadError("mine: no")])
        assert useless(on(catalog, Router="# archlint: ignore[MINE1]")) == []

    @pytest.mark.parametrize("name", ["ALL", "ARC", "all", "A"])
    def test_a_name_for_everything_is_refused_and_leaves_the_others(self, name: str) -> None:
        given = on(Router=f"# archlint: ignore[{name}, ARC303]")
        assert given.suppressed(finding("ARC101", "router")) is None
        assert given.suppressed(finding("ARC303", "router")) is not None
        (message,) = useless(given, finding("ARC303", "router"))
        assert message.startswith(f"ignore[{name}] at Router suppresses nothing: it would hide whatever is found")

    @pytest.mark.parametrize("said", ["ignore", "disable=ARC303", ""])
    def test_a_comment_that_names_no_rule(self, said: str) -> None:
        given = on(Router=f"# archlint: {said}")
        assert given.suppressed(finding("ARC303", "router")) is None
        (message,) = useless(given, ran=())
        assert message.startswith(f"a comment to archlint {f'says {said!r}' if said else 'is empty'}: write ignore[")

    def test_a_comment_at_no_class(self) -> None:
        (one,) = on(end="# archlint: ignore[ARC303, ARC101] x").useless((), (), ())
        assert one.location == Location(FILE, 5)
        assert one.message.startswith("ignore[ARC303, ARC101] stands at no class: put it on the line of a class")
