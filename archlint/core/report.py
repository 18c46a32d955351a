"""What a run gives back. Renderers read these types and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archlint.core.blueprint import ModelInfo, Scope
from archlint.core.custom_code import OwnCode
from archlint.core.finding import Finding, FoldedSites, LeftOut, Severity
from archlint.core.suppression import Suppressed
from archlint.core.training import Training, needed_together
from archlint.core.trial import Trial
from archlint.core.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Something that could not be checked, and why: never the same as clean."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Dying:
    """Sites whose adapters get no gradient in training, and the plan that puts them there."""

    plan: str
    sites: tuple[FoldedSites, ...]

    @property
    def count(self) -> int:
        """Number of sites."""
        return sum(fold.count for fold in self.sites)


class FindingsError(Exception):
    """A report is not ok; the message is the report, and ``report`` holds it."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report = report


@dataclass(frozen=True, slots=True)
class Environment:
    """Versions that a result depends on; ``None`` where a package is not installed."""

    python: str
    torch: str | None = None
    transformers: str | None = None
    accelerate: str | None = None
    peft: str | None = None
    trl: str | None = None


@dataclass(frozen=True, slots=True)
class Adapted:
    """Sites that the user's plan adapts, and their share of the model's parameters."""

    sites: FoldedSites
    share: float


@dataclass(frozen=True, slots=True)
class Part:
    """Sites of the census, those alone or those without that a plan adapts."""

    sites: FoldedSites
    parameters: int
    """Of all of them together, tied ones counted where first seen."""
    recipe: bool = False
    """Whether the recipe adapts them."""
    plan: bool | None = None
    """Whether the user's plan does; ``None`` where there is none."""
    recipe_saves: bool = False
    """Whether ``modules_to_save`` of the recipe trains them in full."""
    plan_saves: bool = False
    """Whether that of the user's plan does."""


@dataclass(frozen=True, slots=True)
class Report:
    """What archlint says about one source."""

    source: str
    model: ModelInfo | None = None
    scope: Scope = Scope.TEXT
    findings: tuple[Finding, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    """What comments in the model's own code suppress. It counts for nothing."""
    known: int = 0
    """Number of findings that are not among them, as a baseline has them."""
    recipe: Trial | None = None
    """The best plan found, with its trial; ``None`` where nothing could be proposed."""
    left_out: tuple[LeftOut, ...] = ()
    """What the recipe does not adapt, though it belongs to what is to be trained."""
    training: Training = field(default_factory=Training)
    """What was found out for the trainers that it was checked for."""
    verdicts: tuple[Verdict, ...] = ()
    """What these make of the model."""
    dying: tuple[Dying, ...] = ()
    """Adapters of the plans tried that get no gradient on the batch for the scope."""
    plan: Trial | None = None
    adapts: tuple[Adapted, ...] = ()
    """Where the user's plan puts adapters."""
    stock: tuple[Trial, ...] = ()
    modules: tuple[Part, ...] = ()
    """All of the model, by class and place."""
    unchecked: tuple[Unchecked, ...] = ()
    own_code: OwnCode | None = None
    """What was done with the repository's own code; ``None`` where there is none that is needed."""
    notes: tuple[str, ...] = ()
    """What the reader should know of how this came about, such as that a family's representative was taken."""
    seconds: float = 0.0

    def __str__(self) -> str:
        """One line a finding, below one that sums up."""
        lines = [f"{self.source}: {self.status} ({', '.join(self._counts()) or 'nothing found'})"]
        lines += [f"{f.severity.value} {f.code} {f.name}: {f.message}" for f in self.findings]
        lines += [f"suppressed {f.code} {f.name}: {f.message}" for f in (one.finding for one in self.suppressed)]
        lines += [f"unchecked {item.what}: {item.why}" for item in self.untold]
        if self.recipe is not None:
            lines.append(f"recipe {dict(self.recipe.plan.lora)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        """What it is about and how it went, in one line; ``str()`` has the findings."""
        name = self.model.class_name if self.model is not None else self.source
        return f"<Report {name}: {', '.join(self._counts()) or 'nothing found'}; {'ok' if self.ok else 'not ok'}>"

    def _counts(self) -> Iterator[str]:
        for severity in Severity:
            if count := len(self.of(severity)):
                yield f"{count} {severity.value}{'s' * (count > 1)}"
        if self.unchecked:
            yield f"{len(self.unchecked)} not checked"

    @property
    def ok(self) -> bool:
        """Whether everything was checked, and neither an error nor a warning was found."""
        return self.status == "clean"

    def raise_for_findings(
        self, severity: Severity | str = Severity.WARNING, *, allow_unchecked: bool = False
    ) -> Report:
        """Raise where the report is not ok; give it back otherwise.

        Args:
            severity: the mildest finding to raise for: ``error``, ``warning`` or ``info``.
            allow_unchecked: whether it is fine that something could not be checked, such as the training step of
                a model with packed weights.

        Raises:
            FindingsError: a finding is as bad, or something could not be checked.
            ValueError: no such severity.
        """
        worst = Severity(severity).rank
        bad = any(finding.severity.rank <= worst and not finding.unchecked for finding in self.findings)
        if bad or (self.unchecked and not allow_unchecked):
            raise FindingsError(self)
        return self

    @property
    def trainer(self) -> Mapping[str, Any] | None:
        """Arguments that the trainers it was checked for need beside the recipe, all of them together.

        ``None`` where one of them cannot train the model whatever it is given.
        """
        return needed_together(verdict.needs for verdict in self.verdicts)

    @property
    def status(self) -> str:
        """``unchecked`` where something could not be checked, else ``findings`` (error or warning) or ``clean``."""
        if self.unchecked:
            return "unchecked"
        return "clean" if all(f.severity is Severity.INFO for f in self.findings) else "findings"

    @property
    def untold(self) -> tuple[Unchecked, ...]:
        """What could not be checked, less that which a finding says in the same words."""
        told = [finding.message for finding in self.findings if finding.unchecked]
        return tuple(item for item in self.unchecked if not any(item.why in message for message in told))

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity is severity)


@dataclass(frozen=True, slots=True)
class Run:
    """All reports of one call."""

    environment: Environment
    reports: tuple[Report, ...] = ()
    created: str | None = None
    """When it ended: a date and time of ISO 8601 in UTC; ``None`` where nobody wrote it down."""

    @property
    def findings(self) -> Iterator[Finding]:
        return (finding for report in self.reports for finding in report.findings)

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def unchecked(self) -> int:
        return sum(len(report.unchecked) for report in self.reports)

    def exit_code(self, fail_on: Severity | None) -> int:
        """1 where a finding is at or above ``fail_on`` (never, where that is ``None``), else 3 or 0.

        3 means that something could not be checked.
        """
        judged = (finding for finding in self.findings if not finding.unchecked)
        if fail_on is not None and any(finding.severity.rank <= fail_on.rank for finding in judged):
            return 1
        return 3 if self.unchecked else 0
