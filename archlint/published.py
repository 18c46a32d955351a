"""Published adapters: a folder with an adapter's settings and weights, to be checked against its base model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlint.plans import PlanError, PlanFile, read_plan_file
from archlint.sources import SourceError
from archlint.sources.tensors import shapes

_SETTINGS, _WEIGHTS, _PICKLED, _MODEL = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "config.json",
)


@dataclass(frozen=True)
class PublishedAdapter:
    """An adapter as it was saved."""

    plan_file: PlanFile
    base: str
    """The source of its base model."""
    file: str
    """The file of its weights."""
    shapes: Mapping[str, tuple[int, ...]] | None
    """Shapes of its weights by name; ``None`` where there is no header to read them from."""
    lack: str = ""
    """Why there is none, where that keeps something from being checked."""

    @property
    def settings(self) -> dict[str, Any]:
        """What its settings hold."""
        return {key: entry.data for key, entry in self.plan_file.section.entries.items()}


def find(name: str) -> PublishedAdapter | None:
    """The adapter in the folder ``name``, or beside the settings file ``name``; ``None`` where it is none.

    A folder that holds a model's config.json as well is a model.

    Raises:
        SourceError: it is one that cannot be read, or names no base model.
    """
    path = Path(name).expanduser()
    folder = path.parent if path.name == _SETTINGS else path
    try:
        if not (folder / _SETTINGS).is_file() or (path.is_dir() and (folder / _MODEL).is_file()):
            return None
    except (OSError, ValueError):  # a name that no path can have
        return None
    try:
        plan_file = read_plan_file(folder / _SETTINGS)
    except PlanError as error:
        raise SourceError(str(error)) from error
    if plan_file.base_model is None:
        hint = f"check it against a model: archlint SOURCE --adapter-config {folder / _SETTINGS}"
        raise SourceError(f"{folder / _SETTINGS} names no base model", hint)
    beside = folder / plan_file.base_model
    base = str(beside) if plan_file.base_model.startswith(".") and beside.exists() else plan_file.base_model
    weights = folder / _WEIGHTS
    if weights.is_file():
        return PublishedAdapter(plan_file, base, str(weights), shapes(weights))
    pickled = (folder / _PICKLED).is_file()
    lack = f"{folder / _PICKLED} is a pickle, which is not opened: its names were not compared" if pickled else ""
    return PublishedAdapter(plan_file, base, str(folder / _PICKLED), None, lack)
