"""The bundled architectures can be found by every name they have."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from archlint.sources import snapshots

FILES = sorted(Path(str(files("archlint.fixtures") / "snapshots")).glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_found_by_its_name(file: Path) -> None:
    id = file.stem.replace("--", "/")
    snapshot = snapshots.find(id)
    assert snapshot is not None
    assert snapshot.id == id
    assert snapshot.config == json.loads(file.read_text())["config"]
    assert snapshot.config["model_type"]
    assert snapshots.find(id.upper()) is snapshot
    assert all(snapshots.find(other) is snapshot for other in snapshot.also)


def test_all_are_listed() -> None:
    assert [snapshot.id for snapshot in snapshots.snapshots()] == list(snapshots.ids())
    assert len(snapshots.ids()) == len(FILES) > 40


def test_no_name_means_two_things() -> None:
    names = [family.name for family in snapshots.families()]
    for snapshot in snapshots.snapshots():
        names += [snapshot.id, *snapshot.also]
    assert [name for name, count in Counter(map(str.casefold, names)).items() if count > 1] == []


@pytest.mark.parametrize("family", snapshots.families(), ids=lambda family: family.name)
def test_a_family_has_members_that_are_there(family: snapshots.Family) -> None:
    assert family.representative in family.members
    assert set(family.members) <= set(snapshots.ids())
    assert set(family.others) == set(family.members) - {family.representative}
    assert snapshots.family(family.name.upper()) == family


def test_what_is_not_there() -> None:
    assert snapshots.find("google/gemma-0") is None
    assert snapshots.family("google/gemma-0") is None
    assert snapshots.full_name("gemma-0") is None


def test_one_file_is_read_where_one_is_needed() -> None:
    snapshots._read.cache_clear()
    snapshots.find("google/gemma-2-2b")
    assert snapshots._read.cache_info().currsize == 1


def test_the_name_after_the_organisation_is_a_family_before_it_is_a_snapshot() -> None:
    assert snapshots.full_name("Gemma-4") == "google/gemma-4"
    assert snapshots.full_name("gemma-4-e2b-IT") == "google/gemma-4-E2B-it"
