"""What a model's own code raised, told by the deepest line of that code."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import FrameType

from archlint.core.messages import settled
from archlint.core.trial import Crash
from archlint.survey.source_code import shown_path

_FOREIGN = ("torch.", "peft.", "accelerate.", "archlint.")
_MODELS = "archlint.fixtures."


def crash_of(error: BaseException, paths: Mapping[int, str]) -> Crash:
    """The crash that ``error`` is, raised while a model was run; ``paths`` are those of its modules, by identity."""
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(frame, line) for frame, line in frames if not _is_foreign(frame)]
    running = [path for frame, _ in frames if (path := paths.get(id(frame.f_locals.get("self")))) is not None]
    file, line = (shown_path(own[-1][0].f_code.co_filename), own[-1][1]) if own else (None, None)
    return Crash(
        type=type(error).__name__,
        message=settled(" ".join(str(error).split())),
        file=file,
        line=line,
        at=running[-1] if running else None,
    )


def _is_foreign(frame: FrameType) -> bool:
    name = f"{frame.f_globals.get('__name__', '')}."
    return name.startswith(_FOREIGN) and not name.startswith(_MODELS)
