"""The docstring at the head of a patch file: what it is for, how to use it, what is exact and what is not."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from archlint import __version__
from archlint.core.blueprint import ModelInfo
from archlint.core.runs import owner
from archlint.core.safety import Safety
from archlint.core.surgery import Difference, Effect, Way
from archlint.surgery.option import Option

_WIDTH = 88
_TITLES: Mapping[Way, str] = {
    Way.UNWRAP: "Put the linears that stand in wrappers in the wrappers' places, and back.",
    Way.KEEP: "Put linears that compute what their wrappers do in the wrappers' places, and back.",
    Way.REGISTER: "Have PEFT adapt the linears inside wrappers, by the wrappers' names.",
    Way.SPLIT: "Split fused projections into linears with names of their own, and fuse them again.",
    Way.EXPERTS: "Turn stacked experts into linears with names of their own, and stack them again.",
    Way.SHIELD: "Give layers that look like a linear and are none a linear of their own, and back.",
}
_SURGERY = """\
    unwrap(model)
    config = LoraConfig(target_modules={targets})  # or another plan
    model = get_peft_model(model, config)
    ...  # train
    model = rewrap(model.merge_and_unload())
    model.save_pretrained(folder)  # with the keys of the original"""
_REGISTRATION = """\
    config = LoraConfig(target_modules={targets})  # or another plan
    model = get_peft_model(model, register(config, model))
    ...  # train, save
    config = register(LoraConfig.from_pretrained(folder), model)
    model = PeftModel.from_pretrained(model, folder, config=config)"""


def header(options: Sequence[Option], model: ModelInfo, versions: Mapping[str, str | None]) -> str:
    """The docstring of a file that holds ``options``, all of one way; without its quotes.

    Args:
        versions: of the libraries that it was tried with; those that are not there are left out.
    """
    return "\n\n".join(_paragraphs(options, model, versions))


def _paragraphs(options: Sequence[Option], model: ModelInfo, versions: Mapping[str, str | None]) -> Iterator[str]:
    way = options[0].operation.way
    yield _TITLES[way]
    counts = Counter[str]()
    for option in options:
        counts[option.operation.sites[0].type.name] += len(set(map(owner, option.operation.sites)))
    where = model.class_name if model.id in ("", model.class_name) else f"{model.class_name} ({model.id})"
    used = [f"{name} {version}" for name, version in versions.items() if version is not None]
    fused = "fused " if way is Way.SPLIT else ""
    held = _listed([f"{count} {fused}{name}" for name, count in counts.items()])
    tried = f"; tried with {_listed(used)}" if used else ""
    yield _wrapped(f"Made by archlint {__version__} for {where}, which has {held}{tried}.")
    yield (_REGISTRATION if way is Way.REGISTER else _SURGERY).format(targets=_shown(options))
    told = Counter[str]()
    for option in options:
        effect = option.operation.effect
        assert effect is not None  # else there is no patch
        told[" ".join(_effects(effect, way))] += 1
    notes = list(dict.fromkeys(note for option in options for note in option.notes))
    if len(told) == 1:
        yield _wrapped(" ".join([*told, *notes]))
    else:
        for option in options:
            assert option.operation.effect is not None  # as above
            yield _wrapped(f"{option.operation.sites[0].type.name}: {' '.join(_effects(option.operation.effect, way))}")
        yield from map(_wrapped, notes)
    yield _wrapped(_demand(way, options))


def _shown(options: Sequence[Option]) -> str:
    """What a plan would name: what the file says of it, an expression where names differ by number, or all linears."""
    if any(hasattr(template, "targets") for template in options[0].templates):
        return "targets(model)"
    names = {name for option in options for name in _targets(option)}
    alike = {name.rstrip("0123456789") for name in names}
    return rf'r".*\.{alike.pop()}\d+"' if len(alike) == 1 < len(names) else '"all-linear"'


def _targets(option: Option) -> Iterator[str]:
    for site in option.operation.sites:
        for target in filter(None, option.target.split(",")):
            yield target.replace("{}", site.leaf).rpartition(".")[2]


def _effects(effect: Effect, way: Way) -> Iterator[str]:
    rounded = way in (Way.SPLIT, Way.EXPERTS)
    yield f"Forward: {_told(effect.forward, 'those of the original', rounded=rounded)}."
    if effect.training != effect.forward:
        yield f"In training mode: {_told(effect.training, 'those of the original')}."
    merged = "Plain LoRA, merged" if way is Way.REGISTER else "Plain LoRA, merged and rewrapped"
    yield f"{merged}: {_told(effect.merged, 'those of the trained model', rounded=True)}."


def _told(difference: Difference, others: str, *, rounded: bool = False) -> str:
    if difference.safety is Safety.EXACT:
        return "exact, up to rounding" if rounded else "exact, bit for bit in float32 and bfloat16"
    return f"lossy, outputs differ from {others} by up to {difference.figure} of their standard deviations"


def _demand(way: Way, options: Sequence[Option]) -> str:
    if way is Way.REGISTER:
        return (
            "The saved adapter names the wrappers, and PEFT does not save what was registered: register "
            "it wherever the adapter is loaded, for evaluation, to resume, or on a server."
        )
    lossy = any(
        option.operation.effect.merged.safety is Safety.LOSSY and not option.is_shared
        for option in options
        if option.operation.effect
    )
    there = "there its outputs differ as they do once merged" if lossy else "there it computes the same"
    return (
        "An adapter that was trained on the unwrapped model needs this file wherever it is loaded, for evaluation, "
        "to resume, or on a server: unwrap the model first. Or convert it: to_original() gives its weights the names "
        "that they have on the original, original_config() its adapter_config.json, and the original needs no patch; "
        f"{there}. Make the optimizer after unwrap(), and save the whole model after rewrap()."
    )


def _listed(words: Sequence[str]) -> str:
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} and {words[-1]}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
