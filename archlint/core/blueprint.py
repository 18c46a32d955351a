"""What a model is: the frozen, plain-data result of a survey. Nothing here needs torch."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

from archlint.core.checkpoint import AdapterWeights
from archlint.core.custom_code import Conduct, Reading
from archlint.core.folding import fold, unfold
from archlint.core.surgery import Effect, Way
from archlint.core.training import Training
from archlint.core.trial import Baseline, Trial


class Kind(str, enum.Enum):
    """What a site is to PEFT, decided from types, signatures and structure, never from a model's name."""

    LINEAR = "linear"
    LINEAR_SUBCLASS = "linear-subclass"
    WRAPPER = "wrapper"
    CONV1D = "conv1d"
    EMBEDDING = "embedding"
    CONV = "conv"
    ATTENTION = "attention"
    FUSED_EXPERTS = "fused-experts"
    RAW_PROJECTION = "raw-projection"
    ROUTER = "router"
    NORM = "norm"
    GATE = "gate"
    HEAD = "head"
    OTHER = "other"


class Role(str, enum.Enum):
    """The part of the model that a site belongs to."""

    TEXT = "text"
    VISION = "vision"
    AUDIO = "audio"
    PROJECTOR = "projector"
    HEAD = "head"
    EMBEDDING = "embedding"


class Scope(str, enum.Enum):
    """What is to be trained."""

    TEXT = "text"
    VISION = "vision"
    AUDIO = "audio"
    ALL = "all"

    def covers(self, role: Role) -> bool:
        """Whether a projection of ``role`` is part of what this scope trains."""
        if self is Scope.ALL:
            return role in (Role.TEXT, Role.VISION, Role.AUDIO, Role.PROJECTOR)
        return role is Role(self.value)


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """The class of a site: its name, the names of its bases (nearest first) and where it is defined."""

    name: str
    module: str
    bases: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Weight:
    """One parameter: its name in its site, its shape and dtype, and the path of the parameter it is tied to."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    tied_to: str | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Site:
    """One module, or one bare parameter of two or more dimensions, of the skeleton.

    A module that computes with parameters of its own (a Linear, a norm, a convolution) is one site with
    its weights. Where a module of another sort holds matrices directly, each of them is a site by itself
    (``is_parameter``), whose path ends in the parameter's name and whose type is that of its module.
    """

    path: str
    type: TypeInfo
    kind: Kind
    role: Role
    weights: tuple[Weight, ...] = ()
    is_parameter: bool = False
    in_features: int | None = None
    out_features: int | None = None
    inner: str | None = None
    """For a wrapper: the path of the linear inside."""
    traits: frozenset[str] = frozenset()
    """What else was seen, as words of :class:`Trait`."""

    @property
    def parent(self) -> str:
        return self.path.rpartition(".")[0]

    @property
    def leaf(self) -> str:
        """The last part of the path: what a list of target names matches first."""
        return self.path.rpartition(".")[2]

    @property
    def name(self) -> str:
        """What a person would call it: the leaf, after its parent's where it is an index."""
        parts = self.path.split(".")
        return ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The full names of its weights."""
        if self.is_parameter:
            return (self.path,)
        return tuple(f"{self.path}.{weight.name}" if self.path else weight.name for weight in self.weights)

    @property
    def size(self) -> int:
        """Number of parameters of the site itself; a tied weight counts where it was first seen."""
        return sum(weight.size for weight in self.weights if weight.tied_to is None)


class Trait:
    """Words of ``Site.traits``."""

    CONTAINER = "container"
    """It has child modules that hold parameters."""
    OWN_FORWARD = "own-forward"
    """A subclass of a known layer that overrides ``forward``."""
    LINEAR_SHAPED = "linear-shaped"
    """With a forward of its own it still maps ``(…, in_features)`` to ``(…, out_features)``."""
    RETURNS_TUPLE = "returns-tuple"
    """Every ``return`` of its ``forward`` gives a tuple."""
    LIBRARY_NORM = "library-norm"
    """A norm of ``torch.nn`` or a subclass of one."""
    FUSED = "fused"
    """Its output is split into several projections by its caller."""
    EXPERT = "expert"
    """It is part of one expert of several, in a list."""
    MOE_BLOCK = "moe-block"
    """It holds experts, and what routes to them, side by side."""
    BYPASSED = "bypassed"
    """Its weight is read by its parent, and its forward is never called."""
    BUILT_IN_ADAPTER = "built-in-adapter"
    """A low-rank adapter that is part of the base model."""
    SUPPORTED = "supported"
    """The installed PEFT has a LoRA layer for this class of module."""


PROJECTION_KINDS = frozenset({Kind.LINEAR, Kind.LINEAR_SUBCLASS, Kind.CONV1D, Kind.ATTENTION, Kind.FUSED_EXPERTS})
"""Kinds whose weights of two or more dimensions count for coverage. A wrapper's inner linear is a LINEAR."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One way for the modules of one class: what it changes, or why it cannot be had."""

    way: Way
    sites: tuple[Site, ...]
    effect: Effect | None = None
    """``None`` where it cannot be had, or could not be measured."""
    lack: str = ""
    """Why it cannot be had."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model was surveyed, and where its architecture came from."""

    id: str
    origin: str
    class_name: str
    model_type: str
    parameters: int
    modules: int
    revision: str | None = None
    family: tuple[str, ...] = ()
    """Other members, where a family's representative stands for it."""
    layers: Mapping[str, int] = field(default_factory=dict)
    """Number of layers by role, of the longest stack of each."""

    @property
    def source(self) -> str | None:
        """What a command is given to find it again; ``None`` for a model in memory."""
        if self.origin == "object":
            return None
        return f"type:{self.id}" if self.origin == "type" else self.id


