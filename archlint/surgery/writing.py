"""A patch file, of the options of one way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archlint.core.blueprint import ModelInfo
from archlint.surgery.composing import composed
from archlint.surgery.heading import header
from archlint.surgery.option import Option
from archlint.surgery.patch import Patch


def written(options: Sequence[Option], model: ModelInfo, versions: Mapping[str, str | None]) -> Patch:
    """The patch that does what ``options`` do; all are of one way, and none lacks anything."""
    constants: dict[str, tuple[Any, str]] = {
        "MADE_FOR": (model.class_name, "The class of the model that this file was made for.")
    }
    for option in options:
        for name, (values, comment) in option.constants.items():
            joined = {**constants[name][0], **values} if name in constants else values
            constants[name] = joined, comment
    text = composed(header(options, model, versions), constants, options[0].templates)
    return Patch(text, way=options[0].operation.way)
