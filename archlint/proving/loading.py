"""Load a published adapter into its base model as PEFT does, with the names and shapes of its tensors alone."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from archlint.core.checkpoint import PREFIX, AdapterWeights, Mismatch, Shape
from archlint.core.trial import Refusal
from archlint.running import restored

_ADAPTER = "default"
_ADAPTER_PART = re.compile(rf"\.{_ADAPTER}(?=\.|$)")
_MOST_ENTRIES = 8
"""Most entries of a ``key_mapping`` that still explain a renaming."""


class NotLoadableError(Exception):
    """Whether an adapter loads cannot be told here; the message says why, on one line."""


def load(model: nn.Module, settings: Mapping[str, Any], shapes: Mapping[str, Shape], file: str) -> AdapterWeights:
    """What ``PeftModel.from_pretrained`` would do with an adapter on ``model``, which is given back unchanged.

    Args:
        model: the base model on the meta device.
        settings: the content of adapter_config.json.
        shapes: the tensors of the adapter's file.
        file: what the reader knows that file as.

    Raises:
        NotLoadableError: PEFT cannot put the adapter on the meta model, or not load even what it would itself
            save of it.
    """
    loader = _Loader(model, settings)
    found = loader.load(shapes)
    weights = AdapterWeights(
        file,
        len(shapes),
        ignored=found.ignored,
        missing=found.missing,
        mismatched=found.mismatched,
        raised=found.raised,
    )
    if weights.fits:
        return weights
    return dataclasses.replace(
        weights,
        key_mapping=loader.mapping(shapes, found),
        rows=loader.rows(shapes, found.mismatched),
        rank=loader.rank(shapes, found.mismatched),
        prefix=loader.prefix(shapes),
    )


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """What loading came to, in the keys of the file."""

    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    raised: Refusal | None = None

    @property
    def fits(self) -> bool:
        return not (self.ignored or self.missing or self.mismatched or self.raised)


class _Loader:
    """Puts one adapter on a model, as often as it takes."""

    def __init__(self, model: nn.Module, settings: Mapping[str, Any]) -> None:
        self._model = model
        self._settings = settings
        try:
            with self._adapted() as adapted:
                self._expected = _saved(adapted)
                self._places = {name: tuple(value.shape) for name, value in adapted.state_dict().items()}
                # PEFT's own file leaves over what is shared or computed: that is no loss
                self._own = _incompatible(adapted, self._expected)
        except NotLoadableError:
            raise
        except Exception as error:  # PEFT raises whatever its settings lead it to, also for want of values on meta
            raise NotLoadableError(f"PEFT raises without weights: {type(error).__name__}: {_line(error)}") from error

    def load(self, shapes: Mapping[str, Shape], rows: int | None = None) -> _Outcome:
        """What comes of a file with ``shapes``; ``rows`` is a vocabulary to which the model is resized first."""
        with self._adapted(rows) as adapted:
            try:
                ignored, missing = _incompatible(adapted, shapes)
            except Exception as error:  # what PEFT's own file does not raise, this one does
                return self._compared(shapes, Refusal(type(error).__name__, str(error)))
        return _Outcome(
            tuple(key for key in ignored if key not in self._own[0]),
            tuple(_ADAPTER_PART.sub("", key) for key in missing if key not in self._own[1]),
        )

    def _compared(self, shapes: Mapping[str, Shape], refusal: Refusal) -> _Outcome:
        """What does not fit, by names and shapes: PEFT raised before it came to an end."""
        known = {**self._places, **self._expected}
        mismatched = [
            Mismatch(key, shape, known[key]) for key, shape in shapes.items() if known.get(key, shape) != shape
        ]
        return _Outcome(
            tuple(key for key in shapes if key not in known),
            tuple(key for key in self._expected if key not in shapes),
            tuple(mismatched),
            refusal,
        )

    def mapping(self, shapes: Mapping[str, Shape], found: _Outcome) -> dict[str, str]:
        """A ``key_mapping`` of few entries with which the whole file fits; empty where there is none."""
        entries = _renamings(
            {key: shapes[key] for key in shapes if key not in self._expected and key not in self._places},
            {key: shape for key, shape in self._expected.items() if key not in shapes},
        )
        if not entries or not all(key.startswith(PREFIX) for key in shapes):
            return {}
        renamed = {_renamed(key, entries): shape for key, shape in shapes.items()}
        return entries if len(renamed) == len(shapes) and self.load(renamed).fits else {}

    def rows(self, shapes: Mapping[str, Shape], mismatched: tuple[Mismatch, ...]) -> int | None:
        """The size of a vocabulary to which the model is to be resized, where nothing else is wrong."""
        sizes = {clash.file[0] for clash in mismatched if clash.file and clash.file[1:] == clash.model[1:]}
        if len(sizes) != 1 or any(clash.file[1:] != clash.model[1:] for clash in mismatched):
            return None
        (size,) = sizes
        try:
            return size if self.load(shapes, rows=size).fits else None
        except Exception:  # not every class can be resized
            return None

    def rank(self, shapes: Mapping[str, Shape], mismatched: tuple[Mismatch, ...]) -> int | None:
        """The ``r`` with which the whole file fits, where all that differs is one size."""
        pairs = (zip(clash.file, clash.model, strict=False) for clash in mismatched)
        sizes = {file for pair in pairs for file, model in pair if file != model}
        if len(sizes) != 1:
            return None
        (size,) = sizes
        try:
            return size if _Loader(self._model, {**self._settings, "r": size}).load(shapes).fits else None
        except NotLoadableError:  # no rank at all
            return None

    def prefix(self, shapes: Mapping[str, Shape]) -> str:
        """PEFT's own prefix, where every key of the file lacks it and fits with it."""
        if any(key.startswith(PREFIX) for key in shapes):
            return ""
        return PREFIX if self.load({PREFIX + key: shape for key, shape in shapes.items()}).fits else ""

    @contextlib.contextmanager
    def _adapted(self, rows: int | None = None) -> Iterator[nn.Module]:
        """The model with fresh adapters, in inference as ``from_pretrained`` makes them."""
        from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, PeftModel

        with restored(self._model), warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            if rows is not None:
                self._model.resize_token_embeddings(rows, mean_resizing=False)  # type: ignore[operator]
            config = _config(self._settings)
            wrapper = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(config.task_type, PeftModel)
            yield wrapper(self._model, config, _ADAPTER, low_cpu_mem_usage=True)


