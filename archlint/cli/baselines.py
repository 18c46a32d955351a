"""``--baseline`` and ``--write-baseline``: findings that are known, and those that from now on are."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archlint.cli.commands import Setting, option, together
from archlint.cli.output import check_writable, notice, write

if TYPE_CHECKING:
    from archlint.baselines import Baseline
    from archlint.core.report import Run

F = TypeVar("F", bound=Callable[..., Any])

_WRITE = "--write-baseline"


def baseline_options(section: str) -> Callable[[F], F]:
    """``--baseline`` and ``--write-baseline``."""
    return together(
        option(
            "--baseline",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Leave out what is known, as FILE says.",
            section=section,
            setting=Setting.OF_ALL,
        ),
        option(
            _WRITE,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Make all that is found known, in FILE.",
            section=section,
        ),
    )


class Known:
    """The baseline of one call.

    Raises:
        click.UsageError: a file is no baseline or cannot be written, or both options are given.
    """

    def __init__(self, read: Path | None, kept: Path | None) -> None:
        if read is not None and kept is not None:
            raise click.UsageError(f"--baseline reads a file, and {_WRITE} renews it: give one of them.")
        self._kept = kept
        if kept is not None:
            check_writable(kept, _WRITE)
        path = kept if kept is not None and kept.exists() else read
        self._baseline = None if path is None else _read(path, "--baseline" if read is not None else _WRITE)

    def applied(self, run: Run, codes: Collection[str], asked: str) -> Run:
        """``run`` without what is known; with ``--write-baseline``, what it found is known from now on.

        Args:
            run: of sources of which the same is asked.
            codes: of the rules that ran.
            asked: the options that decide what there is to find.
        """
        if self._kept is not None:
            from archlint.baselines import Baseline

            self._baseline = (self._baseline or Baseline(folder=self._kept.parent)).updated(run, codes, asked)
        return run if self._baseline is None else self._baseline.applied(run, codes, asked)

    def keep(self) -> None:
        """Write what is known to the file of ``--write-baseline``."""
        if self._kept is not None and self._baseline is not None:
            write(self._kept, self._baseline.text, _WRITE)
            notice(f"findings that are known: {len(self._baseline.entries)}, written to {self._kept}")


def _read(path: Path, spelt: str) -> Baseline:
    from archlint.baselines import Baseline, BaselineError

    try:
        return Baseline.read(path)
    except BaselineError as error:
        raise click.UsageError(f"{spelt} {error}") from error
