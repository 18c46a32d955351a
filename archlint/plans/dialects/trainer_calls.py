"""Trainers that a script calls, and what they are given there: by the names of transformers' and TRL's classes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archlint.core.training import Trainer
from archlint.plans.dialect import Remark
from archlint.plans.dialects.flat import facts
from archlint.plans.dialects.reading import TRAINER_ARGUMENTS
from archlint.plans.document import COMPUTED, UNREAD, Document, Entry, PlanError, Section
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

_NEAR = 0.85
"""How much alike two arguments are of which one may be meant for the other."""


def trainer_of_script(document: Document) -> tuple[TrainerSettings, Sequence[Remark]]:
    """What the calls of ``document`` say of trainers, and what is not understood of it.

    A script that loads its model by unsloth, or that calls trainers of other names only, trains in a way that nothing
    is known of. ``TrainingArguments`` are also what a trainer of TRL's may be given: SFTTrainer makes its own config
    of all that they say, and so of their defaults (``SFTTrainer.__init__`` of TRL 1.16).

    Raises:
        PlanError: a value is none of its kind.
    """
    names = [section.about.rpartition(".")[2] for section in document.sections]
    trainers = _distinct(_TRAINERS[name] for name in names if name in _TRAINERS) or _distinct(
        _CONFIGS[name] for name in names if name in _CONFIGS
    )
    if any(map(loads_by_unsloth, document.sections)):
        return TrainerSettings(()), ()
    if not trainers:
        others = [section for section, name in zip(document.sections, names, strict=True) if name.endswith("Trainer")]
        remarks = [Remark(it.line, f"archlint does not check for {it.about.rpartition('.')[2]}") for it in others]
        return TrainerSettings(() if others else None), remarks
    configs = [n for n, name in enumerate(names) if _CONFIGS.get(name) in (*trainers, Trainer.TRANSFORMERS)]
    if len(configs) != 1:
        return TrainerSettings(trainers), ()  # none, or one for each of several runs
    (place,) = configs
    section = document.sections[place]
    arguments: dict[str, Any] = {}
    if _CONFIGS[names[place]] is Trainer.TRANSFORMERS and trainers != (Trainer.TRANSFORMERS,):
        arguments["gradient_checkpointing"] = False
    keys: dict[str, tuple[str, ...]] = {}
    remarks = list(_misspelt(section))
    for name, entry in section.entries.items():
        if name in TRAINER_ARGUMENTS and entry.data is not None:
            keys[name] = (name,)
            if entry.data is COMPUTED:
                arguments.pop(name, None)
                remarks.append(Remark(entry.line, f"{name} is computed"))
            else:
                arguments[name] = _taken(document, entry)
    return TrainerSettings(trainers, arguments, keys, place), sorted(remarks, key=lambda remark: remark.line)


def _misspelt(section: Section) -> Iterable[Remark]:
    """The arguments of ``section`` that are none of its trainer's, and close to one that is.

    Others are left alone: they may be those of another version.
    """
    content = facts("trl")
    scripts: Mapping[str, Sequence[str]] = content["scripts"]
    call = section.about.rpartition(".")[2]
    own = scripts.get(_CONFIGS[call].value.removeprefix("trl-"), ())
    foreign = {key for keys in scripts.values() for key in keys}.difference(own)
    known = sorted(frozenset(content["keys"]) - foreign)
    strange = [entry for entry in section.entries.values() if entry.key not in (UNREAD, *content["keys"])]
    for entry in strange:
        if near := difflib.get_close_matches(entry.key, known, 1, _NEAR):
            yield Remark(entry.line, f"{call} has no argument {entry.key}; did you mean {near[0]}?")


def loads_by_unsloth(section: Section) -> bool:
    """Whether it is the call of one of unsloth's loaders: ``FastModel.from_pretrained``."""
    owner, _, call = section.about.rpartition(".")
    return call == "from_pretrained" and owner.rpartition(".")[2].startswith("Fast")


def _distinct(trainers: Iterable[Trainer]) -> tuple[Trainer, ...]:
    return tuple(dict.fromkeys(trainers))


def _taken(document: Document, entry: Entry) -> Any:
    """The value of an argument.

    Raises:
        PlanError: it is none of its kind.
    """
    try:
        return TRAINER_ARGUMENTS[entry.key](entry.data)
    except ValueError as error:
        shown = json.dumps(entry.data, ensure_ascii=False, default=repr)[:60]
        raise PlanError(f"{document.path}:{entry.line}: {entry.key} must be {error}, not {shown}") from error
