"""From a repository's folder to a stand-in model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlint.core.custom_code import Gap
from archlint.deadline import deadline
from archlint.garbage import importing, seldom_collected
from archlint.reading import automatic, configs
from archlint.reading.interpreter import Interpreter
from archlint.reading.limits import MAX_SECONDS, SMALL, OutOfTimeError, ReadingError
from archlint.reading.objects import Frame, RaisedError
from archlint.reading.plain import size
from archlint.reading.sources import Sources
from archlint.reading.standins import StandIns
from archlint.reading.values import Class, Import, Instance, Module, Value
from archlint.skeleton import Skeleton
from archlint.skeleton.build import quantization
from archlint.skeleton.classes import custom_references, own_class
from archlint.survey.source_code import shown_path


@dataclass(frozen=True)
class Reading:
    """A model as its repository's code describes it; nothing of that code was run."""

    skeleton: Skeleton
    gaps: tuple[Gap, ...] = ()


def read(config: Mapping[str, Any], folder: Path, class_name: str | None = None) -> Reading:
    """Read the model classes of a repository.

    Args:
        config: the content of its config.json.
        folder: where the files are that ``auto_map`` of the config names.
        class_name: the class to read instead, from the same file.

    Raises:
        ReadingError: nothing could be read.
    """
    with importing():
        from transformers import PreTrainedModel
        from transformers.models.auto import modeling_auto

        _ = PreTrainedModel, modeling_auto  # what takes long to import is no part of the time
    try:
        with seldom_collected(), deadline(MAX_SECONDS, OutOfTimeError):
            return _read(config, folder, class_name)
    except ReadingError:
        raise
    except OutOfTimeError as error:
        raise ReadingError(f"reading the repository's own code takes more than {MAX_SECONDS:.0f} s") from error
    except (RecursionError, MemoryError) as error:
        raise ReadingError("the repository's own code is nested more deeply than can be read") from error
    except RaisedError as error:
        raise ReadingError(f"the repository's own code raises {error.name}, as it is read") from error
    except Exception as error:  # whatever a file that anybody wrote makes of the reading
        raise ReadingError(f"the repository's own code cannot be read: {type(error).__name__}: {error}") from error


def _read(config: Mapping[str, Any], folder: Path, class_name: str | None) -> Reading:
    references = custom_references(config)
    try:
        reference = own_class(config, class_name)
    except LookupError as error:
        raise ReadingError(str(error)) from error
    if "--" in reference:
        raise ReadingError(f"the model's code is in another repository: {reference.partition('--')[0]}")
    interpreter = Interpreter(Sources(folder))
    interpreter.frames.append(Frame(Module("", (), folder / "config.json"), ()))
    module_name, _, name = reference.rpartition(".")
    module = interpreter.module(_full(interpreter, module_name))
    if module is None:
        raise ReadingError(f"{reference} is not in the repository's folder")
    cls = interpreter.name_of(module, name) if name in module.names else None
    if not isinstance(cls, Class) or not interpreter.makes_modules(cls):
        raise ReadingError(f"{module.file.name} defines no model class {name}")
    parsed = _config(interpreter, config, references.get("AutoConfig"), cls)
    model = automatic.build(interpreter, cls, parsed)
    stand_ins = StandIns(interpreter)
    made = stand_ins.model(model)
    skeleton = Skeleton(made, quantization=quantization(config), custom_code=tuple(references.values()))
    return Reading(skeleton, tuple(_gaps(interpreter, stand_ins.path_of(made))))


def _full(interpreter: Interpreter, module: str) -> str:
    return ".".join((*interpreter.sources.package, module))


def _config(interpreter: Interpreter, config: Mapping[str, Any], reference: str | None, cls: Class) -> Value:
    """The configuration as an object of the repository's own class, or of the one that transformers has."""
    if size(dict(config), 100 * SMALL) > 100 * SMALL:
        raise ReadingError("config.json is larger than any model's")
    values = {name: value for name, value in config.items() if name != "quantization_config"}
    found: Value = None
    if reference is not None and "--" not in reference:
        module, _, name = reference.rpartition(".")
        found = interpreter.resolve(Import(_full(interpreter, module), name))
    if not isinstance(found, Class):
        found = interpreter.attribute(cls, "config_class", None, None)
    if not interpreter.makes_configs(found) and isinstance(config.get("model_type"), str):
        found = configs.known_type(config["model_type"])
    made = interpreter.call(found, [], _copied(values))
    if not isinstance(made, Instance):
        raise ReadingError("the configuration's class is not known")
    return _part_for(interpreter, cls, made)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, (list, tuple)) else value


def _part_for(interpreter: Interpreter, cls: Class, config: Instance) -> Instance:
    """The part of a composite's configuration that a class is made from."""
    wanted = interpreter.attribute(cls, "config_class", None, None)
    if wanted is None or config.cls == wanted or (isinstance(config.cls, Class) and wanted in config.cls.mro):
        return config
    parts = (part for part in config.attributes.values() if interpreter.is_config(part))
    return next((part for part in parts if part.cls == wanted), config)


def _gaps(interpreter: Interpreter, paths: Mapping[int, str]) -> list[Gap]:
    found: dict[Gap, None] = {}
    for trace in interpreter.traces.values():
        holder = paths.get(id(trace.module), "") if trace.module is not None else ""
        path = f"{holder}.{trace.name}" if holder and trace.name else holder or trace.name
        found[Gap(path, shown_path(trace.file), trace.line, trace.why)] = None
    return list(found)
