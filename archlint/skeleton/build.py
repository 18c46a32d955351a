"""Build the model that a config describes, on the meta device."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlint.garbage import importing
from archlint.skeleton.classes import (
    custom_references,
    exported_class,
    known_type,
    language_model,
    model_class,
    own_class,
)
from archlint.skeleton.copies import remember
from archlint.skeleton.limits import BuildTooLargeError, bounded_build

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig


class SkeletonError(Exception):
    """The model cannot be built; the message is one line with what to do."""


class CustomCodeError(SkeletonError):
    """The architecture exists only as code of the repository, which was not allowed to run."""


@dataclass(frozen=True)
class Skeleton:
    """A model on the meta device, and what of its config did not go into it."""

    model: nn.Module
    quantization: Mapping[str, Any] = field(default_factory=dict)
    custom_code: tuple[str, ...] = ()
    """What ``auto_map`` of the config names."""
    ran_custom_code: bool = False


def build(
    config: Mapping[str, Any],
    *,
    class_name: str | None = None,
    code: Path | None = None,
    trust_remote_code: bool = False,
) -> Skeleton:
    """Build the model of ``config`` (the content of a config.json) without weights.

    Args:
        class_name: the class to build instead of the one that the config names.
        code: the folder with the repository's own code.
        trust_remote_code: run that code where transformers does not have the architecture itself.

    Raises:
        CustomCodeError: only the repository's own code has the architecture, and it may not run.
        SkeletonError: an unknown model type or class, or values that the classes refuse.
    """
    with importing():
        from accelerate import init_empty_weights

        native = known_type(config.get("model_type"))
    references = custom_references(config)
    # config classes write into what they are given
    plain = copy.deepcopy({key: value for key, value in config.items() if key != "quantization_config"})
    try:
        with importing(), _offline():
            if native or not references or exported_class(class_name) is not None:
                parsed = _parse(plain, class_name)
                cls: type[Any] = model_class(parsed, class_name)
            else:
                parsed, cls = _custom(plain, references, code, trust_remote_code, class_name)
            parsed = _part_for(cls, parsed)
            _unquantized(parsed)
            with bounded_build(), init_empty_weights(include_buffers=True):
                model = _instantiate(cls, parsed)
    except SkeletonError:
        raise
    except ImportError as error:
        raise SkeletonError(_missing_packages(error, config)) from error
    except BuildTooLargeError as error:
        raise SkeletonError(f"cannot build the model: {error}; correct the sizes in its configuration") from error
    except KeyError as error:
        raise SkeletonError(f"cannot build the model: {_unknown_name(error, plain)}") from error
    except LookupError as error:
        raise SkeletonError(f"cannot build the model: {error}") from error
    except Exception as error:  # config and model classes raise whatever their values lead them to
        reason = " ".join(str(error).split()) or "no message"
        raise SkeletonError(f"cannot build the model: {type(error).__name__}: {reason}") from error
    if any(not parameter.is_meta for parameter in model.parameters()):
        model.to("meta")
    return Skeleton(
        model,
        quantization=quantization(config),
        custom_code=tuple(references.values()),
        ran_custom_code=not native and bool(references),
    )


def quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config's ``quantization_config``, or that of one of its parts."""
    for part in (config, *config.values()):
        found = part.get("quantization_config") if isinstance(part, Mapping) else None
        if isinstance(found, Mapping) and found:
            return found
    return {}


def _parse(config: Mapping[str, Any], class_name: str | None) -> PretrainedConfig:
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type = config.get("model_type")
    if not known_type(model_type):
        wanted = exported_class(class_name) if class_name is not None else None
        if wanted is not None and wanted.config_class is not None:
            return wanted.config_class.from_dict(dict(config))
        raise SkeletonError(
            f"model type {model_type!r} is unknown to transformers {transformers.__version__}; "
            "a newer version may have it"
        )
    return CONFIG_MAPPING[model_type].from_dict(dict(config))


def _part_for(cls: type[Any], config: PretrainedConfig) -> PretrainedConfig:
    """The part of a composite's config that ``cls`` is made from: a language model by itself, say."""
    expected = getattr(cls, "config_class", None)
    if expected is None or isinstance(config, expected):
        return config
    parts = (getattr(config, name, None) for name in getattr(config, "sub_configs", ()))
    return next((part for part in parts if isinstance(part, expected)), config)


def _unknown_name(error: KeyError, config: Mapping[str, Any]) -> str:
    """Which of the config's keys holds the name that some table of transformers lacks, where one key alone does."""
    name = error.args[0] if error.args else None
    keys = [key for key, value in _strings(config) if value == name]
    if len(keys) == 1:
        return f"{keys[0]} is {name!r}, and the model class knows no such name"
    return f"KeyError: {' '.join(str(error).split())}"


def _strings(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _strings(value, f"{path}{key}.")
        elif isinstance(value, str):
            yield f"{path}{key}", value


def _missing_packages(error: ImportError, config: Mapping[str, Any]) -> str:
    """Which packages a class asks for, and how to do without."""
    packages = list(dict.fromkeys(re.findall(r"requires the (\S+) library", str(error))))
    needs = f"the model needs {', '.join(packages)}, not installed here" if packages else " ".join(str(error).split())
    text = language_model(config)
    return f"{needs}; to check its language model alone, pass --class {text}" if text else needs


def _instantiate(cls: type[Any], config: PretrainedConfig) -> nn.Module:
    # an attention kernel that is not installed here must not stand in the way: eager has the same modules
    if hasattr(cls, "_from_config"):
        model: nn.Module = cls._from_config(config, attn_implementation="eager")
    else:
        model = cls(config)
    return model


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Keep a class from fetching what its config names, such as a backbone of another repository."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _unquantized(config: PretrainedConfig) -> None:
    for part in (config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", ()))):
        if part is not None and getattr(part, "quantization_config", None) is not None:
            del part.quantization_config


def _custom(
    config: Mapping[str, Any], references: Mapping[str, str], code: Path | None, trusted: bool, wanted: str | None
) -> tuple[PretrainedConfig, type[Any]]:
    if not trusted:
        raise CustomCodeError(
            f"model type {config.get('model_type')!r} exists only as the repository's own code "
            f"({', '.join(references.values())}); to run it, pass --trust-remote-code"
        )
    if code is None:
        raise CustomCodeError("the repository's own code is not here: give its folder or its hub id as the source")
    if "AutoConfig" not in references:
        raise SkeletonError("the config's auto_map names no AutoConfig")
    reference = own_class(config, wanted)
    config_class: Any = _imported(references["AutoConfig"], code)
    from transformers.models.auto.auto_factory import add_generation_mixin_to_remote_model

    model = add_generation_mixin_to_remote_model(_imported(reference, code))  # as Auto classes do
    return config_class.from_dict(dict(config)), model


def _imported(reference: str, code: Path) -> type[Any]:
    """The class that ``reference`` (``module.Class``) names, from transformers' copy of the folder ``code``."""
    from transformers import dynamic_module_utils

    loader: Any = dynamic_module_utils  # which does not export where its copies are
    cls: type[Any] = loader.get_class_from_dynamic_module(reference, str(code), local_files_only=True)
    if "--" not in reference:  # else it is the code of another repository
        file = f"{reference.partition('.')[0]}.py"
        copied = loader.get_cached_module_file(str(code), file, local_files_only=True)
        remember(Path(loader.HF_MODULES_CACHE, copied).parent, code)
    return cls
