"""ARC904: a comment without effect is told at its line."""

from __future__ import annotations

from archlint.core.blueprint import Blueprint, ModelInfo
from archlint.core.finding import Location, Severity
from archlint.rules.tool.unused_suppression import UnusedSuppression


def test_it_is_at_the_line_of_the_comment_and_is_the_same_at_another() -> None:
    finding = UnusedSuppression().useless(Location("/own/modeling.py", 12), "it suppresses nothing")
    moved = UnusedSuppression().useless(Location("/own/modeling.py", 40), "it suppresses nothing")
    assert (finding.code, finding.severity, finding.unchecked) == ("ARC904", Severity.INFO, False)
    assert finding.location == Location("/own/modeling.py", 12)
    assert finding.fingerprint == moved.fingerprint


def test_the_blueprint_alone_tells_nothing_of_comments() -> None:
    assert list(UnusedSuppression().check(Blueprint(ModelInfo("name", "object", "Model", "", 1, 1), ()))) == []
