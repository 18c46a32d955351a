"""``archlint scan``: many sources, each in a process of its own."""

from __future__ import annotations

import contextlib
import math
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from archlint.cli.commands import INTERRUPTED, UNCHECKED, SectionedCommand, option
from archlint.cli.options import (
    PLAN,
    TRAINERS,
    WHAT,
    cache_option,
    fail_on_option,
    load_catalog,
    load_option,
    prove_option,
    rule_options,
    scope_option,
    settings_options,
    severity,
    source_options,
)
from archlint.cli.output import OutputError, check_writable, emit, encodable, notice, width
from archlint.cli.plans import plan_options
from archlint.cli.scan_progress import Shown, shown
from archlint.cli.settings import Choices
from archlint.cli.trainers import trainer_options
from archlint.report.wording import plural

if TYPE_CHECKING:
    from archlint.cli.questions import Asking
    from archlint.options import Options
    from archlint.scanning.entries import Entry, Shard
    from archlint.scanning.files import ResultFile
    from archlint.scanning.index import Index
    from archlint.scanning.processes import Limits
    from archlint.scanning.results import Results
    from archlint.scanning.scan import Progress, Scan
    from archlint.scanning.tasks import Engine

_LISTS, _RUN, _RULES, _RESULTS = "Lists", "How it runs", "Rules", "Results"
_GIB = 2**30
_AHEAD = 1000
"""Lines of lists that are read before they are needed."""
_NAMED = 3
"""Sources that are named where several are told of at once."""
_MIXED = "it holds what was made with other options or versions: name another file, or delete it"
TERMINATED = 143
"""As a shell has it: 128 and the number of SIGTERM."""


def _shard(_: click.Context, __: click.Parameter, value: str | None) -> Shard:
    from archlint.scanning.entries import Shard

    if value is None:
        return Shard()
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", value)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"{value!r} is not of the form I/N, with I from 1 to N.")
    return Shard(int(found[1]), int(found[2]))


class _Amount(click.FloatRange):
    """A number above zero, and no ``nan`` or ``inf``, which Python reads as numbers."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


@click.command(
    cls=SectionedCommand,
    short_help="Check thousands of models, each in a process of its own.",
    epilog="""\
Examples:
  archlint scan models.txt -o scan.jsonl            one source a line
  archlint scan ./checkpoints --statistics          every model in a folder tree
  archlint scan --all-types --jobs 8 -o types.jsonl
  archlint scan --hub-list ids.txt --shard 3/16 -o part-3.jsonl
  archlint scan models.txt -o scan.jsonl --resume   go on after a kill
  archlint report part-*.jsonl --format html --output dashboard.html

