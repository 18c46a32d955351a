"""Refusing sizes that no model has, before time or memory is spent on them."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from archlint.sources.source import SourceError

MAX_LAYERS = 2_000
"""Limit of whatever makes a stack: layers, blocks, groups, codebooks, the entries of a list with one size each."""
MAX_EXPERTS = 100_000
MAX_LABELS = 1_000_000
MAX_COUNT = 1_000_000
"""Limit of what a key counts and nothing here knows."""
MAX_DIMENSION = 10**8
MAX_MODULES = 1_000_000
"""Limit of layers times experts: each pair may be a module of its own."""
MAX_DEPTH = 32
_LONGEST_KEY = 200
"""Characters of a key that may name a size: the patterns below take the square of what they match."""


def _ending_in(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?:.+_)?(?:{words})", re.DOTALL)


# Of a key as "num_layers_per_stack", only what comes before "_per_" tells what is counted.
_PER = re.compile(r"(?<=.)_per_.*", re.DOTALL)
# What grows with training or text, or is anybody's note; no module is made for each.
_UNBOUNDED = re.compile(
    r"(?:.+_)?(?:tokens?|ids?|steps|samples|examples|updates|iterations|epochs|param(?:eter)?s|flops|length|seed)"
    r"(?:_.+)?",
    re.DOTALL,
)
_EXPERTS = re.compile(r"(?:.+_)?experts(?:_.+)?", re.DOTALL)
_LABELS = _ending_in("labels|classes|label2id|id2label")
_LAYERS = _ending_in(
    "layers|blocks|stages|stacks|depths?|levels|repeats|times|codebooks|quantizers|groups|groups?_num"
    r"|modules|networks|loops|cycles|flows|convs|functions|inputs|block_sizes"
    r"|(?:n|num)_(?:.+_)?layer|(?:block|layer|attention|mixer)_(?:types?|patterns?)"
)
_DIMENSION = re.compile(
    r"(?:.+_)?(?:sizes?|dims?|hidden|heads?|channels|features|width|rank|inner|units|emb|embe?ds?|embeddings|positions"
    r"|buckets|bins|ctx|vocab)"
    r"|dim_.+|d_(?:model|ff|kv|inner|state|conv|head)",
    re.DOTALL,
)
_COUNT = re.compile(r"(?:.+_)?(?:num|n|nb)_.+|.+_(?:num|number|count)", re.DOTALL)
_LIMITS = (
    (_LAYERS, MAX_LAYERS),
    (_DIMENSION, MAX_DIMENSION),
    (_EXPERTS, MAX_EXPERTS),
    (_LABELS, MAX_LABELS),
    (_UNBOUNDED, None),
    (_COUNT, MAX_COUNT),
)

# The sizes that transformers names alike for all models, and what its attribute_map calls them elsewhere.
_POSITIVE = frozenset(
    (
        *("hidden_size", "n_embd", "d_model", "embed_dim", "emb_dim", "hidden_dim", "dim"),
        *("intermediate_size", "n_inner", "d_ff", "ffn_dim", "ffn_hidden_size", "encoder_ffn_dim", "decoder_ffn_dim"),
        *("num_hidden_layers", "n_layer", "n_layers", "num_layers", "layers", "depth", "encoder_layers"),
        *("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"),
        *("encoder_attention_heads", "decoder_attention_heads"),
        "vocab_size",
    )
)


def check_sizes(config: Mapping[str, Any], where: str = "config.json") -> None:
    """Refuse a configuration whose sizes are no sizes. ``where`` stands for it in messages.

    In the model's own configuration and those of its parts (``text_config`` and the like), well-known sizes
    are positive integers and no size is negative (-1 means "none", save for labels). Anywhere, a number that
    counts something, or is a dimension, has a limit, in lists within lists too.

    Raises:
        SourceError: names the key and the value.
    """
    try:
        for path, values, strict in list(_configs(config)):  # all of them first, so that the depth is known to be small
            _check(path, values, strict)
    except _Absurd as error:
        raise SourceError(f"{where}: {error}", "correct the configuration") from error


class _Absurd(Exception):
    pass


def _configs(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Every object in ``config``: its path, its content, and whether it describes a model or part of one."""
    pending: list[tuple[str, str, Any, int]] = [("", "", config, 0)]
    while pending:
        path, key, value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise _Absurd(f"{path[:80]}… is nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, Mapping):
            yield path, value, depth == 0 or key.endswith("_config") or "model_type" in value
            pending += [(_join(path, name), name, inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            pending += [
                (f"{path}[{index}]", key, inner, depth + 1)
                for index, inner in enumerate(value)
                if isinstance(inner, (Mapping, list))
            ]


def _check(path: str, values: Mapping[str, Any], strict: bool) -> None:
    for key, value in values.items():
        where = _join(path, key)
        _check_length(where, key, value)
        limit = _limit(key)
        if limit is None:
            continue
        if strict and key in _POSITIVE and not _idle_encoder(key, values):
            _check_positive(where, value)
        for number in _numbers(value):
            if not number <= limit:
                raise _Absurd(f"{where} is {reprlib.repr(number)}, and {limit} is the most that is taken for a size")
            if strict and number < _least(key, value):
                raise _Absurd(f"{where} is {reprlib.repr(number)}: a size cannot be negative")
    layers = _largest(values, _LAYERS)
    experts = _largest(values, _EXPERTS)
    if layers * experts > MAX_MODULES:
        raise _Absurd(
            f"{path or 'it'} asks for {layers} layers of {experts} experts, and {MAX_MODULES} is the most that is taken"
        )


def _check_length(where: str, key: str, value: object) -> None:
    if not isinstance(value, (list, Mapping)) or "quantization_config." in where:  # it lists the names of weights
        return
    limit = MAX_LABELS
    if isinstance(value, list) and ("layer" in key or _limit(key) is not None):
        limit = MAX_LAYERS
    if len(value) > limit:
        raise _Absurd(f"{where} has {len(value)} entries, and {limit} is the most that is taken")
    if isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, list):
                _check_length(f"{where}[{index}]", key, inner)


def _limit(key: str) -> int | None:
    if len(key) > _LONGEST_KEY:
        return None
    counted = _PER.sub("", key)
    return next((limit for pattern, limit in _LIMITS if pattern.fullmatch(counted)), None)


def _least(key: str, value: object) -> float:
    if isinstance(value, list) and key.endswith("_layers") and not _COUNT.fullmatch(key):
        return -math.inf  # which layers, the last ones counted from the end
    return 0 if _LABELS.fullmatch(key) else -1


def _check_positive(where: str, value: object) -> None:
    if value is None or isinstance(value, (list, Mapping)):  # left to the class, or one for each layer or part
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Absurd(f"{where} is {reprlib.repr(value)}, not an integer")
    if value <= 0:
        raise _Absurd(f"{where} is {value}, not a positive number")


def _idle_encoder(key: str, values: Mapping[str, Any]) -> bool:
    """Whether this is the encoder of a model that has only a decoder."""
    decoder = values.get("decoder_layers")
    return key == "encoder_layers" and isinstance(decoder, int) and decoder > 0


def _numbers(value: object) -> Iterator[int | float]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item)


def _largest(values: Mapping[str, Any], pattern: re.Pattern[str]) -> int:
    counts = (
        value
        for key, value in values.items()
        if isinstance(value, (int, float)) and abs(value) < math.inf and len(key) <= _LONGEST_KEY
        if pattern.fullmatch(key) and not _DIMENSION.fullmatch(key)
    )
    return math.ceil(max(counts, default=0))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
