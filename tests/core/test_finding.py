"""A finding's fingerprint stays the same for as long as the finding does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.core.blueprint import Kind, Role, Site, TypeInfo, fold_sites
from archlint.core.finding import Finding, FoldedSites, Severity


def about(*paths: str, class_name: str = "Linear") -> Finding:
    sites = [Site(path, TypeInfo(class_name, "m"), Kind.WRAPPER, Role.TEXT) for path in paths]
    folds = tuple(map(FoldedSites.of, fold_sites(sites)))
    return Finding("ARC101", "wrapped-linear", Severity.ERROR, f"{len(sites)} sites", "why", sites=folds)


def in_layers(layers: range, experts: range) -> Finding:
    return about(*(f"layers.{i}.experts.{j}.{name}_proj" for i in layers for j in experts for name in ("up", "down")))


@given(st.integers(0, 9), st.integers(1, 50), st.integers(1, 9))
def test_adding_or_moving_layers_keeps_it(start: int, layers: int, experts: int) -> None:
    finding = in_layers(range(start, start + layers), range(experts))
    assert finding.fingerprint == in_layers(range(2), range(4)).fingerprint


@pytest.mark.parametrize(
    "changes", [{"message": "other words"}, {"severity": Severity.INFO}, {"why": "other"}, {"proof": ("tried",)}]
)
def test_wording_and_severity_do_not_matter(changes: dict[str, object]) -> None:
    finding = about("a.q", "a.k")
    assert replace(finding, **changes).fingerprint == finding.fingerprint  # type: ignore[arg-type]


def test_order_of_places_does_not_matter() -> None:
    finding = about("a.q", "b.c.k")
    assert replace(finding, sites=finding.sites[::-1]).fingerprint == finding.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(about("layers.0.attn.k"), id="another place"),
        pytest.param(about("layers.0.attn.q", "head"), id="one place more"),
        pytest.param(about("layers.0.attn.q", class_name="Conv1D"), id="another class"),
        pytest.param(replace(about("layers.0.attn.q"), code="ARC102"), id="another rule"),
        pytest.param(about(), id="no place"),
    ],
)
def test_another_finding_has_another(other: Finding) -> None:
    assert other.fingerprint != about("layers.0.attn.q").fingerprint


def test_without_places_the_message_tells_findings_apart() -> None:
    whole = about()
    assert replace(whole, message="a").fingerprint != replace(whole, message="b").fingerprint


def test_it_is_the_same_in_every_process() -> None:
    assert about("layers.0.attn.q").fingerprint == "bb21de68e9aa75bd"


def test_severities_rank_from_bad_to_mild() -> None:
    assert sorted(Severity, key=lambda severity: severity.rank) == [Severity.ERROR, Severity.WARNING, Severity.INFO]