Arguments:
  a list (.txt or any other file: one source a line, # for comments), .jsonl
  with texts or objects of source, revision, subfolder or a whole config, a
  folder tree, one source as check takes it, or - for the standard input

Exit codes:
  0  nothing at or above --fail-on (error)
  1  findings
  2  wrong usage, results that cannot be written or mixed
  3  something could not be checked: it crashed, hung, took too much memory, …
  130, 143  interrupted, ended: --resume goes on
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("sources", nargs=-1, metavar="[SOURCES_OR_FILES]...")
@option("--all-types", is_flag=True, help="Every model type of the installed transformers.", section=_LISTS)
@option(
    "--hub-list",
    "hub_lists",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Hub ids, or what list_models gives, one a line.",
    section=_LISTS,
)
@option("--shard", callback=_shard, metavar="I/N", help="Scan the I-th of N parts of it only.", section=_LISTS)
@option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many models at a time (default: cores).",
    section=_RUN,
)
@option(
    "--timeout",
    type=_Amount(),
    default=300.0,
    metavar="SECONDS",
    help="End a model that takes longer (default: 300).",
    section=_RUN,
)
@option(
    "--memory",
    type=_Amount(),
    metavar="GIB",
    help="End one that takes more (default: a job's share).",
    section=_RUN,
)
@option(
    "--engine",
    type=click.Choice(["processes", "ray"]),
    default="processes",
    metavar="ENGINE",
    help="processes, or ray: those of a Ray cluster.",
    section=_RUN,
)
@option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there, each line when it is done.",
    section=_RESULTS,
)
@option("--resume", is_flag=True, help="Go on with what FILE has.", section=_RESULTS)
@option("--statistics", is_flag=True, help="Tables of rules, model types and time.", section=_RESULTS)
@fail_on_option(_RESULTS)
@scope_option(WHAT)
@prove_option(WHAT)
@plan_options(PLAN)
@trainer_options(TRAINERS)
@rule_options(_RULES)
@load_option(_RULES)
@source_options()
@settings_options()
@cache_option()
@click.pass_context
def scan(
    ctx: click.Context,
    /,
    sources: Sequence[str],
    all_types: bool,
    hub_lists: Sequence[Path],
    shard: Shard,
    jobs: int | None,
    timeout: float,
    memory: float | None,
    engine: str,
    output: Path | None,
    resume: bool,
    statistics: bool,
    **_: Any,
) -> None:
    """Check many sources, and write a line of JSON for each, as check --format jsonl does.

    A model that crashes, hangs or takes too much memory is "not checked", and costs no other. Models of the same
    architecture are run once. With -o and --resume a scan goes on wherever it was killed.
    """
    from archlint.cli.questions import Asking
    from archlint.scanning import entries
    from archlint.scanning.ahead import Reading
    from archlint.scanning.files import ResultFileError
    from archlint.scanning.identifying import usual
    from archlint.scanning.index import Index
    from archlint.scanning.launching import LaunchError
    from archlint.scanning.lines import digest
    from archlint.scanning.processes import cores
    from archlint.scanning.results import InFile, InOrder
    from archlint.scanning.scan import MixedError, Scan

    if not (sources or all_types or hub_lists):
        raise click.UsageError("there is nothing to scan: name lists, folders or sources, or --all-types.")
    if resume and output is None:
        raise click.UsageError("--resume goes on with a file: name it with -o.")
    choices = Choices(ctx)
    values = choices.of_all().values
    catalog = load_catalog(choices.rule_files([*sources, *choices.sources]))
    fail_on = severity(values["fail_on"])
    of_each = len(choices.tables) > 1
    ask = _questions(Asking(ctx, choices, catalog), of_each=of_each)
    runs = _engine(engine, jobs, timeout, memory)

    def wanted() -> Iterator[Entry]:
        everything = entries.wanted(sources, hub_lists, sys.stdin.buffer, all_types=all_types)
        return (entry for entry in everything if entry.is_in(shard))

    index, twice = Index(), list[str]()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(index))
        results: Results
        if output is None:
            results = stack.enter_context(contextlib.closing(InOrder(_emit)))
        else:
            check_writable(output, "-o")
            results = InFile(stack.enter_context(contextlib.closing(_opened(output, index, resume=resume))))
            if not of_each and index.digests() - {digest(ask(""))}:
                raise click.UsageError(f"-o {output}: {_MIXED}")
        work = Scan(
            Reading(wanted(), _AHEAD),
            options=ask,
            identity=usual(),
            engine=runs,
            results=results,
            index=index,
            told_twice=lambda name: twice.append(name) if len(twice) < _NAMED else None,
        )
        again = wanted if entries.can_be_read_again(sources, hub_lists) else None
        show = stack.enter_context(shown(work, again, to_file=output is not None))
        try:
            stopped = _run(work, results, show)
        except MixedError as error:
            raise click.UsageError(f"-o {output}: {_MIXED} ({error})") from error
        except ResultFileError as error:
            raise click.UsageError(f"-o {error}") from error
        except LaunchError as error:
            raise NoProcessError(str(error)) from error
        finally:
            show.end()
        _conclude(work.progress, twice, stopped, output, index.strangers())
    if statistics:
        names = {code: rule.name for code, rule in catalog.known.items()}
        _show_statistics(work.progress, names, jobs or cores(), on_output=output is not None)
    if not stopped and not work.progress.tally.models and shard.of == 1:
        notice("nothing was scanned: the lists name no source")
        ctx.exit(UNCHECKED)
    ctx.exit(stopped or work.progress.tally.exit_code(fail_on))


class NoProcessError(click.ClickException):
    """Nothing can be checked, as no process can be started to do so."""

    exit_code = UNCHECKED


class _NobodyReadsError(Exception):
    """Standard output was closed by its reader."""


