"""A bound on what a build may cost, for configs that ask for the absurd in ways no check of numbers foresees."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

MAX_MODULES = 500_000
MAX_SECONDS = 120.0


class BuildTooLargeError(Exception):
    """The model has more modules, or takes longer to build, than any real one."""


@contextlib.contextmanager
def bounded_build() -> Iterator[None]:
    """Stop a build that registers more than :data:`MAX_MODULES` modules or takes over :data:`MAX_SECONDS`.

    Raises:
        BuildTooLargeError: from inside the block, at the module that is one too many.
    """
    from torch.nn.modules.module import register_module_module_registration_hook

    modules = 0
    deadline = time.monotonic() + MAX_SECONDS

    def count(*_: object) -> None:
        nonlocal modules
        modules += 1
        if modules > MAX_MODULES:
            raise BuildTooLargeError(f"the model has more than {MAX_MODULES:,} modules")
        if time.monotonic() > deadline:
            raise BuildTooLargeError(f"building it takes more than {MAX_SECONDS:.0f} s")

    handle = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
