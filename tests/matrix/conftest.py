"""Outcomes of stacks, and an installer that installs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archlint.core.blueprint import ModelInfo
from archlint.core.finding import Finding, FoldedSites, Severity
from archlint.core.report import Environment, Report, Run, Unchecked
from archlint.matrix import Outcome, stack
from archlint.matrix.installing import Installer

Made = Callable[..., Outcome]
MODEL = ModelInfo("org/m", "hub", "Net", "net", 10, 3)
SITES = FoldedSites("layers.{0..1}.q_proj", 2, "Wrapper", "wrapper", "text")


def finding(word: str) -> Finding:
    """``ARC101 error`` at two sites, or behind ``@`` at others; one of a message, not of sites, with ``!``."""
    code, severity, *rest = word.split()
    place = next((part[1:] for part in rest if part.startswith("@")), SITES.pattern)
    message = next((part[1:] for part in rest if part.startswith("!")), "")
    sites = () if message else (FoldedSites(place, 2, "Wrapper", "wrapper", "text"),)
    return Finding(code, "some-name", Severity(severity), message or "it is so", "why", sites=sites)


@pytest.fixture
def outcome() -> Made:
    """What archlint says with a stack of ``m``, or of the sources given by name."""

    def make(
        asked: str, *found: str, unchecked: str = "", reason: str | None = None, versions: dict[str, str] | None = None
    ) -> Outcome:
        wanted = stack(asked)
        pinned = {package: wanted.pinned(package) or "" for package in wanted.packages}
        gaps = (Unchecked("the step", unchecked),) if unchecked else ()
        report = Report("m", MODEL, findings=tuple(map(finding, found)), unchecked=gaps)
        if reason is not None:
            return Outcome(wanted, versions or {}, reason=reason)
        return Outcome(wanted, {**pinned, **(versions or {})}, (Run(Environment("3.11.7"), (report,)),))

    return make


@pytest.fixture
def stub(tmp_path: Path) -> Callable[[str], Installer]:
    """An installer that is a shell script, which gets ``--python PATH REQUIREMENT…``."""

    def make(script: str) -> Installer:
        path = tmp_path / "installer"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return Installer((str(path), "--python", "{python}"))

    return make
