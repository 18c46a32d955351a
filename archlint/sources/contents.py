"""Saying what a folder, a repository or a JSON object is, where it is no model that transformers loads."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath
from typing import Any

from archlint.sources.source import SourceError

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_PICKLE = "adapter_model.bin"
_SHOWN = 5


def no_config(
    where: str, files: Collection[str], read: Callable[[str], Mapping[str, Any]], adapter_file: str | None = None
) -> SourceError:
    """The error for a place without config.json.

    Args:
        where: the place, as the reader knows it.
        files: paths in it, relative and with ``/``.
        read: gives the JSON object in one of them; may raise :class:`SourceError`.
        adapter_file: how the reader can name the place's adapter_config.json, where it is a local file.
    """
    if ADAPTER_CONFIG in files:
        try:
            adapter = read(ADAPTER_CONFIG)
        except SourceError:
            adapter = {}
        return _adapter(where, adapter, adapter_file)
    parts = sorted(str(path.parent) for path in map(PurePosixPath, files) if path.name == CONFIG)
    if "model_index.json" in files:
        return SourceError(f"{where} holds a diffusers pipeline, not a model", _choose_part(parts))
    if parts:
        return SourceError(f"{where} has no {CONFIG} of its own", _choose_part(parts))
    if "params.json" in files:
        return _foreign(where)
    if any(file.endswith(".gguf") for file in files):
        return SourceError(f"{where} has no {CONFIG}, only GGUF files", "name the repository they were made from")
    if not files:
        return SourceError(f"{where} is empty", f"a model's folder holds {CONFIG}")
    names = sorted(files)
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return SourceError(f"{where} has no {CONFIG}; it holds {shown}", "if it lies deeper, add --subfolder")


def no_weights(where: str) -> str:
    """Why the weights of an adapter were not looked at that is to be loaded."""
    return f"there is no {ADAPTER_WEIGHTS} in {where}: loading it would fail"


def unread_pickle(file: str) -> str:
    """Why the names of an adapter's weights are not known."""
    return f"{file} is a pickle, which is not opened: its names were not compared"


def no_model(where: str, config: Mapping[str, Any], file: str | None = None) -> SourceError:
    """The error for a JSON object that says no model type. ``file`` is its path, where it is a local file."""
    if "peft_type" in config:
        return _adapter(where, config, file)
    if "_class_name" in config or "_diffusers_version" in config:
        return SourceError(f"{where} belongs to diffusers", "archlint reads models of transformers")
    if {"dim", "n_layers"} <= config.keys():
        return _foreign(where)
    if "model_type" in config:
        return SourceError(f"{where} has a model_type that is no name", "correct it, or name the class with --class")
    message = f"{where} has no model_type"
    architectures = config.get("architectures")
    if isinstance(architectures, list) and architectures and isinstance(architectures[0], str):
        return SourceError(message, f"add it, or name the class: --class {shlex.quote(architectures[0])}")
    import difflib

    if misspelt := difflib.get_close_matches("model_type", config, n=1, cutoff=0.8):
        return SourceError(message, f"did you mean it by {misspelt[0]!r}?")
    return SourceError(message, "add it, or name the class with --class")


def _adapter(where: str, adapter: Mapping[str, Any], file: str | None) -> SourceError:
    base = adapter.get("base_model_name_or_path")
    message = f"{where} is a PEFT adapter, not a model"
    if not isinstance(base, str) or not base:
        return SourceError(message, "name its base model")
    option = f" --adapter-config {shlex.quote(file)}" if file else ""
    return SourceError(message, f"check its base model: archlint {shlex.quote(base)}{option}")


def _foreign(where: str) -> SourceError:
    return SourceError(
        f"{where} is in its authors' own format (params.json)", f"name a version for transformers, with {CONFIG}"
    )


def _choose_part(parts: list[str]) -> str:
    if not parts:
        return "name a model of transformers"
    shown = ", ".join(map(shlex.quote, parts[:_SHOWN]))
    return f"choose a part with --subfolder: {shown}" + (", …" if len(parts) > _SHOWN else "")
