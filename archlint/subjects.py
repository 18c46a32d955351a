"""Which subject a source is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archlint.building import built

if TYPE_CHECKING:
    from archlint.identity import Located
    from archlint.options import Options
    from archlint.subject import Subject


def subject_of(located: Located, options: Options) -> Subject:
    """The model of a source.

    Raises:
        CodeNotRunError: only the repository's own code has the architecture, and it may not run.
        NotBuiltError: there is no model to look at.
    """
    return built(located, options)
