"""Trainers that a script calls, and what they are given there: by the names of transformers' and TRL's classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from archlint.core.training import Trainer
from archlint.plans.dialect import Remark
from archlint.plans.dialects.reading import TRAINER_ARGUMENTS
from archlint.plans.document import COMPUTED, Document, Entry, Section
from archlint.plans.trainer_settings import TrainerSettings

_TRAINERS = {
    "SFTTrainer": Trainer.SFT,
    "DPOTrainer": Trainer.DPO,
    "GRPOTrainer": Trainer.GRPO,
    "KTOTrainer": Trainer.KTO,
    "RewardTrainer": Trainer.REWARD,
    "Trainer": Trainer.TRANSFORMERS,
    "Seq2SeqTrainer": Trainer.TRANSFORMERS,
}
_CONFIGS = {
    "SFTConfig": Trainer.SFT,
    "DPOConfig": Trainer.DPO,
    "GRPOConfig": Trainer.GRPO,
    "KTOConfig": Trainer.KTO,
    "RewardConfig": Trainer.REWARD,
    "TrainingArguments": Trainer.TRANSFORMERS,
    "Seq2SeqTrainingArguments": Trainer.TRANSFORMERS,
}


def trainer_of_script(document: Document) -> tuple[TrainerSettings, Sequence[Remark]]:
    """What the calls of ``document`` say of trainers, and what is not understood of it.

    A script that loads its model by unsloth, or that calls trainers of other names only, trains in a way that nothing
    is known of. ``TrainingArguments`` are also what a trainer of TRL's may be given: SFTTrainer makes its own config
    of all that they say, and so of their defaults (``SFTTrainer.__init__`` of TRL 1.16).
    """
    names = [section.about.rpartition(".")[2] for section in document.sections]
    trainers = _distinct(_TRAINERS[name] for name in names if name in _TRAINERS) or _distinct(
        _CONFIGS[name] for name in names if name in _CONFIGS
    )
    if any(map(loads_by_unsloth, document.sections)):
        return TrainerSettings(()), ()
    if not trainers:
        is_other = any(name.endswith("Trainer") for name in names)
        return TrainerSettings(() if is_other else None), ()
    places = [n for n, name in enumerate(names) if _CONFIGS.get(name) in (*trainers, Trainer.TRANSFORMERS)]
    if len(places) != 1:
        return TrainerSettings(trainers), ()  # none, or one for each of several runs
    (place,) = places
    arguments: dict[str, Any] = {}
    if _CONFIGS[names[place]] is Trainer.TRANSFORMERS and trainers != (Trainer.TRANSFORMERS,):
        arguments["gradient_checkpointing"] = False
    keys: dict[str, tuple[str, ...]] = {}
    remarks: list[Remark] = []
    for name, entry in document.sections[place].entries.items():
        if name in TRAINER_ARGUMENTS and entry.data is not None:
            keys[name] = (name,)
            try:
                arguments[name] = _taken(entry)
            except ValueError as error:
                arguments.pop(name, None)
                remarks.append(Remark(entry.line, str(error)))
    return TrainerSettings(trainers, arguments, keys, place), remarks


def loads_by_unsloth(section: Section) -> bool:
    """Whether it is the call of one of unsloth's loaders: ``FastModel.from_pretrained``."""
    owner, _, call = section.about.rpartition(".")
    return call == "from_pretrained" and owner.rpartition(".")[2].startswith("Fast")


def _distinct(trainers: Iterable[Trainer]) -> tuple[Trainer, ...]:
    return tuple(dict.fromkeys(trainers))


def _taken(entry: Entry) -> Any:
    """The value of an argument.

    Raises:
        ValueError: it is computed, or of another type; the message says which.
    """
    if entry.data is COMPUTED:
        raise ValueError(f"{entry.key} is computed")
    try:
        return TRAINER_ARGUMENTS[entry.key](entry.data)
    except ValueError as error:
        raise ValueError(f"{entry.key} must be {error}") from error
