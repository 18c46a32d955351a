"""Suggestions are close, few, and lead somewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archlint.sources import SourceOptions, resolve, snapshots, suggestions


@pytest.mark.parametrize("snapshot", snapshots.snapshots()[::7], ids=lambda snapshot: snapshot.id)
def test_a_slip_in_a_name_leads_to_it(snapshot: snapshots.Snapshot) -> None:
    organisation, _, repository = snapshot.id.partition("/")
    slip = repository[:-1] + ("x" if repository[-1] != "x" else "y")
    assert len(suggestions.similar_sources(f"{organisation}/{slip}")) in range(1, 4)
    assert suggestions.similar_sources(f"{organisation[:-1]}/{repository}")[0] == snapshot.id
    assert suggestions.similar_sources(snapshot.id.upper())[0] == snapshot.id


@pytest.mark.parametrize("name", ["lama", "Qwen3-9B", "bert-base", "google/gemma-5", "gpt-3"])
def test_what_is_suggested_can_be_resolved(name: str, options: SourceOptions) -> None:
    suggested = suggestions.similar_sources(name)
    assert suggested
    for suggestion in suggested:
        assert resolve(suggestion, replace(options, offline=True)).config


def test_types() -> None:
    assert "mixtral" in suggestions.similar_types("mixtrall")
    assert suggestions.similar_types("qqqqqqqq") == []
