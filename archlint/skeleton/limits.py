"""A bound on what a build may cost, for configs that ask for the absurd in ways no check of numbers foresees."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from archlint.deadline import deadline

MAX_MODULES = 250_000
"""Twice what a model of a trillion parameters has where each of its experts is a module of its own."""
MAX_SECONDS = 30.0
"""Sixty times what the largest models of transformers take."""


class BuildTooLargeError(Exception):
    """The model has more modules, or takes longer to build, than any real one."""

    def __init__(self, reason: str = f"it takes more than {MAX_SECONDS:.0f} s") -> None:
        super().__init__(reason)


@contextlib.contextmanager
def bounded_build() -> Iterator[None]:
    """Stop a build that registers more than :data:`MAX_MODULES` modules or takes over :data:`MAX_SECONDS`.

    One call into compiled code is waited for, however long it takes.

    Raises:
        BuildTooLargeError: from inside the block, at the module that is one too many or wherever time is up.
    """
    from torch.nn.modules.module import register_module_module_registration_hook

    modules = 0

    def count(*_: object) -> None:
        nonlocal modules
        modules += 1
        if modules > MAX_MODULES:
            raise BuildTooLargeError(f"it has more than {MAX_MODULES:,} modules")

    handle = register_module_module_registration_hook(count)
    try:
        with deadline(MAX_SECONDS, BuildTooLargeError):
            yield
    finally:
        handle.remove()