@dataclass(frozen=True, slots=True)
class Facts:
    """What concerns the model as a whole rather than one site."""

    output_embeddings: str | None = None
    embeddings_error: str | None = None
    """What ``get_input_embeddings()`` raised, where it does: PEFT then refuses every adapter."""
    is_generative: bool = False
    """It has ``prepare_inputs_for_generation``, which PEFT's CAUSAL_LM and SEQ_2_SEQ_LM need."""
    is_encoder_decoder: bool = False
    main_input: str = "input_ids"
    """The name of the input that the class cannot do without: a speech recogniser's is its audio."""
    new_heads: tuple[str, ...] = ()
    """Heads that do not come with the published backbone: a classifier starts at random."""
    task_classes: Mapping[str, str] = field(default_factory=dict)
    """PEFT's task types with a head of their own, and the class that transformers has of this model type for each."""
    decayed_norms: tuple[str, ...] = ()
    """Parameters of norms to which the Trainer would apply weight decay."""
    decayed_vectors: tuple[str, ...] = ()
    """Other parameters of one dimension to which the Trainer would apply weight decay."""
    missing_wrap_classes: tuple[str, ...] = ()
    """Classes of ``_no_split_modules`` that no module of the model has."""
    quantization: Mapping[str, str] = field(default_factory=dict)
    """What ``quantization_config`` says, in words; empty where there is none."""
    custom_code: tuple[str, ...] = ()
    """What ``auto_map`` names, where the repository brings code of its own."""
    ran_custom_code: bool = False
    reading: Reading | None = None
    """What became of the repository's own code where it was read in place of being run: nothing of the model was."""
    peft_default: tuple[str, ...] | str | None = None
    """What the installed PEFT targets by itself for this model type; ``None`` where it has no default."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Sites that differ only by index or sibling name, shown once."""

    pattern: str
    sites: tuple[Site, ...]

    @property
    def count(self) -> int:
        return len(self.sites)

    @property
    def type(self) -> TypeInfo:
        return self.sites[0].type

    @property
    def kind(self) -> Kind:
        return self.sites[0].kind

    @property
    def role(self) -> Role:
        return self.sites[0].role

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(site.path for site in self.sites)


