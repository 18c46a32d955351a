"""What TRL's trainers do by themselves, as its source has it (``trl.json`` names the place)."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from packaging.version import Version

from archlint.core.training import Trainer


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
        return None if value is None else self.read(value, text_config)

    def read(self, value: float, text_config: Any) -> float:
        """The factor that ``value`` of the setting stands for; and the value for a factor, as it is its own inverse."""
        return 1 / value if self.divides and text_config.model_type not in self.multiplies_for else value


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How TRL computes log-probabilities.

    ``version`` is that of the installed package, or the newest that is known where none is installed.
    """

    version: str
    is_installed: bool
    fusing: tuple[Trainer, ...]
    """Its trainers that compute them from the head's weight, without the model's own forward."""
    fused_since: str
    """The version before which only SFTTrainer did, if any."""
    coefficient: float | None
    """The weight of the auxiliary loss that is its own default; ``None`` where that is the config's."""
    refuses_coefficient: bool
    """Whether it raises for such a weight where the text config has no router logits."""
    own_loss_types: tuple[str, ...]
    """Values of SFTTrainer's ``loss_type`` with which it takes the model's own forward, and nothing else."""
    smooths_own: bool
    """Whether label smoothing has SFTTrainer take its loss from the model's own forward, beside the fused pass."""
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
    try:
        return behaviour_of(version("trl"))
    except PackageNotFoundError:
        return behaviour_of(_known()["newest"], is_installed=False)


def behaviour_of(trl: str, *, is_installed: bool = True) -> Behaviour:
    """What the version ``trl`` does; a newer one than is known is taken to do what the newest known one does.

    Raises:
        UnknownVersionError: it is older than any that is known.
    """
    known = _known()
    since = [entry for entry in known["versions"] if Version(entry["since"]) <= Version(trl)]
    if not since:
        raise UnknownVersionError(
            f"TRL {trl} is installed, and archlint knows what its trainers do from {known['versions'][0]['since']} on"
        )
    latest = since[-1]
    return Behaviour(
        trl,
        is_installed,
        tuple(map(Trainer, latest["fusing"])),
        known["fused_since"],
        latest.get("coefficient"),
        latest.get("refuses_coefficient", False),
        tuple(latest.get("own_loss_types", ())),
        latest.get("smooths_own", False),
        tuple(
            Scale(one["setting"], one.get("divides", False), tuple(one.get("multiplies_for", ())))
            for one in latest["scales"]
        ),
        known["cap"],
        known["balancing"],
    )


@functools.cache
def _known() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files(__package__).joinpath("trl.json").read_text(encoding="utf-8"))
    return content
