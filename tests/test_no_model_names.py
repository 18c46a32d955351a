"""No code knows a model by its name: what a layer is follows from types, signatures and structure.

Names are those that transformers knows (``model_type``), however they are spelled: ``deepseek_v3``,
``DeepseekV3Model``, ``is_deepseek_v3``. A source that shows how archlint is called (``owner/name`` or
``type:name``) is fine in a docstring or a help text, and so is the model of a rule's example, and what is said of it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

ROOT = Path(__file__).parent.parent
FILES = sorted(path for folder in ("archlint", "rules") for path in (ROOT / folder).rglob("*.py"))

WORDS = {"clip", "encoderdecoder", "visionencoderdecoder", "speechencoderdecoder"}
"""Model types that are words for other things too."""
NAMES = {re.sub(r"[-_]", "", name).lower() for name in CONFIG_MAPPING_NAMES} - WORDS
LONGEST = 4
"""Most words that a name is made of."""

TOOL = re.compile(r"llama[-_ ]?(factory(-cli)?|pro)", re.IGNORECASE)
"""A trainer, and a method of tuning, that have a model in their names."""

WORD = re.compile(r"[A-Z]?[a-z]+[0-9]*|[A-Z]+(?![a-z])[0-9]*|[0-9]+")
SOURCE = re.compile(r"\b[\w.-]+/[\w.-]+\b|\btype:[\w.-]+\b")
PROSE_ARGUMENTS = {"help", "epilog", "short_help"}


def names_in(text: str) -> set[str]:
    """The model types that ``text`` spells, alone or as part of an identifier."""
    words = [match[0].lower() for match in WORD.finditer(TOOL.sub(" ", text))]
    joined = {"".join(words[i : i + n]) for i in range(len(words)) for n in range(1, LONGEST + 1)}
    return {name for name in joined & NAMES if len(name) > 3}


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Every identifier, string and comment of the code, with its line; prose without the sources it shows."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], SOURCE.sub(" ", token.string)
    tree = ast.parse(source)
    prose: set[ast.AST] = set()
    examples: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            prose.update(statement.value for statement in node.body[:1] if isinstance(statement, ast.Expr))
        if isinstance(node, ast.Call):
            prose.update(keyword.value for keyword in node.keywords if keyword.arg in PROSE_ARGUMENTS)
            if isinstance(node.func, ast.Name) and node.func.id == "Example":
                examples.update(node.args[:1])
                examples.update(keyword.value for keyword in node.keywords if keyword.arg == "says")
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node not in examples:
                yield line, SOURCE.sub(" ", node.value) if node in prose else node.value
            continue
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            if isinstance(value := getattr(node, field, None), str):
                yield line, value


def mentions(source: str) -> list[str]:
    return [f"line {line}: {name}" for line, text in texts(source) for name in sorted(names_in(text))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_model_is_named(path: Path) -> None:
    assert mentions(path.read_text(encoding="utf-8")) == []
    assert names_in(path.stem) == set()


@pytest.mark.parametrize(
    "source",
    [
        'if config.model_type == "gemma2": pass',
        'TOWERS = ("siglip_vision_model",)',
        'pattern = r".*qwen2_moe.*"',
        "class DeepseekV3Router: pass",
        "def is_phimoe(config): pass",
        "from transformers.models.llama import modeling_llama",
        "from transformers import MixtralConfig as Config",
        'name = type(module).__name__ == "Gemma4ClippableLinear"',
        'def f():\n    """Mistral does it so."""',
        "x = 1  # as Llama does",
        'known = {"google/gemma-2b": 1}',
        'message = f"{count} layers of Mamba2"',
    ],
)
def test_a_name_is_seen_however_it_is_spelled(source: str) -> None:
    assert mentions(source) != []


@pytest.mark.parametrize(
    "source",
    [
        '"""Run ``archlint google/gemma-2b`` or ``archlint type:llama``."""',
        '@option("--class", help="as in openai/whisper-tiny")\ndef f(): pass',
        'fires = (Example("type:mixtral"), Example("google/gemma-2b", says="none for gemma"))',
        'kind = "encoder-decoder"\nclip = min(value, limit)',
    ],
)
def test_a_source_that_shows_the_use_is_fine(source: str) -> None:
    assert mentions(source) == []