def fold_sites(sites: Iterable[Site]) -> list[Fold]:
    """Fold sites of the same class, kind and role, in order of appearance."""
    groups: dict[tuple[TypeInfo, Kind, Role], dict[str, Site]] = {}
    for site in sites:
        groups.setdefault((site.type, site.kind, site.role), {})[site.path] = site
    return [
        Fold(pattern, tuple(by_path[path] for path in unfold(pattern)))
        for by_path in groups.values()
        for pattern in fold(by_path)
    ]


@dataclass(frozen=True)
class Blueprint:
    """A model as plain data, with the trials that were made on it: all that a rule may look at."""

    model: ModelInfo
    sites: tuple[Site, ...]
    scope: Scope = Scope.TEXT
    facts: Facts = field(default_factory=Facts)
    stock: tuple[Trial, ...] = ()
    plan: Trial | None = None
    """The trial of the user's plan, where there is one; then only that one counts."""
    baseline: Baseline = field(default_factory=Baseline)
    """What the model does without adapters."""
    weights: AdapterWeights | None = None
    """What became of the weights of a published adapter, where the source is one."""
    training: Training = field(default_factory=Training)
    """What the trainers make of it; without trainers where it is checked for none."""
    operations: tuple[Operation, ...] = ()
    """What can be done about its wrappers after loading, and what that changes."""
    conduct: Conduct | None = None
    """How the repository's own code behaved; ``None`` where none was run."""

    @cached_property
    def by_path(self) -> Mapping[str, Site]:
        return {site.path: site for site in self.sites}

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials that findings are judged by: the user's plan alone, or else the stock plans."""
        return (self.plan,) if self.plan is not None else self.stock

    def select(
        self,
        *kinds: Kind,
        role: Role | None = None,
        trait: str | None = None,
        where: Callable[[Site], bool] | None = None,
    ) -> tuple[Site, ...]:
        """The sites of any of ``kinds`` (all where none is given) that fit every condition."""
        return tuple(
            site
            for site in self.sites
            if (not kinds or site.kind in kinds)
            and (role is None or site.role is role)
            and (trait is None or trait in site.traits)
            and (where is None or where(site))
        )

    def folds(self, *kinds: Kind, **conditions: object) -> list[Fold]:
        """:meth:`select`, folded."""
        return fold_sites(self.select(*kinds, **conditions))  # type: ignore[arg-type]

    @cached_property
    def projections(self) -> tuple[Site, ...]:
        """The sites of the scope that coverage is measured on."""
        return tuple(site for site in self.sites if is_projection(site) and self.scope.covers(site.role))

    def coverage(self, adapted: Iterable[str]) -> float:
        """Share, by parameter count, of the scope's projection weights at the paths of ``adapted``."""
        chosen = frozenset(adapted)
        total = sum(matrix_size(site) for site in self.projections)
        return sum(matrix_size(site) for site in self.projections if site.path in chosen) / total if total else 0.0

    def measured(self, trial: Trial) -> Trial:
        """``trial`` with its coverage, and its count of sites outside, for the scope of this blueprint."""
        return replace(trial, coverage=self.coverage(trial.adapted), outside=len(self.outside(trial.adapted)))

    def outside(self, adapted: Iterable[str]) -> tuple[Site, ...]:
        """The adapted sites that belong to a tower or connector which the scope does not train."""
        towers = (Role.VISION, Role.AUDIO, Role.TEXT, Role.PROJECTOR)
        sites = (self.by_path[path] for path in adapted if path in self.by_path)
        return tuple(site for site in sites if site.role in towers and not self.scope.covers(site.role))


def is_projection(site: Site) -> bool:
    """Whether the site's matrices count for coverage."""
    return site.kind in PROJECTION_KINDS


def matrix_size(site: Site) -> int:
    """Parameters in the site's weights of two or more dimensions, tied ones counted where first seen."""
    return sum(weight.size for weight in site.weights if len(weight.shape) >= 2 and weight.tied_to is None)
