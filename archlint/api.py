"""What archlint offers to Python: on a source, or on a live model."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlint.core.blueprint import Operation, Scope
from archlint.core.catalog import Catalog
from archlint.core.presets import Preset
from archlint.core.report import Report
from archlint.core.serial import default
from archlint.core.surgery import Way
from archlint.core.trainer_names import trainers_named
from archlint.core.training import Trainer
from archlint.core.trial import LORA, USER, Plan
from archlint.engine import Options, check, opening
from archlint.plans import PlanError, trainer_argument
from archlint.plans.document import is_countable
from archlint.solving import with_rank
from archlint.sources import SourceOptions

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from archlint.subject import Bench


class NoRecipeError(Exception):
    """There is no recipe for a model, or none that trains as it should; the message says why."""


class NoPatchError(Exception):
    """There is no patch for a model; the message says why."""


def lint(
    model_or_source: str | Path | nn.Module,
    *,
    scope: str = "auto",
    plan: Mapping[str, Any] | PeftConfig | None = None,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    load: Iterable[str | Path] = (),
    prove: bool = True,
    trainers: str | Sequence[str] | None = None,
    trainer_args: Mapping[str, Any] | None = None,
    class_name: str | None = None,
    offline: bool = False,
    revision: str | None = None,
    subfolder: str | None = None,
    cache_dir: str | Path | None = None,
    trust_remote_code: bool = False,
    require_sandbox: bool = False,
) -> Report:
    """Check a model before it is fine-tuned with PEFT.

    Args:
        model_or_source: a live module (its weights are not touched), a hub id, a folder, a config.json, a
            model type or an alias of a bundled snapshot.
        scope: what is to be trained: ``auto``, ``text``, ``vision``, ``audio`` or ``all``.
        plan: a LoraConfig, its arguments, or the config of another adapter that PEFT places by module, to be
            judged; without one the stock plans are.
        select: codes of the rules to run, or prefixes of them; all by default.
        ignore: codes not to run.
        extend_select: codes to run besides those of ``select``.
        load: files with further rules.
        prove: run PEFT on the model; without it only the structure is judged.
        trainers: whom it is checked for, one as in ``"trl-dpo"`` or several; nobody where empty, and by default
            ``trl-sft`` and ``transformers`` where the model generates text.
        trainer_args: what the trainer is given, such as ``{"gradient_checkpointing": False}``; texts are read as on
            the command line.
        class_name: the model class, where the config's own choice is not wanted.
        offline: do not ask the hub.
        revision: branch, tag or commit of a hub repository.
        subfolder: folder in the repository that holds the config.
        cache_dir: the hub's cache, where it is not the default one.
        trust_remote_code: run the repository's own code, in a process that is kept from all else; without it that code
            is read.
        require_sandbox: run it only where files, network and processes are all closed to it.

    Returns:
        The report. A source that cannot be loaded gives a report whose status is ``unchecked``.

    Raises:
        TypeError: a source that is neither text, a path nor a module, a plan that is neither a mapping nor a
            config of adapters which PEFT places by module, or arguments of trainers that are no mapping.
        ValueError: an unknown scope or trainer, an argument that trainers do not have or a value that they do not
            take, a number that no plan has, or a selection that leaves no rule.
        UnknownRuleError: a code that no rule has.
        RuleLoadError: a file of ``load`` that cannot be loaded.
    """
    catalog = Catalog.load(map(Path, load))
    rules = catalog.select(select, ignore, extend_select)
    if not rules:
        raise ValueError("the selection leaves no rule to run")
    options = Options(
        scope=_scope(scope),
        plan=None if plan is None else _plan(plan),
        rules=rules,
        catalog=catalog,
        prove=prove,
        trainers=None if trainers is None else _trainers(trainers),
        trainer_arguments=_trainer_arguments(trainer_args),
        source=_source_options(class_name, offline, revision, subfolder, cache_dir, trust_remote_code, require_sandbox),
    )
    return check(_source_or_module(model_or_source), options)


def check_plan(
    model_or_source: str | Path | nn.Module,
    plan: Mapping[str, Any] | PeftConfig,
    *,
    scope: str = "auto",
    select: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    load: Iterable[str | Path] = (),
    trainers: str | Sequence[str] | None = None,
    trainer_args: Mapping[str, Any] | None = None,
    class_name: str | None = None,
    offline: bool = False,
    revision: str | None = None,
    subfolder: str | None = None,
    cache_dir: str | Path | None = None,
    trust_remote_code: bool = False,
    require_sandbox: bool = False,
) -> Report:
    """Check a plan on a model: a guard for training scripts, before ``get_peft_model``.

    ``archlint.check_plan(model, config).raise_for_findings()`` stops a script whose adapters would not train as
    they should. The model stays as it is: weights, device, mode and random state.

    Args:
        model_or_source: as for :func:`lint`.
        plan: a LoraConfig, its arguments, or the config of another adapter that PEFT places by module.
        scope: what is to be trained: ``auto``, ``text``, ``vision``, ``audio`` or ``all``.
        trainers: whom it is checked for: ``"trl-sft"``, or several.
        trainer_args: what the trainer is given, such as ``{"gradient_checkpointing": False}``.
        class_name: and the rest, as for :func:`lint`.

    Returns:
        The report; its ``plan`` is what came of trying the plan.

    Raises:
        TypeError, ValueError, UnknownRuleError, RuleLoadError: as for :func:`lint`.
    """
    if plan is None:
        raise TypeError("a plan is expected: a LoraConfig, another PeftConfig or a mapping of its arguments")
    return lint(
        model_or_source,
        scope=scope,
        plan=plan,
        select=select,
        ignore=ignore,
        extend_select=extend_select,
        load=load,
        trainers=trainers,
        trainer_args=trainer_args,
        class_name=class_name,
        offline=offline,
        revision=revision,
        subfolder=subfolder,
        cache_dir=cache_dir,
        trust_remote_code=trust_remote_code,
        require_sandbox=require_sandbox,
    )


def recipe(
    model_or_source: str | Path | nn.Module,
    *,
    scope: str = "auto",
    preset: str = "all",
    rank: int | None = None,
    allow_unchecked: bool = False,
    class_name: str | None = None,
    offline: bool = False,
    revision: str | None = None,
    subfolder: str | None = None,
    cache_dir: str | Path | None = None,
    trust_remote_code: bool = False,
    require_sandbox: bool = False,
) -> dict[str, Any]:
    """The arguments of a LoraConfig that fits a model: ``LoraConfig(**archlint.recipe(model))``.

    Args:
        model_or_source: as for :func:`lint`.
        scope: what is to be trained.
        preset: which of its layers: ``all``, ``attention``, ``attention-mlp`` or ``no-experts``.
        rank: ``r``, and ``lora_alpha`` with it; PEFT's defaults where it is not given.
        allow_unchecked: take a recipe that PEFT injects, though the adapted model cannot be run here, as with
            packed weights.
        class_name: and the rest, as for :func:`lint`.

    Raises:
        NoRecipeError: the model cannot be loaded, PEFT takes no plan for the scope, or the best one crashes, leaves
            adapters without a gradient, or could not be run.
        TypeError: a source that is neither text, a path nor a module.
        ValueError: an unknown scope or preset, or a rank below 1.
    """
    if rank is not None and rank < 1:
        raise ValueError(f"a rank of at least 1 is expected, not {rank}")
    source = _source_options(class_name, offline, revision, subfolder, cache_dir, trust_remote_code, require_sandbox)
    options = Options(scope=_scope(scope), preset=Preset(preset), source=source)
    report = check(_source_or_module(model_or_source), options)
    if (reason := _reason_against(report, allow_unchecked)) is not None:
        raise NoRecipeError(f"no recipe for {report.source}, scope {report.scope.value}: {reason}")
    assert report.recipe is not None
    return with_rank(rank, copy.deepcopy(dict(report.recipe.plan.lora)))


def patch(
    model_or_source: str | Path | nn.Module,
    *,
    way: str | None = None,
    class_name: str | None = None,
    offline: bool = False,
    revision: str | None = None,
    subfolder: str | None = None,
    cache_dir: str | Path | None = None,
    trust_remote_code: bool = False,
    require_sandbox: bool = False,
) -> str:
    """The text of a Python file with ``unwrap(model)`` and ``rewrap(model)``, as ``archlint patch`` writes it.

    Args:
        model_or_source: as for :func:`lint`.
        way: ``unwrap``, ``keep``, ``register``, ``shield``, ``split`` or ``experts``; by default the first that
            applies and changes nothing that the model computes.
        class_name: and the rest, as for :func:`lint`.

    Raises:
        NoPatchError: the model cannot be loaded, or has nothing that the way is for.
        TypeError: a source that is neither text, a path nor a module.
        ValueError: an unknown way.
    """
    wanted = None if way is None else Way(way)
    if wanted is Way.INNER:
        raise ValueError("inner needs no patch: the plan names the linear inside")
    source = _source_options(class_name, offline, revision, subfolder, cache_dir, trust_remote_code, require_sandbox)
    with _opened(model_or_source, source) as found:
        made = found.patch(wanted)
        if made is None:
            lacks = "; ".join(operation.lack for operation in found.surgeries() if operation.way is wanted)
            raise NoPatchError(lacks or f"{found.blueprint.model.class_name} has nothing that it is for")
        return made.text


def surgeries(
    model_or_source: str | Path | nn.Module,
    *,
    class_name: str | None = None,
    offline: bool = False,
    revision: str | None = None,
    subfolder: str | None = None,
    cache_dir: str | Path | None = None,
    trust_remote_code: bool = False,
    require_sandbox: bool = False,
) -> tuple[Operation, ...]:
    """Each way to have PEFT adapt what it cannot adapt as it is, and what it changes, as ``patch --list`` has it.

    Args:
        model_or_source: as for :func:`lint`.
        class_name: and the rest, as for :func:`lint`.

    Raises:
        NoPatchError: the model cannot be loaded.
        TypeError: a source that is neither text, a path nor a module.
    """
    source = _source_options(class_name, offline, revision, subfolder, cache_dir, trust_remote_code, require_sandbox)
    with _opened(model_or_source, source) as found:
        return found.surgeries()


@contextlib.contextmanager
def _opened(model_or_source: str | Path | nn.Module, source: SourceOptions) -> Iterator[Bench]:
    """A model that patches can be made for.

    Raises:
        NoPatchError: the model cannot be loaded.
        TypeError: a source that is neither text, a path nor a module.
    """
    with opening(_source_or_module(model_or_source), Options(prove=False, source=source)) as found:
        if isinstance(found, Report):
            raise NoPatchError("; ".join(f"{item.what}: {item.why}" for item in found.unchecked))
        yield found


def _reason_against(report: Report, allow_unchecked: bool) -> str | None:
    trial = report.recipe
    if trial is None:
        lacks = [f"{item.what}: {item.why}" for item in report.unchecked]
        return "; ".join(lacks) or "PEFT takes none of the plans that were tried"
    if trial.crash is not None:
        return f"the training step of the best one crashes: {trial.crash}"
    if trial.dead:
        return f"{len(trial.dead)} adapters of the best one get no gradient, {trial.dead[0]} first"
    if not trial.is_sound and not allow_unchecked:
        why = "; ".join(item.why for item in report.unchecked)
        return f"the adapted model could not be run ({why}); allow_unchecked=True takes the plan all the same"
    return None


def _source_or_module(given: object) -> str | nn.Module:
    if isinstance(given, (str, Path)):
        return str(given)
    from torch import nn

    if not isinstance(given, nn.Module):
        raise TypeError(f"a source, a path or a torch.nn.Module is expected, not {type(given).__name__}")
    return given


def _scope(word: str) -> Scope | None:
    return None if word == "auto" else Scope(word)


def _trainers(given: str | Sequence[str]) -> tuple[Trainer, ...]:
    return trainers_named([given] if isinstance(given, str) else given)


def _trainer_arguments(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"a mapping of the trainer's arguments is expected, not {type(given).__name__}")
    if "modules_to_save" in given:
        raise ValueError("modules_to_save is an argument of the plan, not of the trainer")
    try:
        return {name: trainer_argument(name, value) for name, value in given.items()}
    except PlanError as error:
        raise ValueError(str(error)) from error


def _source_options(
    class_name: str | None,
    offline: bool,
    revision: str | None,
    subfolder: str | None,
    cache_dir: str | Path | None,
    trust_remote_code: bool,
    require_sandbox: bool,
) -> SourceOptions:
    return SourceOptions(
        offline=offline,
        revision=revision,
        subfolder=subfolder,
        cache_dir=Path(cache_dir) if cache_dir is not None else None,
        trust_remote_code=trust_remote_code,
        require_sandbox=require_sandbox,
        class_name=class_name,
    )


def _plan(given: object) -> Plan:
    if isinstance(given, Mapping):
        # training is what is checked, whatever the file of a finished adapter says
        arguments = {key: _plain(value) for key, value in given.items() if key not in ("inference_mode", "peft_type")}
        kind = given.get("peft_type") or LORA
        return Plan(USER, arguments, _plain(kind).upper())
    from peft import PeftConfig

    if not isinstance(given, PeftConfig):
        raise TypeError(
            f"a LoraConfig, another PeftConfig or a mapping of its arguments is expected, not {type(given).__name__}"
        )
    if not hasattr(given, "target_modules") or given.peft_type is None:
        raise TypeError(f"{type(given).__name__} places no adapters by module: there is nothing to check")
    return Plan(USER, _arguments(given), _plain(given.peft_type))


def _arguments(config: PeftConfig) -> dict[str, Any]:
    """The arguments of ``config`` that differ from their defaults, as JSON values, without PEFT's bookkeeping."""
    from peft import PeftConfig

    bookkeeping = {field.name for field in dataclasses.fields(PeftConfig)} - {"task_type"}
    content = config.to_dict()
    return {
        field.name: _plain(content[field.name])
        for field in dataclasses.fields(config)
        if field.init and field.name in content and field.name not in bookkeeping
        if content[field.name] is not None and content[field.name] != default(field)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):  # in JSON a key is a text
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, int) and not is_countable(value):
        raise ValueError("a plan has no number of hundreds of digits")
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
