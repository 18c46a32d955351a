"""A patch: a Python file with ``unwrap`` and ``rewrap``, or with ``register``, and what it does when it is run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from archlint.core.surgery import Way

_MODULE = "archlint_patch"


class PatchError(Exception):
    """A file is no patch; the message says why."""


@dataclass(frozen=True)
class Patch:
    """The text of a patch file; running it is up to who asks for its functions."""

    text: str
    name: str = "patch"
    way: Way | None = None
    """What it does; ``None`` for somebody's own."""

    @classmethod
    def read(cls, path: Path) -> Patch:
        """The patch in a file.

        Raises:
            PatchError: it cannot be read, or is no Python.
        """
        try:
            text = path.read_text(encoding="utf-8")
            compile(text, str(path), "exec")
        except (OSError, UnicodeDecodeError, SyntaxError, ValueError) as error:
            raise PatchError(f"{path}: {error}") from error
        return cls(text, str(path))

    @cached_property
    def module(self) -> ModuleType:
        """The file, run.

        Raises:
            PatchError: it raises.
        """
        module = ModuleType(_MODULE)
        module.__file__ = self.name
        sys.modules[_MODULE] = module  # dataclasses look themselves up there
        try:
            exec(compile(self.text, self.name, "exec"), vars(module))
        except (Exception, SystemExit) as error:  # somebody's own file
            raise PatchError(f"{self.name} raises {type(error).__name__}: {error}") from error
        finally:
            del sys.modules[_MODULE]
        return module

    def function(self, name: str) -> Callable[..., Any] | None:
        """What the file defines under ``name``; ``None`` where it does not."""
        found = getattr(self.module, name, None)
        return found if callable(found) else None
