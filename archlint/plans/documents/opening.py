"""Open a file of settings in whichever syntax it is, told by what is in it."""

from __future__ import annotations

import ast
import codecs
import re
from pathlib import Path

from archlint.plans.document import Document, PlanError

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a file begins that Windows PowerShell redirected into."""
_MOST_BYTES = 4 * 2**20
_COMMAND = re.compile(
    r"^[ \t]*(\w+=\S*[ \t]+)*"
    r"(trl|swift|megatron|llamafactory-cli|axolotl|accelerate|torchrun|deepspeed|python3?|unsloth)\s",
    re.MULTILINE,
)
"""A line that starts a trainer."""


def open_document(path: Path) -> Document:
    """The settings in the file at ``path``.

    Raises:
        PlanError: it cannot be read, or is of none of the syntaxes.
    """
    return _syntax(path, text := read_text(path))(path, text)


def read_text(path: Path) -> str:
    """The text of a file, its line breaks as they are, without the byte order mark.

    Raises:
        PlanError: it is no regular file, is too large, or holds something else than text in UTF-8.
    """
    try:
        if not path.is_file():
            raise PlanError(f"{path}: {'no such file' if not path.exists() else 'not a regular file'}")
        if path.stat().st_size > _MOST_BYTES:
            raise PlanError(f"{path}: larger than {_MOST_BYTES // 2**20} MiB: no file of settings")
        data = path.read_bytes()
        if data.startswith(_UTF_16):
            raise PlanError(f"{path}: text in UTF-16, not in UTF-8: save it in that encoding")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path}: not text in UTF-8") from error


def _syntax(path: Path, text: str) -> type[Document]:
    from archlint.plans.documents.command_document import CommandDocument
    from archlint.plans.documents.json_document import JsonDocument
    from archlint.plans.documents.python_document import PythonDocument

    if path.suffix == ".ipynb":
        raise PlanError(f"{path}: a notebook; save it as a script (jupyter nbconvert --to script)")
    if text.lstrip().startswith(("{", "[")) or path.suffix == ".json":
        return JsonDocument
    if path.suffix == ".py" or _is_python(text):
        return PythonDocument
    if path.suffix in (".sh", ".bash") or text.startswith("#!") or _COMMAND.search(text):
        return CommandDocument
    from archlint.plans.documents.yaml_document import YamlDocument  # its library takes a moment to import

    return YamlDocument


def _is_python(text: str) -> bool:
    """Whether a text is a module that calls something: a line of YAML may pass for an annotation."""
    try:
        return any(isinstance(node, ast.Call) for node in ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
