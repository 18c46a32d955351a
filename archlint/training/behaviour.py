"""What TRL's trainers do by themselves, as its source has it (``trl.json`` names the place)."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from packaging.version import Version


class UnknownVersionError(Exception):
    """The installed TRL is one whose trainers are not known; the message says which are, on one line."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A setting of the text config that the trainer takes for the factor of the logits."""

    name: str
    divides: bool = False
    multiplies_for: tuple[str, ...] = ()
    """Model types for which TRL multiplies all the same."""

    def factor(self, text_config: Any) -> float | None:
        """The factor; ``None`` where the config has no such setting."""
        value = getattr(text_config, self.name, None)
        if value is None or not self.divides or text_config.model_type in self.multiplies_for:
            return value
        return 1 / float(value)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How TRL computes log-probabilities.

    ``version`` is that of the installed package, or the newest that is known where none is installed.
    """

    version: str
    is_installed: bool
    scales: tuple[Scale, ...]
    """The first that the text config has counts."""
    cap: str
    """The setting of the text config that caps the logits."""
    balancing: str
    """Module and name of the function for the auxiliary loss of experts."""


def behaviour() -> Behaviour:
    """What the installed TRL does, and the newest known one where none is installed.

    Raises:
        UnknownVersionError: the installed TRL is older than any that is known.
    """
    known = _known()
    try:
        installed = version("trl")
    except PackageNotFoundError:
        installed = None
    if installed is not None and Version(installed) < Version(known["since"]):
        raise UnknownVersionError(
            f"TRL {installed} is installed, and archlint knows what its trainers do from {known['since']} on"
        )
    scales = tuple(
        Scale(one["setting"], one.get("divides", False), tuple(one.get("multiplies_for", ())))
        for one in known["scales"]
    )
    return Behaviour(installed or known["newest"], installed is not None, scales, known["cap"], known["balancing"])


@functools.cache
def _known() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files(__package__).joinpath("trl.json").read_text(encoding="utf-8"))
    return content
