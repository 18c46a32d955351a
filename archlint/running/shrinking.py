"""Configs of the same architecture in small: fewer layers, narrower, with few heads, experts and tokens.

What a number of a config counts follows from how its field is called (``num_..._layers``, ``..._size``,
``head_dim``). Widths and numbers of heads are divided by common factors, so that the equations among them, such as
``hidden_size = num_attention_heads * head_dim``, still hold.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from transformers import PretrainedConfig

_DEPTHS = (2, 4, 8, 16, 32, 64)
_VOCABULARY = 256
_EXPERTS = 2
"""As many as a token gets, where it gets more than one: none stays idle by chance."""
_NARROW = 16
"""A width up to this stays as it is; so does that of a head up to half of it."""
_LEAST = {"channels": 32, "filters": 4}
"""What widths of such names do not fall below: convolutions are split into groups by the dozen, or halved."""

_LAYERS = re.compile(r"(?<!shared_)(layers?|depths?|num_blocks|per_block)$")
_PER_LAYER = re.compile(r"layer|block|pattern")
_LAYER_INDICES = re.compile(r"layer|block|ind(ic|ex)es|idxs?$")
_EXPERT_COUNTS = re.compile(r"(^|_)(?<!shared_)(?<!share_)experts?(_num)?$")
_CHOSEN_EXPERTS = re.compile(r"experts_per_tok(en)?$|^(moe_|router_)?top_?k$|^moe_k$")
_EXPERT_GROUPS = re.compile(r"^n_group$|expert_groups?$|^topk_group$")
_HEADS = re.compile(r"(heads|n_head|num_head|groups)$")
_HEAD_WIDTHS = re.compile(r"(head_?(dim|size)|d_head|dim_head|d_kv|kv_channels|rotary_dim|rope_dim)$")
_SECTIONS = re.compile(r"section$")
_HIDDEN = re.compile(r"^(hidden_size|hidden_dim|d_model|n_embd|embed_dim|embedding_size|width|dim|dim_model)$")
_WIDTHS = re.compile(
    r"(sizes?|dims?|width|rank|channels?|filters|inner|embd|hidden|ffn|dff|d_model|d_ff|d_state|d_ssm|d_latents)(_|$)"
    r"|^dim_"
)
_NO_WIDTHS = re.compile(
    r"image|img|patch|kernel|window|chunk|block|batch|crop|grid|tile|merge|group|position|token|max|min_|context"
    r"|cache|frame|feat|mel|spec_|ngram|sequence"
)
_VOCABULARIES = re.compile(r"vocab|codebook_size$|num_embed(ding)?s$")
_TOKENS = re.compile(r"(_ids?|_index)$")
_LABELS = ("id2label", "label2id")

_Fields = dict[str, Any]
_Change = Callable[[int], int]


class Scheme(enum.Enum):
    """How attention becomes small, from the smallest to the likeliest to run."""

    BOTH = "heads are narrower, and fewer by one factor for all their numbers"
    NARROW = "heads are narrower, and as many"
    FEW = "heads are as wide, and two or three"


def depths(config: PretrainedConfig) -> list[int]:
    """Numbers of layers to try, the smallest first, up to that of the longest stack."""
    longest = max(
        (n for fields in chain(*_parts(config)) for n in (*_layer_counts(fields), *_stages(fields))), default=0
    )
    return [*(depth for depth in _DEPTHS if depth < longest), longest]


def shrunk(config: PretrainedConfig, layers: int, scheme: Scheme) -> PretrainedConfig:
    """A small copy of ``config``, in which no stack has more than ``layers`` layers."""
    small = copy.deepcopy(config)
    parts = _parts(small)
    scales = [_Scale.of(part, scheme) for part in parts]
    by_width = {width: scale.by for scale in scales for width in scale.hidden}
    tokens = _Tokens()
    for part, scale in zip(parts, scales, strict=True):
        for fields in part:
            _cut(fields, layers)
            for name, value in fields.items():
                if change := _change(name, scale, by_width, tokens):
                    fields[name] = _mapped(change, value)
                elif name.endswith("_factor") and isinstance(value, (list, tuple)) and len(value) >= _NARROW:
                    fields[name] = value[: len(value) // scale.head]  # one for each pair of a head's dimensions
                elif name.endswith("layerdrop"):
                    fields[name] = 0.0  # no layer is left out by chance
    return small


@dataclass(frozen=True)
class _Scale:
    """What the numbers of one part are divided by."""

    head: int
    heads: int
    hidden: Collection[int]
    """The widths of its stream, which other parts may name too."""

    @property
    def by(self) -> int:
        return self.head * self.heads

    @classmethod
    def of(cls, part: Sequence[_Fields], scheme: Scheme) -> _Scale:
        return cls(
            head=1 if scheme is Scheme.FEW else _head_factor(part),
            heads=1 if scheme is Scheme.NARROW else _heads_factor(part, in_proportion=scheme is Scheme.BOTH),
            hidden=_numbers(part, _HIDDEN),
        )


def _head_factor(part: Sequence[_Fields]) -> int:
    """By how much heads can be narrower; rotations want a width that is a multiple of four."""
    widths = {width for fields in part for width in _head_widths(fields)}
    sections = _numbers(part, _SECTIONS)
    for factor in (32, 16, 8, 4, 2):
        fits = all(width % (4 * factor) == 0 and width // factor >= _NARROW // 2 for width in widths)
        if fits and all(section % factor == 0 for section in sections):
            return factor
    return 1


def _heads_factor(part: Sequence[_Fields], *, in_proportion: bool) -> int:
    numbers = {n for fields in part for name, value in fields.items() if _is_heads(name) for n in _counts(value)} - {1}
    if in_proportion:
        return next(factor for factor in (8, 4, 2, 1) if all(number % factor == 0 for number in numbers))
    most = max(numbers, default=1)
    return next((most // few for few in (2, 3, 5, 7) if most % few == 0), 1)


def _head_widths(fields: _Fields) -> Iterator[int]:
    """The widths of heads as given, else as implied by the width of the stream."""
    given = {n for n in _numbers([fields], _HEAD_WIDTHS) if n > _NARROW // 2}
    yield from given
    for name, value in fields.items() if not given else ():
        for other, number in fields.items() if _HIDDEN.search(name) else ():
            for width, heads in zip(_counts(value), _counts(number) if _is_heads(other) else (), strict=False):
                if heads > 1 and width % heads == 0:
                    yield width // heads


def _parts(config: PretrainedConfig) -> list[list[_Fields]]:
    """The fields of a config and of each config within, each with those of the dictionaries that it holds.

    Configs that share the width of their stream are one part.
    """
    parts: list[list[_Fields]] = []
    for part in _configs(config):
        hidden = _numbers(part, _HIDDEN)
        rest: list[list[_Fields]] = []
        for other in parts:
            if hidden & _numbers(other, _HIDDEN):
                part = [*other, *part]
            else:
                rest.append(other)
        parts = [*rest, part]
    return parts


def _configs(config: PretrainedConfig) -> Iterator[list[_Fields]]:
    seen: set[int] = set()
    configs = [config]
    while configs:
        found = configs.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        part: list[_Fields] = []
        values: list[Any] = [vars(found)]
        while values:
            value = values.pop()
            if isinstance(value, PretrainedConfig):
                configs.append(value)
            elif isinstance(value, dict):
                if all(isinstance(name, str) for name in value):
                    part.append(value)
                values.extend(inner for name, inner in value.items() if name not in _LABELS)
            elif isinstance(value, (list, tuple)):
                values.extend(value)
            elif dataclasses.is_dataclass(value) and not isinstance(value, type):
                values.append(vars(value))
        yield part


def _numbers(part: Sequence[_Fields], names: re.Pattern[str]) -> set[int]:
    return {n for fields in part for name, value in fields.items() if names.search(name) for n in _counts(value)}


def _counts(value: Any) -> tuple[int, ...]:
    """The positive integers that ``value`` is, or is a list of; none where it is anything else."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values if all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in values) else ()


