"""Which subject a source is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archlint.building import built
from archlint.subject import CodeNotRunError

if TYPE_CHECKING:
    from archlint.identity import Located
    from archlint.options import Options
    from archlint.subject import Bench, Subject


def subject_of(located: Located, options: Options) -> Subject:
    """The model of a source: built, or as the repository's own code has it.

    Raises:
        CodeNotRunError: only the repository's own code has the architecture; it may not run, and cannot be read.
        NotBuiltError: there is no model to look at.
    """
    if _is_to_be_read(located, options):
        from archlint.as_read import as_read

        return as_read(located, options)
    return bench_of(located, options)


def bench_of(located: Located, options: Options) -> Bench:
    """The model of a source, built here or by the repository's own code.

    Raises:
        CodeNotRunError: only the repository's own code has the architecture, and it may not run.
        NotBuiltError: there is no model to look at.
    """
    if _is_to_be_read(located, options):
        raise CodeNotRunError("not run: custom code; --trust-remote-code runs it")
    if not located.is_custom or _is_exported(options.source.class_name):
        return built(located, options)
    from archlint.containment import contained

    return contained(located, options)


def _is_to_be_read(located: Located, options: Options) -> bool:
    is_trusted = options.source.trust_remote_code
    return located.is_custom and not is_trusted and not _is_exported(options.source.class_name)


def _is_exported(class_name: str | None) -> bool:
    """Whether transformers has a model class of this name."""
    from archlint.skeleton.classes import exported_class

    return class_name is not None and exported_class(class_name) is not None
