"""Rows of text for a model whose tokenizer is not at hand: words of its vocabulary, and a tokenizer that knows them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from archlint.running import plain_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_WORDS = 24
_LENGTHS = (31, 31, 27, 19)
"""Words in a row, which ends in a token of its own: as long as the rows that a small copy was run on, or shorter."""


def tokenizer(model: nn.Module) -> PreTrainedTokenizerFast:
    """A tokenizer for :func:`rows`, whose tokens ``model`` has.

    A word is a token that no config gives a meaning to, such as that of an image. Padding and the end of a row are
    what the text config says, where it does.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    text: Any = model.config.get_text_config()  # type: ignore[union-attr,operator]
    plain = plain_tokens(model)
    special = {
        "pad_token": _own(text, "pad_token_id", plain),
        "eos_token": _own(text, "eos_token_id", plain),
        "unk_token": next(plain),
    }
    words = dict(zip(map(_word, range(_WORDS)), plain, strict=False))
    known = Tokenizer(WordLevel({**words, **special}, unk_token="unk_token"))
    known.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=known, **{name: name for name in special})


def rows() -> list[str]:
    """Four of them; no two are alike."""
    numbers = itertools.count()
    return [" ".join(_word(next(numbers) % _WORDS) for _ in range(length)) for length in _LENGTHS]


def _word(number: int) -> str:
    return f"word{number}"


def _own(text: Any, setting: str, plain: Iterator[int]) -> int:
    """The token that a setting of the text config names, else one that has no meaning yet."""
    token = getattr(text, setting, None)
    size = getattr(text, "vocab_size", None)
    return token if isinstance(token, int) and isinstance(size, int) and 0 <= token < size else next(plain)
