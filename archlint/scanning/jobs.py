"""A check on its way to another process, and its report on the way back."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archlint.core.report import Report, Run
from archlint.core.rule import Rule
from archlint.core.shortage import ran_out
from archlint.report import contract
from archlint.versions import environment

if TYPE_CHECKING:
    from archlint.options import Options

L = TypeVar("L")

LARGEST = 64 * 2**20
"""Bytes of an answer: a hundred times what the report on any model has."""
OUT_OF_MEMORY = "the memory that it asked for is not there"


def pack(check: Callable[[L, Options], Report], located: L, options: Options) -> bytes:
    """The call ``check(located, options)`` as bytes. Rules travel by name, those of ``--load`` by their file."""
    buffer = io.BytesIO()
    _Packer(buffer, pickle.HIGHEST_PROTOCOL).dump(functools.partial(check, located, options))
    return buffer.getvalue()


def answer(job: bytes) -> bytes:
    """The answer of a packed call as JSON: ``{"document": …}``, or ``{"lost": "why"}`` where there is no report.

    Whatever the code of a model raises is answered, ``SystemExit`` too. That memory is short says nothing of a model:
    a report on a check in which it ran out is lost.
    """
    try:
        report: Report = pickle.loads(job)()
        document = contract.document(Run(environment(), (dataclasses.replace(report, seconds=0.0),)))
        text = json.dumps({"document": document}, allow_nan=False)
        if len(text) > LARGEST:
            lost = f"its report is larger than {LARGEST // 2**20} MiB"
        elif not ran_out(text):
            return text.encode()
        else:
            lost = OUT_OF_MEMORY
    except MemoryError:
        lost = OUT_OF_MEMORY
    except SystemExit as error:
        lost = f"its code called sys.exit({error.code!r})"
    except Exception as error:
        lost = f"archlint itself failed: {type(error).__name__}: {error}"
    except BaseException as error:  # nothing is above this but the end of the process
        lost = f"its code raised {type(error).__name__}"
    return json.dumps({"lost": lost}).encode()


class _Packer(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        from archlint.plans import PlanFile

        if isinstance(thing, type) and issubclass(thing, Rule) and os.path.isabs(thing.__module__):  # noqa: PTH117
            return _rule, (thing.__module__, thing.__qualname__)
        if isinstance(thing, PlanFile):  # its document holds what is tied to the file's text
            return _plan_file, (thing.path,)
        return NotImplemented


def _rule(file: str, name: str) -> Any:
    """A rule of a file of ``--load``, which is loaded where it is not yet."""
    from archlint.core.catalog import Catalog

    if file not in sys.modules:
        Catalog.load([Path(file)])
    return functools.reduce(getattr, name.split("."), sys.modules[file])


def _plan_file(path: Path) -> Any:
    from archlint.plans import read_plan_file

    return read_plan_file(path)