def _is_heads(name: str) -> bool:
    return bool(_HEADS.search(name)) and not _EXPERT_GROUPS.search(name)


def _layer_counts(fields: _Fields) -> set[int]:
    """How many layers the stacks have, by their numbers and by lists that say of what kind each layer is."""
    numbers = {
        n for name, value in fields.items() if _LAYERS.search(name) and isinstance(value, int) for n in _counts(value)
    }
    return numbers | {len(value) for name, value in fields.items() if _PER_LAYER.search(name) and _are_names(value)}


def _stages(fields: _Fields) -> Iterator[int]:
    """How many layers each stage has, where a list says it."""
    for name, value in fields.items():
        if name.endswith("depths") and isinstance(value, (list, tuple)):
            yield from _counts(value)


def _are_names(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value)


def _cut(fields: _Fields, layers: int) -> None:
    """Make stacks of ``layers`` layers, and let what is said of each layer go along."""
    counts = {count for count in _layer_counts(fields) if count > layers}
    for name, value in fields.items():
        if isinstance(value, int):
            if _LAYERS.search(name) and value in counts:
                fields[name] = layers
        elif isinstance(value, (list, tuple)):
            if _LAYER_INDICES.search(name) and _are_indices(value):
                fields[name] = type(value)(index for index in value if index < layers)
            elif len(value) in counts:
                fields[name] = value[:layers]
            elif name.endswith("depths"):
                fields[name] = type(value)(min(count, layers) for count in value)
        elif isinstance(value, str) and _PER_LAYER.search(name) and len(value) in counts:
            fields[name] = value[:layers]


