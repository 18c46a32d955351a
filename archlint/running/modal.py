"""Batches with pixels and audio: guesses, by what the forward takes and what the config and the first layers say."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from archlint.core.blueprint import Role
from archlint.running import features, pixels, sounds
from archlint.running.batch import ROWS, Batch, whole
from archlint.running.pixels import Inputs
from archlint.running.tower import Tower
from archlint.survey.roles import Roles

_TEXT = 16
"""Fewest tokens in a row: no text part of any kind has fewer positions."""
_AROUND = 3
"""Tokens of text before and after each picture or sound."""
_ANSWER = 8
"""Tokens of a decoder, or labels, where the input is no text."""
_FIRST = 2
"""Guesses for pixels that are tried together with guesses for audio, and the other way round."""
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
_BRACKETS = {
    "image": (("vision_start", "image_start", "boi"), ("vision_end", "image_end", "eoi")),
    "video": (("vision_start", "video_start", "bov"), ("vision_end", "video_end", "eov")),
    "audio": (("audio_start", "audio_bos", "boa"), ("audio_end", "audio_eos", "eoa")),
}
"""What configs call the tokens before and after those, without ``_token_id`` or ``_token_index``."""
_PLACES = "image_embeds_position_mask"
"""The input that says where features go, for models without placeholders."""


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
    for parts in _together(*guesses):
        yield from _batches(takes, parts)


def _together(*guesses: Iterator[_Part]) -> Iterator[tuple[_Part, ...]]:
    """Each guess for the one modality, or pairs of the first guesses for two; none is made before it is needed."""
    if len(guesses) < 2:
        yield from zip(*guesses, strict=True)
        return
    some, others = (itertools.islice(parts, _FIRST) for parts in guesses)
    known: list[_Part] = []
    for one in some:
        yield from ((one, other) for other in tuple(known))
        for other in others:
            known.append(other)
            yield one, other


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
        count = _features(model, part, takes) if "input_ids" in takes else None
        if count is not None:
            unsure = None
            yield replace(part, features=count)
        elif unsure is not None:
            unsure.append(part)
    yield from (unsure or [])[:_UNSURE]


def _features(model: nn.Module, part: _Part, takes: Collection[str]) -> int | None:
    """How many features the model makes of each row's picture or sound; ``None`` where that cannot be told."""
    method = features.method(model, part.kind, part.inputs)
    if method is not None:
        made = features.made(model, method, part.inputs)
        return None if made is None else made // ROWS
    if _placeholder(part) is None and _PLACES not in takes:
        return None
    *_, plain = _batches(takes, [replace(part, features=1)])
    met = features.met(model, plain)
    return None if met is None else met // ROWS or 1


def _batches(takes: Collection[str], parts: Sequence[_Part]) -> Iterator[Batch]:
    """Batches of ``parts`` and text: with labels, then without; each plain, then with token types."""
    roles = frozenset(part.tower.role for part in parts)
    inputs: Inputs = {name: value for part in parts for name, value in part.inputs.items()}
    types: Inputs = {}
    few = whole(ROWS, _ANSWER)
    labels = [few, few[:, 0]]
    if "input_ids" in takes:
        roles |= {Role.TEXT}
        ids, kinds = _rows(parts)
        beside = _beside(ids, kinds, inputs)
        inputs = {"input_ids": ids, **{name: value for name, value in beside.items() if name in takes}, **inputs}
        types = {name: kinds for name in takes if name.endswith("token_type_ids")}
        labels[0] = ids
    elif "decoder_input_ids" in takes:
        inputs["decoder_input_ids"] = few
    elif roles == {Role.VISION}:
        labels.reverse()
    if "return_loss" in takes:
        inputs["return_loss"] = True
    for label in [*(labels if "labels" in takes else []), None]:
        given = inputs if label is None else {**inputs, "labels": label}
        yield Batch(given, roles)
        if types:
            yield Batch({**given, **types}, roles, extra=tuple(types))


def _rows(parts: Sequence[_Part]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of tokens with the placeholders of ``parts``, and the type of each token."""
    special = {token for part in parts for token in part.tower.special_tokens()}
    word = next(token for token in itertools.count(1) if token not in special)
    text = [(word, 0)] * _AROUND
    row = list(text)
    for part in parts:
        row += [*_tokens(part, word), *text]
    row += [(word, 0)] * (_TEXT - len(row))
    ids, kinds = torch.tensor([row] * ROWS).unbind(-1)
    return ids.contiguous(), kinds.contiguous()


def _tokens(part: _Part, word: int) -> Iterator[tuple[int, int]]:
    """The tokens for a picture or sound, each with its type: placeholders between their brackets."""
    placeholder = _placeholder(part)
    count = part.features
    if count is None:
        count = 0 if placeholder is None else 1
    start, end = (
        _token(part.tower, (f"{name}_token_{way}" for name in names for way in ("id", "index")))
        for names in _BRACKETS[part.kind]
    )
    if start is not None and count:
        yield start, 0
    yield from [(word if placeholder is None else placeholder, _TYPES[part.kind])] * count
    if end is not None and count:
        yield end, 0


def _beside(ids: torch.Tensor, kinds: torch.Tensor, inputs: Inputs) -> Inputs:
    """What a class may take beside tokens of these ``kinds`` and the pictures or sounds of ``inputs``."""
    beside: Inputs = {
        "attention_mask": whole(*ids.shape),
        "decoder_input_ids": whole(*ids.shape),
        "qformer_input_ids": whole(ROWS, _ANSWER),
        "qformer_attention_mask": whole(ROWS, _ANSWER),
        _PLACES: (kinds == _TYPES["image"]).long(),
    }
    pictures = inputs.get("pixel_values")
    if pictures is not None and pictures.ndim == 5:
        beside["image_attention_mask"] = whole(*ids.shape, pictures.shape[1])
    tiles = inputs.get("aspect_ratio_mask")
    if tiles is not None:
        beside["cross_attention_mask"] = whole(*ids.shape, *tiles.shape[1:])
    return beside


def _placeholder(part: _Part) -> int | None:
    """The token that stands for one feature."""
    return _token(part.tower, (name.format(part.kind) for name in _PLACEHOLDERS))


def _token(tower: Tower, names: Iterable[str]) -> int | None:
    token = tower.figure(*names)
    return token if isinstance(token, int) else None
