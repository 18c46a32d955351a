"""Values of a file as the parsers of trainers take them: each function gives the value or says what is wanted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from archlint.plans.document import is_countable

_YES = frozenset({"yes", "true", "t", "y", "1", "on"})
_NO = frozenset({"no", "false", "f", "n", "0", "off"})


def flag(data: Any) -> bool:
    """A yes or no, also as a word or as 0 and 1.

    Raises:
        ValueError: it is none; the message says what belongs there, as with all functions of this module.
    """
    if isinstance(data, bool):
        return data
    word = str(data).strip().lower() if isinstance(data, (str, int)) else ""
    if word not in _YES | _NO:
        raise ValueError("true or false")
    return word in _YES


def integer(data: Any) -> int:
    """A whole number, also as a text or as 8.0."""
    try:
        found = int(data) if isinstance(data, (str, int, float)) and not isinstance(data, bool) else None
    except (ValueError, OverflowError):
        found = None
    if found is None or not is_countable(found) or not (isinstance(data, str) or found == data):
        raise ValueError("a whole number")
    return found


def number(data: Any) -> float:
    """A number, also as a text."""
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        return data
    try:
        return float(data) if isinstance(data, str) else integer(data)
    except ValueError:
        raise ValueError("a number") from None


def count(data: Any) -> int:
    """A whole number of at least 1."""
    wanted = "a whole number of at least 1"
    try:
        found = integer(data)
    except ValueError:
        raise ValueError(wanted) from None
    if found < 1:
        raise ValueError(wanted)
    return found


def weight(data: Any) -> float:
    """A finite number of at least 0."""
    wanted = "a number of at least 0"
    try:
        found = number(data)
    except ValueError:
        raise ValueError(wanted) from None
    if not 0 <= found < math.inf:
        raise ValueError(wanted)
    return found


def text(data: Any) -> str:
    """A text."""
    if not isinstance(data, str):
        raise ValueError("a text")
    return data


def names(data: Any) -> list[str]:
    """A list of texts."""
    if not isinstance(data, list) or not all(isinstance(item, str) for item in data):
        raise ValueError("a list of texts")
    return data


def one_or_names(data: Any) -> str | list[str]:
    """A text, or a list of texts."""
    if isinstance(data, str):
        return data
    try:
        return names(data)
    except ValueError:
        raise ValueError("a text or a list of texts") from None


def commas(data: Any) -> list[str]:
    """Texts between commas; a list is taken as it is."""
    return [part.strip() for part in data.split(",")] if isinstance(data, str) else list(one_or_names(data))


def words(data: Any) -> list[str]:
    """A list of texts, of which one may stand alone, as on a command line."""
    return [data] if isinstance(data, str) else list(one_or_names(data))


def layers(data: Any) -> int | list[int]:
    """The index of a layer, or a list of them."""
    try:
        return [integer(item) for item in data] if isinstance(data, list) else integer(data)
    except ValueError:
        raise ValueError("a list of whole numbers") from None


def table(data: Any) -> dict[str, Any]:
    """A mapping, also as JSON in a text."""
    try:
        data = json.loads(data) if isinstance(data, str) else data
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ValueError("a mapping")
    return data


def anything(data: Any) -> Any:
    """Whatever there is."""
    return data


def flag_or_text(data: Any) -> bool | str:
    """A yes or no where it reads as one, else a text."""
    return {"true": True, "false": False}.get(data.lower(), data) if isinstance(data, str) else flag(data)


TRAINER_ARGUMENTS: Mapping[str, Callable[[Any], Any]] = {
    "gradient_checkpointing": flag,
    "gradient_accumulation_steps": count,
    "label_smoothing_factor": weight,
    "loss_type": one_or_names,
    "router_aux_loss_coef": weight,
    "weight_decay": weight,
}
"""The arguments of transformers' TrainingArguments and of TRL's configs that rules go by, and what takes each."""
