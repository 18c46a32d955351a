"""The docstring at the head of a patch file: what it is for, how to use it, what is exact and what is not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from archlint import __version__
from archlint.core.blueprint import ModelInfo
from archlint.core.safety import Safety
from archlint.core.surgery import Difference, Effect, Way
from archlint.report.surgery import figure
from archlint.surgery.option import Option

_WIDTH = 88
_TITLES: Mapping[Way, str] = {
    Way.UNWRAP: "Put the linears that stand in wrappers in the wrappers' places, and back.",
    Way.KEEP: "Put linears that compute what their wrappers do in the wrappers' places, and back.",
    Way.REGISTER: "Have PEFT adapt the linears inside wrappers, by the wrappers' names.",
    Way.SPLIT: "Split fused projections into linears with names of their own, and fuse them again.",
    Way.EXPERTS: "Turn stacked experts into linears with names of their own, and stack them again.",
    Way.SHIELD: "Keep adapters off layers that look like a linear and are none, and back.",
}
_SURGERY = """\
    unwrap(model)
    model = get_peft_model(model, LoraConfig(target_modules=[{targets}]))
    ...  # train
    model = rewrap(model.merge_and_unload())
    model.save_pretrained(folder)  # with the keys of the original"""
_REGISTRATION = """\
    config = register(LoraConfig(target_modules=[{targets}]), model)
    model = get_peft_model(model, config)
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
    counts = [f"{len(option.operation.sites)} {option.operation.sites[0].type.name}" for option in options]
    where = model.class_name if model.id in ("", model.class_name) else f"{model.class_name} ({model.id})"
    used = [f"{name} {version}" for name, version in versions.items() if version is not None]
    yield _wrapped(
        f"Made by archlint {__version__} for {where}, which has {_listed(counts)}; tried with {_listed(used)}."
    )
    names = dict.fromkeys(name for option in options for name in _targets(option))
    shown = ", ".join(f'"{name}"' for name in list(names)[:3]) + (", ..." if len(names) > 3 else "")
    yield (_REGISTRATION if way is Way.REGISTER else _SURGERY).format(targets=shown)
    for option in options:
        effect = option.operation.effect
        assert effect is not None  # else there is no patch
        of = f"{option.operation.sites[0].type.name}: " if len(options) > 1 else ""
        yield _wrapped(of + " ".join([*_effects(effect), *option.notes]))
    yield _wrapped(_demand(way, options))


def _targets(option: Option) -> Iterator[str]:
    """What a plan would name."""
    for site in option.operation.sites:
        for target in option.target.split(","):
            yield target.format(site.leaf).rpartition(".")[2]


def _effects(effect: Effect) -> Iterator[str]:
    yield f"Forward: {_told(effect.forward, 'the outputs of the original')}."
    if effect.training.safety is not effect.forward.safety:
        yield f"In training mode: {_told(effect.training, 'the outputs of the original')}."
    yield f"Merged and rewrapped: {_told(effect.merged, 'those of the trained model', rounded=True)}."


def _told(difference: Difference, others: str, *, rounded: bool = False) -> str:
    if difference.safety is Safety.EXACT:
        return "exact, up to rounding" if rounded else "exact, bit for bit in float32 and bfloat16"
    return f"lossy, outputs differ from {others} by up to {figure(difference)} of their standard deviations"


def _demand(way: Way, options: Sequence[Option]) -> str:
    if way is Way.REGISTER:
        return (
            "The saved adapter names the wrappers, and PEFT does not save what was registered: register "
            "it wherever the adapter is loaded, for evaluation, to resume, or on a server."
        )
    return (
        "An adapter that was trained so needs this file wherever it is loaded, for evaluation, to resume, or "
        "on a server: unwrap the model first. Or give its state dict to to_original(), which has the keys of "
        "the original model, where no patch is needed."
    )


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