def _config(settings: Mapping[str, Any]) -> Any:
    """The PEFT config that ``from_pretrained`` makes of ``settings``.

    Raises:
        NotLoadableError: the installed PEFT does not know the type, or the config would fetch or read other files.
    """
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    tuner = settings.get("peft_type")
    cls = PEFT_TYPE_TO_CONFIG_MAPPING.get(tuner) if isinstance(tuner, str) else None  # type: ignore[call-overload]
    if cls is None:
        raise NotLoadableError(f"the installed PEFT has no peft_type {tuner!r}")
    if settings.get("adapters") or settings.get("prompt_tuning_init_state_dict_path"):
        raise NotLoadableError(f"{tuner} reads further files, which is not done here")
    given = {key: value for key, value in settings.items() if key != "runtime_config"}
    if isinstance(given.get("init_lora_weights"), str):  # decides on values, and some compute with the base's
        given["init_lora_weights"] = True
    config = cls.from_peft_type(**cls.check_kwargs(**given))
    config.inference_mode = True
    return config


def _saved(adapted: nn.Module) -> dict[str, Shape]:
    """Keys and shapes of what PEFT would save of ``adapted``."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(adapted, adapter_name=_ADAPTER, save_embedding_layers=False)
    return {key: tuple(value.shape) for key, value in state.items()}


def _incompatible(adapted: nn.Module, shapes: Mapping[str, Shape]) -> tuple[list[str], list[str]]:
    """Keys that PEFT had no use for, and keys that it lacked."""
    from peft import set_peft_model_state_dict

    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    result: Any = set_peft_model_state_dict(adapted, tensors, adapter_name=_ADAPTER)
    return list(result.unexpected_keys), list(result.missing_keys)


def _renamings(file: Mapping[str, Shape], model: Mapping[str, Shape]) -> dict[str, str]:
    """Patterns that turn the keys of ``file`` into those of ``model``, the longest first.

    Each key goes with the one of the same shape and the same indices that shares the most parts with it at the
    end; the change from one to the other holds for all layers alike.
    """
    by_end: dict[str, list[str]] = {}
    for key in model:
        by_end.setdefault(_end(key, 3), []).append(key)
    found: Counter[tuple[str, str]] = Counter()
    for key, shape in file.items():
        same = (other for other in by_end.get(_end(key, 3), ()) if _indices(other) == _indices(key))
        near = [other for other in same if model[other] == shape]
        ranked = sorted(near, key=lambda other: _common_end(key, other), reverse=True)
        if not ranked or (len(ranked) > 1 and _common_end(key, ranked[0]) == _common_end(key, ranked[1])):
            continue
        found[_entry(key.removeprefix(PREFIX), ranked[0].removeprefix(PREFIX))] += 1
    if not found or len(found) > _MOST_ENTRIES:
        return {}
    return dict(sorted(found, key=lambda entry: -len(entry[0])))


def _entry(old: str, new: str) -> tuple[str, str]:
    """The pattern and the replacement that turn ``old`` into ``new``, whose indices are the same."""
    common = _common_end(old, new)
    parts = [name.split(".")[: len(name.split(".")) - common] for name in (old, new)]
    pattern = r"\.".join(r"(\d+)" if part.isdigit() else re.escape(part) for part in parts[0])
    numbers = itertools.count(1)
    replacement = ".".join(rf"\g<{next(numbers)}>" if part.isdigit() else part for part in parts[1])
    rest = old.split(".")[len(parts[0])]
    if not parts[0]:  # a prefix that is new: only before what it belongs to
        return rf"^(?={re.escape(rest)}\.)", f"{replacement}."
    if not parts[1]:  # a prefix that is gone
        return rf"^{pattern}\.", ""
    return rf"^{pattern}(?=\.)", replacement


def _renamed(key: str, entries: Mapping[str, str]) -> str:
    """``key`` by the first pattern that fits, as PEFT's ``load_peft_weights`` does it (0.21.2)."""
    name = key.removeprefix(PREFIX)
    for pattern, replacement in entries.items():
        changed, count = re.subn(pattern, replacement, name)
        if count:
            return PREFIX + changed
    return key


def _indices(key: str) -> list[str]:
    return [part for part in key.split(".") if part.isdigit()]


def _end(key: str, parts: int) -> str:
    return ".".join(key.split(".")[-parts:])


def _common_end(one: str, other: str) -> int:
    """Number of parts that two names share at their end."""
    count = 0
    for a, b in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if a != b:
            break
        count += 1
    return count


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