def _opened(output: Path, index: Index, *, resume: bool) -> ResultFile:
    from archlint.scanning.files import ResultFile, ResultFileError

    try:
        file = ResultFile(output, index, resume=resume)
    except ResultFileError as error:
        raise click.UsageError(f"-o {error}") from error
    if file.dropped:
        notice(f"{output}: what {plural(file.dropped, 'broken line')} said is scanned again")
    return file


def _questions(asking: Asking, *, of_each: bool) -> Callable[[str], Options]:
    """The options for a source. Where all sources have the same, they are made once."""

    def ask(source: str) -> Options:
        return asking.question(source).options

    if of_each:
        return ask
    same = ask("")
    return lambda source: same


def _engine(name: str, jobs: int | None, timeout: float, memory: float | None) -> Engine:
    """The engine of that name."""
    import os

    from archlint.scanning.forking import Forking
    from archlint.scanning.memory import available, usage
    from archlint.scanning.processes import Limits, Processes, cores
    from archlint.scanning.spawning import Spawning

    if name == "ray":
        return _ray(jobs, Limits(timeout) if memory is None else Limits(timeout, int(min(memory * _GIB, sys.maxsize))))
    jobs = jobs or cores()
    most = available() // jobs if memory is None else int(min(memory * _GIB, sys.maxsize))
    launcher = Forking() if hasattr(os, "fork") else Spawning()
    return Processes(launcher, jobs=jobs, limits=Limits(timeout, most), usage=usage)


def _ray(jobs: int | None, limits: Limits) -> Engine:
    """The engine of a Ray cluster."""
    from importlib.util import find_spec

    if find_spec("ray") is None:
        raise click.UsageError("--engine ray needs Ray: pip install 'archlint[ray]'.")
    from archlint.scanning.on_ray.engine import OnRay
    from archlint.scanning.on_ray.worker import Setup

    return OnRay(jobs=jobs, setup=Setup.here(limits))


def _run(work: Scan, results: Results, show: Shown) -> int:
    """Scan to the end, or until a signal; the exit code that this asks for, else 0."""
    with _signals() as signals:
        going = work.run()
        try:
            for _ in going:
                show.tick()
                if signals:
                    break
        except _NobodyReadsError:
            return 0
        finally:
            going.close()
        if signals:
            with contextlib.suppress(_NobodyReadsError):
                results.stop()
            return INTERRUPTED if signals[0] == signal.SIGINT else TERMINATED
    return 0


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """What was sent to end this process: it may end what it does first. A second signal ends it at once."""
    sent: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def note(number: int, _: FrameType | None) -> None:
        sent.append(number)
        for each in numbers:
            signal.signal(each, before[each])

    for number in numbers:
        signal.signal(number, note)
    try:
        yield sent
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def _emit(line: bytes) -> None:
    """Write a result to standard output."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(line.decode("ascii"))
        sys.stdout.flush()
    except BrokenPipeError as error:
        emit("")  # which leaves nothing behind that Python would complain about
        raise _NobodyReadsError from error
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from error


def _conclude(progress: Progress, twice: Sequence[str], stopped: int, output: Path | None, strangers: int) -> None:
    if twice:
        names = ", ".join(twice) + (", …" if progress.twice > len(twice) else "")
        notice(f"named more than once, and scanned once: {names} ({plural(progress.twice, 'line')})")
    if strangers and not stopped:
        notice(f"{output}: {plural(strangers, 'result')} of what the lists do not name are kept at its end")
    told = f"{progress.tally}"
    if progress.alike:
        told += f" · {progress.alike} alike with another"
    if progress.resumed:
        told += f" · {progress.resumed} there already"
    if output is not None:
        told += f": written to {output}"
    if stopped:
        again = "; go on with --resume" if output is not None else ""
        told = f"interrupted after {told}{again}"
    notice(told)


def _show_statistics(progress: Progress, names: Mapping[str, str], jobs: int, *, on_output: bool) -> None:
    """Write the tables: to standard output where results are not there."""
    import io

    from rich.console import Console

    from archlint.scanning import statistics

    written = io.StringIO()
    console = Console(file=written, width=width(), highlight=False, color_system=None)
    for table in statistics.tables(progress, names, jobs):
        console.print(table)
    if on_output:
        emit(written.getvalue())
    else:
        click.echo(encodable(written.getvalue(), sys.stderr), err=True, nl=False)
