"""ARC703: models that are something else without a cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from archlint import Example
from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Location, Severity
from archlint.core.trial import Baseline, Crash, Ground
from archlint.rules.trainers.cache_dependent import CacheDependent
from archlint.testing import examine

CRASH = Crash("AttributeError", "no attribute 'k_proj'", "own.py", 7, "layers.1")


def with_baseline(**found: Any) -> Blueprint:
    return dataclasses.replace(examine(Example("toy:running.CacheSharing")), baseline=Baseline(Ground.META, **found))


def test_layers_that_share_through_the_cache_compute_something_else_without(toy: Callable[[str], Any]) -> None:
    import torch

    model, ids = toy("running.CacheSharing"), torch.arange(3)[None]
    assert not torch.allclose(model(ids, use_cache=True), model(ids, use_cache=False))


def test_layers_with_nothing_of_their_own_raise_without(toy: Callable[[str], Any]) -> None:
    import torch

    model, ids = toy("running.CacheBound"), torch.arange(3)[None]
    model(ids, use_cache=True)
    with pytest.raises(AttributeError, match="k_proj"):
        model(ids, use_cache=False)


def test_a_crash_without_a_cache_is_an_error() -> None:
    (finding,) = CacheDependent().check(with_baseline(cache=CRASH))
    assert (finding.severity, finding.evidence) == (Severity.ERROR, Evidence.FORWARDED)
    assert "without a cache CacheSharing raises AttributeError: no attribute 'k_proj' (own.py:7)" in finding.message
    assert finding.location == Location("own.py", 7)


def test_modules_that_only_run_without_a_cache_are_a_warning() -> None:
    cached = ("layers.1.k_proj", "layers.1.v_proj")
    (finding,) = CacheDependent().check(with_baseline(cached=cached))
    assert (finding.severity, finding.evidence) == (Severity.WARNING, Evidence.FORWARDED)
    assert [fold.pattern for fold in finding.sites] == ["layers.1.{k,v}_proj"]


def test_the_same_with_and_without_is_silent() -> None:
    assert list(CacheDependent().check(with_baseline())) == []


def test_the_known_case_is_stated_by_version() -> None:
    assert "transformers before 5.5.2" in CacheDependent.documentation().sections["Why it matters"]
