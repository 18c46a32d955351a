"""Where results and notices go: standard output, a file, or standard error."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import TextIO

import click

from archlint.report.quoting import one_line

_ASCII = str.maketrans({"→": "->", "×": "x", "·": "|", "…": "...", "–": "-", "─": "-"})
_PIPE_WIDTH = 100
"""Columns for prose where no terminal says how many it has."""


class OutputError(click.ClickException):
    """Results cannot be written to standard output: exit code 2, as where ``--output`` cannot be."""

    exit_code = 2


def width() -> int:
    """Columns to write for: those of ``COLUMNS``, or of the terminal, or 100."""
    return max(40, _columns() or _PIPE_WIDTH)


def _columns() -> int:
    """As :func:`shutil.get_terminal_size` has them, without what else shutil imports; 0 where nothing says."""
    with contextlib.suppress(KeyError, ValueError):
        if (columns := int(os.environ["COLUMNS"])) > 0:
            return columns
    with contextlib.suppress(AttributeError, ValueError, OSError):  # no stream, closed, or no terminal
        return os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
    return 0


def is_terminal() -> bool:
    """Whether results go to a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def wants_color() -> bool:
    """Whether results may be coloured: on a terminal that can, unless ``NO_COLOR`` is set."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def notice(text: str) -> None:
    """Say something beside the results."""
    click.echo(encodable(one_line(text), sys.stderr), err=True)


def emit(text: str) -> None:
    """Write results to standard output. A reader who leaves early (``| head``) is no error, nor is a closed stream.

    Raises:
        OutputError: they cannot be written, for want of room or for another reason.
    """
    if sys.stdout is None:  # closed by the caller: ``>&-``
        return
    try:
        sys.stdout.write(encodable(text, sys.stdout))
        sys.stdout.flush()
    except OSError as error:
        _drop_the_rest()
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"standard output: {error.strerror or error}") from error


def _drop_the_rest() -> None:
    with contextlib.suppress(OSError, ValueError):  # else Python complains when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def encodable(text: str, stream: TextIO) -> str:
    """``text`` in characters that ``stream`` can encode."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


def check_writable(path: Path, spelt: str = "--output") -> None:
    """Find out whether ``path`` can be written, before time is spent on what goes there.

    Args:
        spelt: the option that names it.

    Raises:
        click.UsageError: it cannot.
    """
    if path.is_dir():
        raise click.UsageError(f"{spelt} {path}: is a folder")
    folder = _target(path).parent
    if not folder.is_dir():
        raise click.UsageError(f"{spelt} {path}: the folder {folder} does not exist")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise click.UsageError(f"{spelt} {path}: permission denied")


def write(path: Path, text: str, spelt: str = "--output") -> None:
    """Write a file as a whole or not at all.

    What is no regular file (``/dev/stdout``, a pipe), or is a mount point of its own, is written into.

    Args:
        spelt: the option that names it.

    Raises:
        click.UsageError: it cannot be written.
    """
    target = _target(path)
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8", errors="backslashreplace")
        else:
            _replace(target, text)
    except OSError as error:
        raise click.UsageError(f"{spelt} {path}: {error.strerror or error}") from error


def deliver(text: str, tally: str, output: Path | None) -> None:
    """Write results to standard output, or to the file of ``--output``, of which ``tally`` is told then.

    Raises:
        click.UsageError: the file cannot be written.
        OutputError: standard output cannot.
    """
    if output is None:
        emit(text)
    else:
        write(output, text)
        notice(f"{tally}: written to {output}")


def overwrite(path: Path, old: str, new: str) -> None:
    """Put ``new`` into a file that holds ``old``, as a whole or not at all; a byte order mark stays.

    Raises:
        click.UsageError: it cannot be written, or holds something else by now.
    """
    target = _target(path)
    try:
        content = target.read_bytes()
        mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
        if content != mark + old.encode():
            raise click.UsageError(f"{path}: was changed meanwhile, and is left as it is")
        _replace(target, mark.decode() + new)
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror or error}") from error


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))  # a link stays a link, and what it points to is replaced


def _replace(target: Path, text: str) -> None:
    import tempfile

    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
        temporary.chmod(_mode(target))
        try:
            temporary.replace(target)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            target.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")  # mounted by itself
            temporary.unlink()
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """The permissions of the file that is replaced, or those that a new file gets."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
