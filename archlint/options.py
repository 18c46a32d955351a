"""How a source is to be checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archlint.core.catalog import known
from archlint.core.means import ALL, Means
from archlint.core.presets import Preset
from archlint.sources.source import SourceOptions

if TYPE_CHECKING:
    from archlint.core.blueprint import Scope
    from archlint.core.catalog import Catalog
    from archlint.core.rule import Rule
    from archlint.core.training import Trainer
    from archlint.core.trial import Plan
    from archlint.plans import PlanFile
    from archlint.published import PublishedAdapter
    from archlint.store import Store


def _nothing(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a source is to be checked."""

    scope: Scope | None = None
    """What is to be trained; ``None`` lets the model decide."""
    plan: Plan | None = None
    """The user's; ``None`` tries the stock plans."""
    plan_file: PlanFile | None = None
    """Where the user's plan comes from; the arguments of ``plan`` win over what it says."""
    adapter: PublishedAdapter | None = None
    """The published adapter that the source is; its weights are judged as well."""
    rules: Sequence[type[Rule]] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Codes of rules that are not among these, and by whom and why they are ignored: told where one would have found
    harm."""
    catalog: Catalog | None = None
    """All rules: comments in a model's code may name them. What those of its plugins would have said that could not be
    loaded is unchecked. ``None`` takes the rules that run."""
    trainers: Sequence[Trainer] | None = None
    """Whom the model is checked for; ``None`` lets the plan's file decide, and else the model."""
    trainer_arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the trainer is given, besides what the plan's file says."""
    trial_train: bool = False
    """Whether the installed SFTTrainer is tried on a small copy, with the user's plan or else the recipe."""
    prove: bool = True
    preset: Preset = Preset.ALL
    """Which layers of the scope the recipe is to adapt."""
    means: Means = ALL
    """What the tool can say that the recipe is for."""
    source: SourceOptions = field(default_factory=SourceOptions)
    progress: Callable[[str], None] = _nothing
    """Told the name of each stage as it begins."""
    store: Store | None = None
    """Where what is found out about a model is kept, and looked up; ``None`` keeps nothing."""

    @property
    def codes(self) -> Collection[str]:
        """Those of the rules."""
        return known(self.rules).keys()

    @property
    def rewards(self) -> bool:
        """Whether the model is built with the head of one that scores texts, as a trainer of such models loads it."""
        from archlint.core.training import Trainer

        return Trainer.REWARD in (self.trainers or ())
