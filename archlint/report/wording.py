"""Numbers and outcomes in words: said the same way wherever a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

from archlint.core.blueprint import Scope
from archlint.core.finding import Edit, Finding, Location, PlanLine, Severity
from archlint.core.report import Report, Run
from archlint.core.suppression import Suppressed
from archlint.core.training import Trained
from archlint.core.trial import Ground, Trial
from archlint.core.verdicts import Flaw, Verdict
from archlint.report.quoting import gist, one_line, visible

_MAGNITUDES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
_BYTES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_LONGEST_QUOTE = 200


def plural(count: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def line(at: PlanLine | Edit | Location) -> str:
    """A line of the user's file: ``train.yml:14``."""
    return f"{visible(at.file)}:{at.line}"


def own_line(finding: Finding) -> str:
    """The line of the user's file that says what ``finding`` is about, in brackets; empty where none does."""
    at = finding.plan_line or (finding.location if not finding.sites else None)
    return "" if at is None else f" ({line(at)})"


def suppressed(one: Suppressed) -> str:
    """A finding that does not count, and why."""
    finding, reason = one.finding, one_line(one.reason) or "no reason is given"
    return f"{visible(finding.code)} {visible(finding.name)} at {line(one.location)}: {reason}"


def magnitude(count: int) -> str:
    """A number of parameters in three digits: ``5.10 B``, ``671 B``, ``82.1 M``."""
    return _in_three_digits(count, _MAGNITUDES)


def size(count: int) -> str:
    """A number of bytes in three digits, by powers of ten: ``160 MB``."""
    return _in_three_digits(count, _BYTES) if count >= 1000 else f"{count} bytes"


def _in_three_digits(count: int, units: Sequence[tuple[int, str]]) -> str:
    for unit, letter in units:
        if count >= unit:
            value = count / unit
            return f"{value:.{max(0, 3 - len(str(int(value))))}f} {letter}"
    return str(count)


def portion(part: float) -> str:
    """A share of one in per cent, in two digits however small it is: ``0.029 %``."""
    return f"{part * 100:.2g} %"


def share(part: float) -> str:
    """A share of one in per cent; only what is all of it says ``100 %``, and only nothing says ``0 %``."""
    if part in (0, 1):
        return f"{part:.0%}".replace("%", " %")
    return f"{min(max(part * 100, 0.1), 99.9):.1f} %"


def weights(scope: Scope) -> str:
    """What coverage is a share of."""
    return "the projection weights" if scope is Scope.ALL else f"the {scope.value} weights"


def injection(trial: Trial, scope: Scope) -> str:
    """What PEFT did with a plan."""
    if trial.raised is not None:
        return gist(f"raises {trial.raised}", _LONGEST_QUOTE)
    reach = f"{plural(len(trial.adapted), 'adapter')} on {share(trial.coverage)} of {weights(scope)}"
    return f"{reach}, {trial.outside or 'none'} elsewhere"


def execution(trial: Trial) -> str:
    """Whether the adapted model was run, and what came of it."""
    if trial.forward == "unavailable":
        return "forward and backward not run"
    if trial.forward == "crashed":
        return gist(f"the training step crashes: {trial.crash}", _LONGEST_QUOTE)
    ran = "forward and backward run" + (" on a small copy" if trial.ground is Ground.COPY else "")
    if not trial.dead:
        return f"{ran}, every adapter gets a gradient"
    if len(trial.dead) == len(trial.adapted):
        return f"{ran}, no adapter gets a gradient"
    return f"{ran}, {plural(len(trial.dead), 'adapter')} without a gradient"


def outcome(trial: Trial, scope: Scope) -> str:
    """What a plan came to: injected, and run where it was."""
    done = injection(trial, scope)
    return done if trial.raised is not None else f"{done}; {execution(trial)}"


_STATUSES = {"unknown": "not known, or not whether its loss is the model's own"}
_FLAWS = {
    Flaw.LOSS: "its loss is not the model's own",
    Flaw.SCALE: "its loss is too large where batches are accumulated",
    Flaw.ADAPTERS: "some adapters get no gradient",
    Flaw.OTHER: "there is a warning",
}


def verdict(found: Verdict) -> str:
    """What a trainer makes of the model: ``TRL 1.16.0: raises (ARC706)``."""
    says = _STATUSES.get(found.status, found.status)
    if found.status == "differs":
        says = ", and ".join(["runs", *(_FLAWS[flaw] for flaw in found.flaws)])
    if not found.version:
        return says
    package = "TRL " if found.trainer.is_trl else ""
    known = "" if found.is_installed else " (not installed, the newest known)"
    codes = f" ({', '.join(found.codes)})" if found.codes else ""
    return f"{package}{found.version}{known}: {says}{codes}{_excuse(found)}"


def _excuse(found: Verdict) -> str:
    """Why a trainer that raises is no error."""
    if not found.takes:
        return ""
    name = found.trainer.value
    return f": an info, as it is trained on {visible(found.takes)} and not on text; --trainer {name} makes it an error"


def trial_of(trained: Trained) -> str:
    """What came of real steps of a trainer."""
    if trained.reason:
        return f"not tried: {trained.reason}"
    if trained.raised is not None:
        return gist(f"raises {trained.raised}", _LONGEST_QUOTE)
    losses = ", ".join(f"{loss:.4g}" for loss in trained.losses)
    dead = plural(len(trained.dead), "adapter") + " without a gradient" if trained.dead else "every adapter trained"
    return f"{plural(len(trained.losses), 'step')} on a small copy, loss {losses}, {dead}"


def occasion(report: Report) -> str:
    """On what batch adapters were tried, where that is worth a word."""
    return " on text alone" if report.scope is Scope.TEXT else ""


def tally(run: Run) -> str:
    """``1 error, 4 infos, 1 not checked, 2 suppressed, 3 known``; what there is none of is left out."""
    parts = [plural(count, severity.value) for severity in Severity if (count := run.count(severity))]
    if run.unchecked:
        parts.append(f"{run.unchecked} not checked")
    elif not any(run.count(severity) for severity in (Severity.ERROR, Severity.WARNING)):
        parts.insert(0, "clean")
    if count := sum(len(report.suppressed) for report in run.reports):
        parts.append(f"{count} suppressed")
    if count := sum(report.known for report in run.reports):
        parts.append(f"{count} known")
    return ", ".join(parts)
