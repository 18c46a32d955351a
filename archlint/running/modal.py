"""Batches with pixels and audio: guesses, by what the forward takes and what the config and the first layers say.

How many placeholder tokens a picture or a sound wants is asked from the model itself, on the meta device.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archlint.core.blueprint import Role
from archlint.running import pixels, sounds
from archlint.running.batch import Batch
from archlint.running.on_meta import runnable
from archlint.running.pixels import Inputs
from archlint.running.restore import restored
from archlint.running.step import forward
from archlint.running.tower import ROWS, Tower, whole
from archlint.survey.roles import Roles

_aten = torch.ops.aten

_TEXT = 16
"""Fewest tokens in a row: no text part of any kind has fewer positions."""
_AROUND = 3
"""Tokens of text before and after each picture or sound."""
_ANSWER = 8
"""Tokens of a decoder, or labels, where the input is no text."""
_TOGETHER = 2
"""Guesses for pixels that are tried with guesses for audio, and the other way round."""
_UNSURE = 24
"""Guesses that are worth a run although the model made no features of them."""

_TYPES = {"image": 1, "video": 2, "audio": 3}
"""The types that transformers' processors give to placeholders; that of text is 0."""
_PLACEHOLDERS = (
    "{}_token_id",
    "{}_token_index",
    "{}_placeholder_token_id",
    "{}_soft_token_id",
    "{}_context_token_id",
    "media_placeholder_token_id",
    "img_context_token_id",
)
"""What configs call the token that stands for one feature of an ``image``, a ``video`` or an ``audio``."""
_PLACES = "image_embeds_position_mask"
"""The input that says where the features of a picture go, in place of placeholders."""
_BRACKETS = {
    "image": (("vision_start", "image_start", "boi"), ("vision_end", "image_end", "eoi")),
    "video": (("vision_start", "video_start", "bov"), ("vision_end", "video_end", "eov")),
    "audio": (("audio_start", "audio_bos", "boa"), ("audio_end", "audio_eos", "eoa")),
}
"""What configs call the tokens before and after those."""


@dataclass(frozen=True)
class _Part:
    """What the pictures or sounds of all rows bring to a batch."""

    tower: Tower
    kind: str
    """``image``, ``video`` or ``audio``."""
    inputs: Inputs
    features: int | None = None
    """How many features the model makes of those of one row; ``None`` where that is not known."""


def modal_batches(model: nn.Module, roles: Collection[Role]) -> Iterator[Batch]:
    """Candidates for batches with the inputs for ``roles``, and with tokens where the class takes them.

    The plainest come first; the first that runs is the one to use. Pixels are ``(rows, channels, height, width)``,
    or what the names of the inputs beside them say; audio is ``(rows, bins, frames)``, ``(rows, frames, bins)`` or
    ``(rows, samples)``. Nothing is yielded where the class takes no such input.
    """
    takes = inspect.signature(type(model).forward).parameters
    places = Roles(model)
    guesses = [
        _parts(model, Tower(model, role, places), name, takes)
        for role, names in ((Role.VISION, pixels.NAMES), (Role.AUDIO, sounds.NAMES))
        if role in roles and (name := _main_input(model, names, takes)) is not None
    ]
    if len(guesses) == 1:
        for part in guesses[0]:
            yield from _batches(takes, [part])
    elif guesses:
        for parts in itertools.product(*(itertools.islice(some, _TOGETHER) for some in guesses)):
            yield from _batches(takes, parts)


def _main_input(model: nn.Module, names: Sequence[str], takes: Collection[str]) -> str | None:
    """The input of ``names`` that the model calls its main one, or else the first that it takes."""
    main = getattr(model, "main_input_name", None)
    return next((name for name in (main, *names) if name in names and name in takes), None)


def _parts(model: nn.Module, tower: Tower, name: str, takes: Collection[str]) -> Iterator[_Part]:
    """Guesses for one modality: those that the model makes features of, or all where it does of none."""
    kind = "audio" if tower.role is Role.AUDIO else "video" if "video" in name else "image"
    guess = sounds.sounds if tower.role is Role.AUDIO else pixels.pictures
    unsure: list[_Part] | None = []
    for inputs in guess(tower, name, takes):
        part = _Part(tower, kind, inputs)
        features = _features(model, part, takes) if "input_ids" in takes else None
        if features is not None:
            unsure = None
            yield replace(part, features=features)
        elif unsure is not None:
            unsure.append(part)
    yield from (unsure or [])[:_UNSURE]


def _features(model: nn.Module, part: _Part, takes: Collection[str]) -> int | None:
    """How many features the model makes of each row's picture or sound; ``None`` where it makes none."""
    method = f"get_{part.kind}_features"
    asked = [getattr(module, method) for module in model.modules() if hasattr(type(module), method)]
    calls = [(ask, _named(part.inputs, ask)) for ask in asked]
    ask, inputs = max(calls, key=lambda call: len(call[1]), default=(None, {}))  # a head passes on what it cannot name
    if ask is None or "input_ids" in inspect.signature(ask).parameters:
        return _met(model, part, takes) if _is_placed(part, takes) else None
    try:
        with torch.no_grad(), restored(model), runnable(model):
            made = ask(**Batch(inputs).on("meta"))
    except Exception:  # whatever a model's code raises on a wrong guess
        return None
    return sum(tensor.shape[:-1].numel() for tensor in _tensors(made)) // ROWS


def _named(inputs: Inputs, method: Any) -> Inputs:
    named = inspect.signature(method).parameters
    return {name: value for name, value in inputs.items() if name in named}


