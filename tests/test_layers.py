"""Imports go one way only, from the command line down to the core types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

KNOWS = {
    # a layer, and what it may import of archlint; every layer knows only layers above it in this table
    "syntax": "",
    "deadline": "",
    "core": "deadline",
    "quiet": "",
    "garbage": "",
    "store": "",
    "digests": "",
    "surroundings": "digests",
    "own_code": "digests surroundings",
    "fixtures": "",
    "revisions": "",
    "rules": "core",
    "report": "core",
    "plans": "core",
    "baselines": "core",
    "extent": "core",
    "settings": "",
    "rule_origins": "core report surroundings",
    "rule_index": "core report store digests rule_origins",
    "versions": "core surroundings",
    "sources": "syntax versions",
    "canonical": "",
    "published": "plans sources",
    "skeleton": "deadline garbage",
    "survey": "core skeleton syntax",
    "running": "core deadline survey",
    "training": "core running skeleton survey",
    "proving": "core deadline running",
    "solving": "core",
    "surgery": "core proving running",
    "judging": "core deadline rules solving",
    "suppressions": "core syntax",
    "testing": "core quiet sources skeleton survey proving training",
    "options": "core plans published sources store",
    "identity": "canonical core digests options own_code published sources surroundings",
    "subject": "core published surgery",
    "places": "core digests",
    "building": "core identity options proving published running skeleton subject surgery survey training versions",
    "reading": "core deadline garbage skeleton survey syntax",
    "as_read": "building core identity options proving published reading subject survey",
    "containment": "building core deadline garbage identity options places proving published sources subject surgery "
    "surroundings versions",
    "subjects": "as_read building containment identity options skeleton subject",
    "evidence": "core deadline plans proving published subject",
    "memory": "core digests evidence identity options own_code places subject subjects",
    "claims": "core rules",
    "whereabouts": "core syntax",
    "reporting": "claims core evidence extent judging options plans rules solving subject suppressions "
    "versions whereabouts",
    "engine": "building core evidence garbage identity memory options quiet reporting sources subject subjects "
    "versions",
    "fixing": "core plans engine",
    "api": "core plans sources engine subject solving",
    "pytest_plugin": "core plans report engine api",
    "matrix": "core report",
    "scanning": "core digests engine identity memory options own_code plans report reporting sources "
    "surroundings versions",
    "cli": "core surroundings versions baselines revisions settings store rule_index plans sources published options "
    "report engine subject fixing solving surgery matrix scanning",
    "__main__": "cli",
}
PUBLIC = {
    "Example": "core",
    "FindingsError": "core",
    "NoPatchError": "api",
    "NoRecipeError": "api",
    "Report": "core",
    "Rule": "core",
    "check_plan": "api",
    "lint": "api",
    "patch": "api",
    "recipe": "api",
    "surgeries": "api",
    "__version__": None,
}
"""Names of the package itself, and the layer that each comes from."""

HEAVY = {"accelerate", "peft", "torch", "transformers", "trl"}
WITHOUT_HEAVY = {
    *("core", "quiet", "syntax", "rules", "report", "plans", "sources", "solving", "settings", "cli", "__main__"),
    *("store", "digests", "surroundings", "own_code", "canonical", "options", "identity", "evidence", "places"),
    *("memory", "versions", "claims", "whereabouts", "reporting", "judging", "suppressions", "extent"),
    *("rule_origins", "rule_index"),
}
"""Layers that work on plain data, or start before it is known that more is needed."""
ONCE_THERE_IS_A_MODEL = {"archlint.plans.dialects.asking_peft"}
"""Modules of these whose functions are called with a blueprint only: whoever has one has imported all that is heavy."""

FILES = sorted(
    path
    for folder in ("archlint", "rules", "fixtures")
    for path in (ROOT / folder).rglob("*.py")
    if path != ROOT / "archlint" / "__init__.py" and (path.parent / "__init__.py").is_file()
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "archlint" else ("archlint", *parts))


def imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of each import, wherever in the module it stands."""
    package = module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def violations(source: str, module: str) -> list[str]:
    layer = module.split(".")[1]
    allowed = {layer, *KNOWS[layer].split()}
    found = []
    for line, name in imports(source, module):
        root, _, rest = name.partition(".")
        part = rest.partition(".")[0]
        needed = PUBLIC.get(part, part or "engine") if root == "archlint" else None
        heavy = root in HEAVY and layer in WITHOUT_HEAVY and module not in ONCE_THERE_IS_A_MODEL
        if (needed and needed not in allowed) or heavy or (root == "pytest" and layer != "pytest_plugin"):
            found.append(f"{module}:{line} imports {name}")
    return found


def test_the_table_itself_goes_one_way() -> None:
    layers = list(KNOWS)
    for layer, known in KNOWS.items():
        assert all(layers.index(other) < layers.index(layer) for other in known.split()), layer


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_layer_may_know(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8"), module_name(path)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("archlint.core.finding", "import archlint.rules"),
        ("archlint.core.finding", "from archlint import lint"),
        ("archlint.core.finding", "def f():\n    import torch"),
        ("archlint.rules.norms.custom", "from archlint.survey.kinds import classify"),
        ("archlint.rules.norms.custom", "from ...survey import kinds"),
        ("archlint.report.full", "from archlint import solving"),
        ("archlint.report.full", "import transformers.models"),
        ("archlint.survey.kinds", "if True:\n    from archlint.proving import prover"),
        ("archlint.engine.run", "from archlint.cli import main"),
        ("archlint.sources.hub", "import archlint"),
        ("archlint.testing", "def f():\n    import pytest"),
        ("archlint.api", "from archlint.pytest_plugin import Archlint"),
    ],
)
def test_an_import_that_goes_up_is_seen(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("archlint.core.finding", "from archlint.core import folding\nimport torchvision"),
        ("archlint.rules.norms.custom", "from archlint import Rule, Example\nfrom . import other"),
        ("archlint.report.json", "from archlint import __version__"),
        ("archlint.survey.kinds", "import torch"),
        ("archlint.pytest_plugin", "import pytest\nfrom archlint.api import lint"),
    ],
)
def test_an_import_that_goes_down_is_fine(module: str, source: str) -> None:
    assert violations(source, module) == []
