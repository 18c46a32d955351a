"""archlint: tells what breaks when a model is fine-tuned, before anybody rents a GPU."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Example",
    "FindingsError",
    "NoPatchError",
    "NoRecipeError",
    "Report",
    "Rule",
    "__version__",
    "check_plan",
    "lint",
    "patch",
    "recipe",
    "surgeries",
]

if TYPE_CHECKING:
    from archlint.api import NoPatchError, NoRecipeError, check_plan, lint, patch, recipe, surgeries
    from archlint.core.report import FindingsError, Report
    from archlint.core.rule import Example, Rule

_checkout = Path(__file__).resolve().parent.parent
if not (Path(__file__).parent / "rules").is_dir() and (_checkout / "rules").is_dir():
    __path__.append(str(_checkout))  # a plain checkout: rules/ and fixtures/ stand beside the package


_PUBLIC = {
    "api": ("NoPatchError", "NoRecipeError", "check_plan", "lint", "patch", "recipe", "surgeries"),
    "core.report": ("FindingsError", "Report"),
    "core.rule": ("Example", "Rule"),
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that ``import archlint`` stays instant."""
    for module, names in _PUBLIC.items():
        if name in names:
            return getattr(import_module(f"archlint.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
