"""What differs from one patch file to the next."""

from __future__ import annotations

from typing import Any

MADE_FOR = ""
"""The class of the model."""
WRAPPERS: dict[str, str] = {}
"""The wrappers' classes, and what each calls the linear inside."""
SETTINGS: dict[str, dict[str, Any]] = {}
"""What the wrappers of a class have in common, as other settings may mean more."""
