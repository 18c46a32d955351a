"""``archlint patch``: surgery for after loading, as a file to keep beside a training script."""

from __future__ import annotations

import functools
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archlint.cli.commands import UNCHECKED, SectionedCommand, option
from archlint.cli.options import settings_options, source_options, source_settings
from archlint.cli.output import check_writable, emit, encodable, notice, write
from archlint.cli.progress import progress

if TYPE_CHECKING:
    from archlint.engine import Options
    from archlint.subject import Bench
    from archlint.surgery.patch import Patch

_PATCH, _TRIAL = "The patch", "Its trial"


@click.command(
    cls=SectionedCommand,
    short_help="Write the surgery that a model needs before PEFT.",
    epilog="""\
Examples:
  archlint patch google/gemma-4 -o unwrapping.py
  archlint patch google/gemma-4 --list          every way, exact or lossy
  archlint patch google/gemma-4 --verify        train, merge and reload a small copy with it
  archlint patch ./my-model --verify --patch my_patch.py

Ways:
  unwrap    the linear inside a wrapper takes the wrapper's place
  keep      the same, and it goes on doing what the wrapper does
  register  no surgery: PEFT is told how to adapt the wrapper
  shield    layers that look like a linear and are none are passed by
  split     fused projections become linears with names of their own
  experts   stacked experts become linears with names of their own

Exit codes:
  0  a patch was written or listed, and verified where asked
  1  there is none, or a step of its trial fails
  2  wrong usage, or a patch that cannot be read or written
  3  the source, or the patch, could not be checked
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("source")
@option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there, not to standard output.",
    section=_PATCH,
)
@option(
    "--way",
    type=click.Choice(["unwrap", "keep", "register", "shield", "split", "experts"]),
    metavar="WAY",
    help="One of those below, not the first that keeps the forward.",
    section=_PATCH,
)
@option("--list", "is_listed", is_flag=True, help="Tell the ways that there are, and write none.", section=_PATCH)
@option("--verify", "is_verified", is_flag=True, help="Try it from end to end on a small copy.", section=_TRIAL)
@option(
    "--patch",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Verify this file of yours instead: it is run.",
    section=_TRIAL,
)
@source_options()
@settings_options()
@click.pass_context
def patch(
    ctx: click.Context,
    /,
    source: str,
    output: Path | None,
    way: str | None,
    is_listed: bool,
    is_verified: bool,
    file: Path | None,
    **_: Any,
) -> None:
    """Write a Python file with unwrap(model) and rewrap(model) for what PEFT cannot adapt in SOURCE by its names.

    The file needs torch alone. What it changes was measured and stands at its head, as exact or lossy.
    """
    if file is not None and not is_verified:
        raise click.UsageError("--patch goes with --verify.")
    if file is not None and (way or is_listed or output):
        raise click.UsageError("--patch is a file of yours: --way, --list and --output are for archlint's own.")
    if is_listed and (is_verified or output or way):
        raise click.UsageError("--list goes by itself.")
    if output is not None:
        check_writable(output)
    from archlint.cli.settings import Choices
    from archlint.engine import Options

    values = Choices(ctx).of(source).values

    own = None if file is None else _read(file)
    with progress() as tell:
        options = Options(prove=False, source=source_settings(values), progress=functools.partial(tell, source))
        outcome = _outcome(source, options, way, own, is_listed=is_listed, is_verified=is_verified)
    for note in outcome.notes:
        notice(note)
    if outcome.text and output is not None:
        write(output, outcome.text)
    elif outcome.text:
        emit(outcome.text)
    if outcome.told:
        click.echo(encodable(outcome.told, sys.stderr), err=True, nl=False)
    ctx.exit(outcome.code)


@dataclass(frozen=True)
class _Outcome:
    """What a call comes to: its exit code, the result, and what is said beside it."""

    code: int
    text: str = ""
    """The patch, or the list of ways."""
    told: str = ""
    """The steps of the trial."""
    notes: tuple[str, ...] = ()


def _outcome(
    source: str, options: Options, way: str | None, own: Patch | None, *, is_listed: bool, is_verified: bool
) -> _Outcome:
    from archlint import engine
    from archlint.core.report import Report
    from archlint.core.surgery import Way
    from archlint.report.surgery import listed

    with engine.opening(source, options) as found:
        if isinstance(found, Report):
            lacks = tuple(f"error: {lack.what}: {lack.why}" for lack in found.unchecked)
            return _Outcome(UNCHECKED, notes=lacks)
        notes = tuple(f"note: {note}" for note in found.notes)
        if is_listed:
            return _Outcome(0, listed(found.surgeries(), found.blueprint.model), notes=notes)
        made = own or found.patch(None if way is None else Way(way))
        if made is None:
            lacks = tuple(
                f"{operation.way.value} for {operation.sites[0].type.name}: {operation.lack}"
                for operation in found.surgeries()
                if operation.lack
            )
            what = "no patch applies" if way is None else f"--way {way} applies to nothing"
            others = f": archlint patch {shlex.quote(source)} --list tells what does" if found.surgeries() else ""
            note = f"{what} in {found.blueprint.model.class_name}{others}"
            return _Outcome(1, notes=(*notes, *lacks, note))
        text = "" if own is not None else made.text
        if own is None and way is None and made.way is not None:
            notes += (f"note: the way is {made.way.value}; --list tells all",)
        if not is_verified:
            return _Outcome(0, text, notes=notes)
        return _verified(found, made, text, notes)


def _verified(found: Bench, made: Patch, text: str, notes: tuple[str, ...]) -> _Outcome:
    from archlint.report.surgery import verified
    from archlint.subject import NotVerifiableError
    from archlint.surgery.patch import PatchError

    try:
        steps = found.verify(made)
    except NotVerifiableError as error:
        return _Outcome(UNCHECKED, text, notes=(*notes, f"not verified: {error}"))
    except PatchError as error:
        return _Outcome(1, text, notes=(*notes, f"error: {error}"))
    return _Outcome(0 if all(step.passed for step in steps) else 1, text, verified(steps), notes)


def _read(file: Path) -> Patch:
    from archlint.surgery.patch import Patch, PatchError

    try:
        own = Patch.read(file)
        if own.function("unwrap") is None and own.function("register") is None:
            raise PatchError(f"{file}: defines neither unwrap(model) nor register(config, model)")
    except PatchError as error:
        raise click.UsageError(f"--patch {error}") from error
    return own
