"""Published adapters: a folder with an adapter's settings and weights, to be checked against its base model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlint.sources import SourceError
from archlint.sources.contents import ADAPTER_CONFIG, ADAPTER_PICKLE, ADAPTER_WEIGHTS, CONFIG, no_weights, unread_pickle
from archlint.sources.hub import AdapterOnHubError
from archlint.sources.sanity import MAX_LABELS
from archlint.sources.tensors import shapes

if TYPE_CHECKING:
    from archlint.plans import PlanFile


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

    @property
    def task(self) -> str:
        """PEFT's ``task_type``; empty where it has none."""
        task = self.settings.get("task_type")
        return task if isinstance(task, str) else ""

    def with_head(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The base model's ``config`` for the head that the adapter was trained with."""
        return with_labels(config, self.labels)

    @property
    def labels(self) -> int | None:
        """How many classes its own head tells apart, where it brings one: the rows of the head's smallest matrix.

        ``None`` where these are more than any model has labels: a name is made for each.
        """
        saved = self.settings.get("modules_to_save") or ()
        rows = [
            shape[0]
            for name, shape in (self.shapes or {}).items()
            if len(shape) == 2 and "lora_" not in name and any(f".{head}." in name for head in saved)
        ]
        labels = min(rows, default=None)
        return labels if labels is None or labels <= MAX_LABELS else None


def from_hub(name: str, found: AdapterOnHubError) -> PublishedAdapter:
    """The adapter in the hub's repository ``name``.

    Raises:
        SourceError: its settings cannot be read, or name no base model.
    """
    plan_file = _settings(found.settings, f"archlint SOURCE --adapter-config {shlex.quote(str(found.settings))}")
    assert plan_file.base_model is not None  # it was looked for
    return PublishedAdapter(plan_file, plan_file.base_model, f"{ADAPTER_WEIGHTS} of {name}", found.shapes, found.lack)


def _settings(file: Path, instead: str) -> PlanFile:
    from archlint.plans import PlanError, read_plan_file

    try:
        plan_file = read_plan_file(file)
    except PlanError as error:
        raise SourceError(str(error)) from error
    if plan_file.base_model is None:
        raise SourceError(f"{file} names no base model", f"check it against a model: {instead}")
    return plan_file


def find(name: str) -> PublishedAdapter | None:
    """The adapter in the folder ``name``, or beside the settings file ``name``; ``None`` where it is none.

    A folder that holds a model's config.json as well is a model.

    Raises:
        SourceError: it is one that cannot be read, or names no base model.
    """
    path = Path(name).expanduser()
    folder = path.parent if path.name == ADAPTER_CONFIG else path
    try:
        if not (folder / ADAPTER_CONFIG).is_file() or (path.is_dir() and (folder / CONFIG).is_file()):
            return None
    except (OSError, ValueError):  # a name that no path can have
        return None
    settings = folder / ADAPTER_CONFIG
    plan_file = _settings(settings, f"archlint SOURCE --adapter-config {shlex.quote(str(settings))}")
    assert plan_file.base_model is not None  # it was looked for
    beside = folder / plan_file.base_model
    base = str(beside) if plan_file.base_model.startswith(".") and beside.exists() else plan_file.base_model
    weights = folder / ADAPTER_WEIGHTS
    if weights.is_file():
        return PublishedAdapter(plan_file, base, str(weights), shapes(weights))
    pickle = folder / ADAPTER_PICKLE
    if pickle.is_file():
        return PublishedAdapter(plan_file, base, str(pickle), None, unread_pickle(str(pickle)))
    # a folder is what is loaded, and a file of settings is asked about for itself
    lack = no_weights(str(folder)) if path.is_dir() else ""
    return PublishedAdapter(plan_file, base, str(weights), None, lack)


def with_labels(config: Mapping[str, Any], labels: int | None) -> dict[str, Any]:
    """A model's ``config`` for a classifier with so many ``labels``; its own number where that is ``None``."""
    fitted = dict(config)
    if labels is not None:
        fitted = {key: value for key, value in config.items() if key not in ("id2label", "label2id")}
        fitted["num_labels"] = labels
    if fitted.get("pad_token_id") is None:
        fitted["pad_token_id"] = 0  # who trains a classifier sets one: its batches are padded
    return fitted