def _are_indices(value: Sequence[Any]) -> bool:
    return all(isinstance(n, int) and n >= 0 for n in value) and all(a < b for a, b in pairwise(value))


class _Tokens:
    """Ids of the small vocabulary for those of the large one: equal for equal, and taken from its end."""

    def __init__(self) -> None:
        self._ids: dict[int, int] = {}

    def __call__(self, token: int) -> int:
        if token < _VOCABULARY:
            return token
        return self._ids.setdefault(token, _VOCABULARY - 1 - len(self._ids) % (_VOCABULARY // 2))


def _change(name: str, scale: _Scale, by_width: Mapping[int, int], tokens: _Change) -> _Change | None:
    """What becomes of a number in a field of that name."""
    if name in _LABELS or _LAYERS.search(name):
        return None
    if _CHOSEN_EXPERTS.search(name):
        return lambda n: n if n == 1 else _EXPERTS
    if _EXPERT_COUNTS.search(name):
        return lambda n: min(n, _EXPERTS)
    if _EXPERT_GROUPS.search(name):
        return lambda n: 1
    if _is_heads(name):  # groups may be as many as the stream is wide
        return lambda n: n // by_width.get(n, scale.heads) if n % scale.heads == 0 else 1
    if _HEAD_WIDTHS.search(name):
        return lambda n: n if n <= _NARROW // 2 else n // scale.head
    if _SECTIONS.search(name):
        return lambda n: n // scale.head
    if _VOCABULARIES.search(name):
        return lambda n: min(n, _VOCABULARY)
    if _TOKENS.search(name):
        return tokens
    if _WIDTHS.search(name) and not _NO_WIDTHS.search(name):
        least = next((least for word, least in _LEAST.items() if word in name), 1)
        return lambda n: _narrowed(n, by_width.get(n, scale.by), least)
    return None


def _narrowed(width: int, by: int, least: int) -> int:
    if width <= _NARROW:
        return width
    narrow = width // by if width % by == 0 else 4 * math.ceil(width / by / 4)
    return max(narrow, min(width, least))


def _mapped(change: _Change, value: Any) -> Any:
    if not _counts(value):
        return value
    return type(value)(map(change, value)) if isinstance(value, (list, tuple)) else change(value)
