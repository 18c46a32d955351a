"""What may be said of a model whose code was read, and of one whose code was run within bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from archlint.core.blueprint import Blueprint
from archlint.core.custom_code import Conduct, Reading
from archlint.core.finding import Evidence, Finding
from archlint.core.report import Unchecked
from archlint.rules.tool.custom_code import CustomCode


def held(findings: Iterable[Finding], reading: Reading | None) -> list[Finding]:
    """``findings`` with no more evidence than there is.

    Of code that was read all is static, and no remedy proven. Where not all of it could be read, what concerns the
    model as a whole, such as a name that it does not have, may be otherwise.
    """
    if reading is None:
        return list(findings)
    return [_held(finding, is_whole=not reading.gaps) for finding in findings]


def _held(finding: Finding, *, is_whole: bool) -> Finding:
    return dataclasses.replace(
        finding,
        evidence=Evidence.STATIC,
        unchecked=finding.unchecked or not (finding.sites or is_whole),
        remedies=tuple(dataclasses.replace(remedy, proven=False) for remedy in finding.remedies),
    )


def unchecked(blueprint: Blueprint) -> Iterator[Unchecked]:
    """What could not be checked for the sake of the repository's own code."""
    reading = blueprint.facts.reading
    if reading is not None:
        yield Unchecked("model", CustomCode.not_run(blueprint.facts.custom_code))
        for gap in reading.gaps:
            yield Unchecked(f"{gap.file}:{gap.line}", gap.why)
    yield from attempts(blueprint.conduct)


def attempts(conduct: Conduct | None) -> Iterator[Unchecked]:
    """What the repository's own code tried: its model need not be the one that is trained."""
    if conduct is not None:
        for remark in conduct.remarks:
            yield Unchecked("the repository's own code", remark.text)
