"""What is read of a library's module is what the module has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlint.skeleton import build
from archlint.survey import unimported


def test_transformers_rule_for_weight_decay() -> None:
    from transformers.trainer import Trainer

    llama = build({"model_type": "llama", "num_hidden_layers": 2}).model
    read = unimported._written_function("transformers.trainer", "Trainer.get_decay_parameter_names")
    assert read(None, llama) == Trainer.get_decay_parameter_names(None, llama)  # type: ignore[arg-type]
    assert unimported.function("transformers.trainer", "Trainer.get_decay_parameter_names") is (
        Trainer.get_decay_parameter_names
    )


def test_pefts_default_targets() -> None:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as HELD

    name = "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING"
    assert unimported._written_constant("peft.utils.constants", name) == HELD
    assert unimported.constant("peft.utils.constants", name) is HELD


def test_a_survey_imports_neither_the_trainer_nor_peft() -> None:
    code = (
        "import sys\n"
        "from archlint.engine import Options, check\n"
        "from archlint.sources import SourceOptions\n"
        "for source in ('type:llama', 'Qwen/Qwen3-30B-A3B'):\n"
        "    report = check(source, Options(prove=False, source=SourceOptions(offline=True)))\n"
        "    assert report.model is not None and report.model.parameters\n"
        "unwanted = {'peft', 'trl', 'datasets', 'pandas', 'pyarrow', 'transformers.trainer'}\n"
        "print(unwanted & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "set()\n"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``someonelse``, to which a test adds modules."""
    folder = tmp_path / "someonelse"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "parts.py").write_text("def double(number):\n    return 2 * number\n\n\nBASE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "someonelse"]:
        del sys.modules[name]
    unimported._written_function.cache_clear()
    unimported._written_constant.cache_clear()


def imported() -> bool:
    return "someonelse.big" in sys.modules


HEAD = "import json\nfrom .parts import double as twice\n\n\n"
PLAIN = """class Big:
    def other(self):
        return undefined

    def rule(
        self, number: Unknown
    ) -> Unknown:
        return json.dumps([twice(n) for n in number])

    def last(self):
        pass
"""
TYPED = HEAD + PLAIN.replace("Unknown", "list")


def test_a_method_is_read_with_what_it_uses(library: Path) -> None:
    (library / "big.py").write_text(HEAD + PLAIN)
    assert unimported.function("someonelse.big", "Big.rule")(None, [1, 2]) == "[2, 4]"
    assert not imported()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TYPED.replace("    def rule", "    @staticmethod\n    def rule"), id="decorated"),
        pytest.param(TYPED + "\n\ntwice = lambda n: 2 * n\n", id="made again"),
        pytest.param(TYPED.replace("twice(n)", "own(n)") + "\n\ndef own(n):\n    return 2 * n\n", id="made there"),
        pytest.param("from .parts import BASE as twice\n" + TYPED, id="imported twice"),
        pytest.param(TYPED + "\n\nclass Two:\n    def rule(self):\n        pass\n", id="two of a name"),
    ],
)
def test_what_is_not_plain_is_imported(library: Path, text: str) -> None:
    (library / "big.py").write_text(text)
    assert unimported.function("someonelse.big", "Big.rule")(None, [1, 2]) == "[2, 4]"
    assert imported()


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("TABLE = {'a': ['b']}\nCOPY = TABLE.copy()\nCOPY['c'] = 1\n", True),
        ("TABLE = {'a': []}\nTABLE['a'].append('b')\n", False),
        ("TABLE = {}\nTABLE.update(a=['b'])\n", False),
        ("TABLE = dict(a=['b'])\n", False),
        ("if True:\n    TABLE = {'a': ['b']}\n", False),
        ("TABLE = {}\nTABLE = {'a': ['b']}\n", False),
    ],
)
def test_a_constant(library: Path, text: str, reads: bool) -> None:
    (library / "big.py").write_text(text)
    assert unimported.constant("someonelse.big", "TABLE") == {"a": ["b"]}
    assert imported() is not reads


def test_what_is_not_there(library: Path) -> None:
    (library / "big.py").write_text(HEAD)
    with pytest.raises(AttributeError):
        unimported.function("someonelse.big", "Big.rule")
    with pytest.raises(ImportError):
        unimported.constant("someonelse.small", "TABLE")
    assert unimported.find("someonelse.small") is None
    assert unimported.find("nobody.knows") is None
