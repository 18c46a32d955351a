"""Questions that rules ask of a blueprint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, Scope, Site, TypeInfo, Weight, fold_sites
from archlint.core.trial import Plan, Trial

MODEL = ModelInfo("m", "type", "M", "m", parameters=0, modules=0)


def site(path: str, kind: Kind = Kind.LINEAR, role: Role = Role.TEXT, *weights: Weight, **more: object) -> Site:
    return Site(path, TypeInfo("Linear", "torch.nn"), kind, role, weights, **more)  # type: ignore[arg-type]


def matrix(*shape: int, tied_to: str | None = None) -> Weight:
    return Weight("weight", shape, "float32", tied_to)


SITES = (
    site("embed", Kind.EMBEDDING, Role.EMBEDDING, matrix(100, 8)),
    site("layers.0.q", Kind.LINEAR, Role.TEXT, matrix(8, 8), Weight("bias", (8,), "float32")),
    site("layers.0.norm", Kind.NORM, Role.TEXT, Weight("weight", (8,), "float32")),
    site("layers.0.experts.up", Kind.FUSED_EXPERTS, Role.TEXT, matrix(4, 8, 6), is_parameter=True),
    site("layers.0.router", Kind.ROUTER, Role.TEXT, matrix(4, 8), traits=frozenset({"moe-block"})),
    site("tower.0.q", Kind.LINEAR, Role.VISION, matrix(16, 4)),
    site("bridge", Kind.LINEAR, Role.PROJECTOR, matrix(8, 16)),
    site("lm_head", Kind.HEAD, Role.HEAD, matrix(100, 8, tied_to="embed.weight")),
)


def test_a_site_knows_its_place_and_size() -> None:
    query = SITES[1]
    assert (query.parent, query.leaf, query.size) == ("layers.0", "q", 72)
    assert (site("embed").parent, site("embed").leaf) == ("", "embed")
    assert SITES[-1].size == 0, "a tied weight counts where it was first seen"


def test_a_site_names_its_parameters() -> None:
    assert SITES[1].parameters == ("layers.0.q.weight", "layers.0.q.bias")
    assert SITES[3].parameters == ("layers.0.experts.up",)
    assert site("", Kind.OTHER, Role.TEXT, matrix(2)).parameters == ("weight",)


def test_an_index_alone_is_no_name() -> None:
    assert [site(path).name for path in ("embed", "layers.0.q", "head.1", "1")] == ["embed", "q", "head.1", "1"]


@pytest.mark.parametrize(
    ("scope", "total"),
    [(Scope.TEXT, 64 + 192), (Scope.VISION, 64), (Scope.AUDIO, 0), (Scope.ALL, 64 + 192 + 64 + 128)],
)
def test_coverage_is_of_the_matrices_in_scope(scope: Scope, total: int) -> None:
    blueprint = Blueprint(MODEL, SITES, scope)
    every = [found.path for found in SITES]
    assert blueprint.coverage([]) == 0.0
    assert blueprint.coverage(every) == (1.0 if total else 0.0)
    if scope is Scope.TEXT:
        assert blueprint.coverage(["layers.0.q", "layers.0.router", "no.such.place"]) == 64 / total


@pytest.mark.parametrize(
    ("scope", "outside"),
    [
        (Scope.TEXT, ["tower.0.q", "bridge"]),
        (Scope.VISION, ["layers.0.q", "bridge"]),
        (Scope.AUDIO, ["layers.0.q", "tower.0.q", "bridge"]),
        (Scope.ALL, []),
    ],
)
def test_what_lies_outside_the_scope(scope: Scope, outside: list[str]) -> None:
    adapted = ["embed", "layers.0.q", "tower.0.q", "bridge", "lm_head", "no.such.place"]
    assert [found.path for found in Blueprint(MODEL, SITES, scope).outside(adapted)] == outside


def test_select_joins_its_conditions() -> None:
    blueprint = Blueprint(MODEL, SITES)
    assert blueprint.select() == SITES
    assert [s.path for s in blueprint.select(Kind.LINEAR, Kind.NORM, role=Role.TEXT)] == ["layers.0.q", "layers.0.norm"]
    assert [s.path for s in blueprint.select(trait="moe-block")] == ["layers.0.router"]
    assert [s.path for s in blueprint.select(where=lambda s: s.is_parameter)] == ["layers.0.experts.up"]
    assert blueprint.select(Kind.WRAPPER) == ()


def test_the_plan_of_the_user_is_the_only_one_that_counts() -> None:
    stock, own = Trial(Plan("all-linear")), Trial(Plan("own"))
    assert Blueprint(MODEL, SITES, stock=(stock,)).trials == (stock,)
    assert Blueprint(MODEL, SITES, stock=(stock,), plan=own).trials == (own,)


@given(
    st.lists(
        st.builds(
            site,
            st.from_regex(r"[ab]\.[0-3]\.[qk]", fullmatch=True),
            st.sampled_from([Kind.LINEAR, Kind.NORM]),
            st.sampled_from([Role.TEXT, Role.VISION]),
        ),
        unique_by=lambda found: found.path,
    )
)
def test_folding_sites_keeps_each_once_among_its_like(sites: list[Site]) -> None:
    folds = fold_sites(sites)
    assert sorted(path for fold in folds for path in fold.paths) == sorted(found.path for found in sites)
    for fold in folds:
        assert {(s.type, s.kind, s.role) for s in fold.sites} == {(fold.type, fold.kind, fold.role)}
        assert fold.count == len(fold.paths)
