"""How a source is to be checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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

    def asked(self) -> Iterator[object]:
        """All that decides what is said of one architecture, as plain values where plans and arguments are.

        Which architecture a source is, and the code of rules, is no part of it.
        """
        yield list(self.codes)
        yield dict(self.ignored)
        yield None if self.catalog is None else list(_named(self.catalog))
        plan, file, adapter, means = self.plan, self.plan_file, self.adapter, self.means
        yield None if plan is None else [plan.name, plan.tuner, plan.means_all, dict(plan.lora)]
        yield None if file is None else [str(file.path), file.text, file.dialect.name, file.place]
        yield None if adapter is None else [adapter.file, adapter.plan_file.text, adapter.shapes, adapter.lack]
        yield None if self.trainers is None else [trainer.value for trainer in self.trainers]
        yield dict(self.trainer_arguments)
        yield [self.trial_train, self.prove, self.preset.value]
        yield [means.expression, means.exclusion, means.parameters]


def _named(catalog: Catalog) -> Iterator[object]:
    """What comments in a model's code may name; one that names nothing is told where all plugins could be loaded."""
    yield [[code, rule.name] for code, rule in catalog.known.items()]
    yield bool(catalog.failures)
