"""What each trainer makes of a model: by what was found out of it, whichever rules were selected to tell that."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archlint.core.blueprint import Facts
from archlint.core.finding import Finding, Severity
from archlint.core.training import Trainer, Training
from archlint.core.trial import Trial

_TEXT = "input_ids"


class Flaw(str, enum.Enum):
    """What is not as it should be where a trainer runs."""

    LOSS = "loss"
    """It is not the model's own."""
    SCALE = "scale"
    """The loss is too large by the number of accumulated batches."""
    ADAPTERS = "adapters"
    """Some that the model's own loss trains get no gradient."""
    OTHER = "other"
    """What a rule says that is none of these."""


_TOLD_BY = {"ARC701": Flaw.LOSS, "ARC707": Flaw.LOSS, "ARC708": Flaw.SCALE, "ARC709": Flaw.ADAPTERS}
"""The rules that say so."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one trainer makes of the model."""

    trainer: Trainer
    version: str
    """Of the package that it is from, whose behaviour is told."""
    is_installed: bool
    """Whether that version is installed; otherwise it is the newest one known."""
    status: str
    """``runs``, ``differs`` (it runs, with the ``flaws``), ``raises`` or ``unknown``."""
    codes: tuple[str, ...] = ()
    """Of the findings that say why it does not just run, as far as their rules were selected."""
    flaws: tuple[Flaw, ...] = ()
    """Of what ``differs``."""
    takes: str = ""
    """The model's main input, where it raises over a model that is trained on no text: nobody named it for that."""
    needs: Mapping[str, Any] | None = field(default_factory=dict)
    """The arguments with which it runs where it does not without; ``None`` where no argument helps."""


@dataclass(frozen=True, slots=True)
class Known:
    """What verdicts go by."""

    training: Training
    facts: Facts
    trials: Sequence[Trial]
    """Of the user's plan, or else of the stock plans."""
    tried: Trial | None
    """The one that real steps were tried with, where they were: the user's plan, or else the recipe."""
    findings: Sequence[Finding]


def verdicts(known: Known, transformers: str | None) -> Iterator[Verdict]:
    """What each of the trainers that the model was checked for makes of it.

    Args:
        known: what was found out.
        transformers: its installed version.
    """
    training = known.training
    for trainer in training.trainers:
        version, is_installed = (training.trl, training.is_installed) if trainer.is_trl else (transformers, True)
        yield _verdict(trainer, known, version or "", is_installed=is_installed)


def _verdict(trainer: Trainer, known: Known, version: str, *, is_installed: bool) -> Verdict:
    training = known.training
    found = [finding for finding in known.findings if trainer in finding.trainers]
    bad = [finding for finding in found if finding.severity is not Severity.INFO]
    flaws = tuple(dict.fromkeys((*_flaws(trainer, known), *(_TOLD_BY.get(f.code, Flaw.OTHER) for f in bad))))
    takes = ""
    if _raises(trainer, known) or any(finding.severity is Severity.ERROR for finding in bad):
        status = "raises"
        if trainer in training.fusing and training.fused is not None and not training.are_named:
            takes = known.facts.main_input if known.facts.main_input != _TEXT else ""
    elif _is_unknown(trainer, training):
        status = "unknown"
    else:
        status = "differs" if flaws else "runs"
    said = bad or (found if status == "raises" else [])
    codes = tuple(dict.fromkeys(finding.code for finding in said))
    shown = flaws if status == "differs" else ()
    return Verdict(trainer, version, is_installed, status, codes, shown, takes, training.needed_by(trainer))


def _raises(trainer: Trainer, known: Known) -> bool:
    training = known.training
    if training.needed_by(trainer) != {}:  # arguments that it does not have, or that there are not
        return True
    if trainer in training.fusing and (training.bare is not None or any(trial.head for trial in known.trials)):
        return True
    trained = training.trained
    return trained is not None and trained.trainer is trainer and trained.raised is not None


def _is_unknown(trainer: Trainer, training: Training) -> bool:
    return (
        training.is_static
        or (trainer.is_trl and bool(training.unknown))
        or (trainer in training.bypassing and bool(training.tail.reason))
    )


def _flaws(trainer: Trainer, known: Known) -> Iterator[Flaw]:
    training, facts = known.training, known.facts
    bypasses = trainer in training.bypassing and training.fused is None
    shifts = bypasses if facts.is_encoder_decoder else trainer is Trainer.TRANSFORMERS
    if (bypasses and training.tail.differs) or (training.loss.shifted is False and facts.is_generative and shifts):
        yield Flaw.LOSS
    accumulates = (training.arguments.get("gradient_accumulation_steps") or 1) != 1
    if trainer is Trainer.TRANSFORMERS and accumulates and training.ignores_count:
        yield Flaw.SCALE
    if (bypasses and any(training.tail.passes_over(trial) for trial in known.trials)) or _leaves(trainer, known):
        yield Flaw.ADAPTERS


def _leaves(trainer: Trainer, known: Known) -> bool:
    """Whether real steps left adapters without a gradient that the model's own loss gives one."""
    trained, tried = known.training.trained, known.tried
    if trained is None or trained.trainer is not trainer or tried is None:
        return False
    return bool(set(trained.dead).difference(tried.dead, tried.saved_dead))