def _is_placed(part: _Part, takes: Collection[str]) -> bool:
    """Whether tokens say where the features go."""
    return _placeholder(part) is not None or _PLACES in takes


def _met(model: nn.Module, part: _Part, takes: Collection[str]) -> int | None:
    """The same, seen in the model's forward by what it puts in the place of one placeholder a row."""
    *_, plain = _batches(takes, [replace(part, features=1)])
    meeting = _Meeting(plain.inputs["input_ids"].shape)
    try:
        with torch.no_grad(), restored(model), _unchecked(), runnable(model), meeting:
            forward(model, plain, "meta")
    except Exception:  # as above
        return meeting.features // ROWS or None
    return meeting.features // ROWS or 1


@contextlib.contextmanager
def _unchecked() -> Iterator[None]:
    """Within the block transformers does not compare the number of features with that of placeholders."""
    name = "TRANSFORMERS_DISABLE_TORCH_CHECK"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class _Meeting(TorchDispatchMode):
    """Counts the features that are first put in the place of tokens, of which there are ``shape``."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._shapes = (shape, (shape.numel(),))
        self.features = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket in (_aten.index_put, _aten.index_put_, _aten.masked_scatter, _aten.masked_scatter_):
            tokens, features = args[0], args[2]
            if tokens.shape[:-1] in self._shapes and tokens.shape[-1:] == features.shape[-1:] and not self.features:
                self.features = features.shape[:-1].numel()
        return func(*args, **(kwargs or {}))


def _tensors(value: Any) -> Iterator[Tensor]:
    """The features in what a model's method for them returns."""
    if isinstance(value, Tensor):
        yield value
    elif hasattr(value, "last_hidden_state"):
        pooled = getattr(value, "pooler_output", None)
        yield from _tensors(value.last_hidden_state if pooled is None else pooled)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)


def _batches(takes: Collection[str], parts: Sequence[_Part]) -> Iterator[Batch]:
    """Batches of ``parts`` and text: with labels, then without; each plain, then with token types."""
    roles = frozenset(part.tower.role for part in parts)
    inputs: Inputs = {name: value for part in parts for name, value in part.inputs.items()}
    types: Inputs = {}
    few = whole(ROWS, _ANSWER)
    labels = [few, few[:, 0]]
    if "input_ids" in takes:
        roles |= {Role.TEXT}
        told = {name: value for name, value in _text(parts, inputs).items() if name in takes or "token_type" in name}
        types = {name: told["token_type_ids"] for name in takes if name.endswith("token_type_ids")}
        inputs |= {name: value for name, value in told.items() if "token_type" not in name}
        labels[0] = told["input_ids"]
    elif "decoder_input_ids" in takes:
        inputs["decoder_input_ids"] = few
    elif roles == {Role.VISION}:
        labels.reverse()
    inputs |= {"return_loss": True} if "return_loss" in takes else {}
    for label in [*(labels if "labels" in takes else []), None]:
        given = inputs if label is None else {**inputs, "labels": label}
        yield Batch(given, roles)
        if types:
            yield Batch({**given, **types}, roles, extra=tuple(types))


def _text(parts: Sequence[_Part], inputs: Inputs) -> Inputs:
    """Rows of tokens with the placeholders of ``parts``, and all that a class may take beside them."""
    word = _word(parts)
    row, types = [word] * _AROUND, [0] * _AROUND
    for part in parts:
        for tokens, type in _bracketed(part, word):
            row += tokens
            types += [type] * len(tokens)
    row += [word] * max(_AROUND, _TEXT - len(row))
    types += [0] * (len(row) - len(types))
    ids = torch.tensor([row] * ROWS)
    kinds = torch.tensor([types] * ROWS)
    pictures = next((value for name, value in inputs.items() if name.endswith("pixel_values")), ids)
    tiles = inputs.get("aspect_ratio_mask", ids)
    return {
        "input_ids": ids,
        "attention_mask": whole(*ids.shape),
        "decoder_input_ids": torch.full_like(ids, word),
        "qformer_input_ids": whole(ROWS, _ANSWER),
        "qformer_attention_mask": whole(ROWS, _ANSWER),
        "token_type_ids": kinds,
        _PLACES: (kinds == _TYPES["image"]).long(),
        "cross_attention_mask": whole(*ids.shape, *tiles.shape[1:]),
        **({"image_attention_mask": whole(*ids.shape, pictures.shape[1])} if pictures.ndim == 5 else {}),
        **inputs,
    }


def _bracketed(part: _Part, word: int) -> Iterator[tuple[list[int], int]]:
    """The tokens of a picture or sound in one row, with their type: its placeholders between their brackets."""
    placeholder = _placeholder(part)
    count = part.features if part.features is not None else int(placeholder is not None)
    features = [word if placeholder is None else placeholder] * count
    before, after = (
        part.tower.figure(*(name + end for name in names for end in ("_token_id", "_token_index")))
        for names in _BRACKETS[part.kind]
    )
    yield [before] if features and isinstance(before, int) else [], 0
    yield features, _TYPES[part.kind]
    yield [after] if features and isinstance(after, int) else [], 0
    yield [word] * _AROUND, 0


def _placeholder(part: _Part) -> int | None:
    token = part.tower.figure(*(name.format(part.kind) for name in _PLACEHOLDERS))
    return token if isinstance(token, int) else None


def _word(parts: Sequence[_Part]) -> int:
    """A token that means nothing in particular."""
    special = {token for part in parts for token in part.tower.special_tokens()}
    return next(token for token in itertools.count(1) if token not in special)
