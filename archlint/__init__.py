"""archlint: tells what breaks when a model is fine-tuned, before anybody rents a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Example", "Rule", "__version__", "lint"]

if TYPE_CHECKING:
    from archlint.core.rule import Example, Rule
    from archlint.engine import lint

_checkout = Path(__file__).resolve().parent.parent
if not (Path(__file__).parent / "rules").is_dir() and (_checkout / "rules").is_dir():
    __path__.append(str(_checkout))  # a plain checkout: rules/ and fixtures/ stand beside the package


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that ``import archlint`` stays instant."""
    if name == "lint":
        from archlint.engine import lint

        return lint
    if name in ("Rule", "Example"):
        from archlint.core import rule

        return getattr(rule, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
