"""Which files a configuration's own code consists of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.sources import custom_code
from archlint.sources.custom_code import CodeFile


@pytest.mark.parametrize(
    ("auto_map", "files"),
    [
        ({"AutoConfig": "configuration.Config", "AutoModel": "modeling.Model"}, ["configuration.py", "modeling.py"]),
        ({"AutoModel": "modeling.Model", "AutoModelForCausalLM": "modeling.ForCausalLM"}, ["modeling.py"]),
        ({"AutoTokenizer": ["tokenization.Slow", None]}, ["tokenization.py"]),
        ({"AutoModel": "code.modeling.Model"}, ["code/modeling.py"]),
        ({"AutoModel": "../../modeling.Model"}, []),
        ({"AutoModel": "/etc/modeling.Model"}, []),
        ({"AutoModel": "Model"}, []),
        ({"AutoModel": 3}, []),
        ("modeling.Model", []),
        (None, []),
    ],
)
def test_what_auto_map_names(auto_map: object, files: list[str]) -> None:
    assert [code.file for code in custom_code.files({"auto_map": auto_map})] == files


def test_another_repository() -> None:
    assert custom_code.files({"auto_map": {"AutoModel": "org/code--modeling.Model"}}) == (
        CodeFile("modeling.py", "org/code"),
    )


@given(st.dictionaries(st.text(), st.none() | st.text() | st.lists(st.text() | st.integers()) | st.integers()))
def test_any_auto_map_is_read(auto_map: dict[str, Any]) -> None:
    assert all(code.file.endswith(".py") for code in custom_code.files({"auto_map": auto_map}))


@pytest.mark.parametrize(
    ("source", "file", "imported"),
    [
        ("from .layers import Norm", "modeling.py", ["layers.py"]),
        ("from . import layers, norms as n", "modeling.py", ["layers.py", "norms.py"]),
        ("def f():\n    from .layers import Norm", "modeling.py", ["layers.py"]),
        ("from .parts.norm import Norm", "modeling.py", ["parts/norm.py"]),
        ("from ..layers import Norm", "code/modeling.py", ["layers.py"]),
        ("from .layers import Norm", "code/modeling.py", ["code/layers.py"]),
        ("from ..layers import Norm", "modeling.py", []),
        ("import torch\nfrom transformers import PreTrainedModel", "modeling.py", []),
        ("this is no Python", "modeling.py", []),
        ("\0", "modeling.py", []),
    ],
)
def test_what_a_file_imports_from_beside_it(source: str, file: str, imported: list[str]) -> None:
    assert list(custom_code.relative_imports(source, file)) == imported


def test_the_folder_is_the_first_that_holds_the_code(tmp_path: Path) -> None:
    config = {"auto_map": {"AutoModel": "modeling.Model", "AutoConfig": "org/code--configuration.Config"}}
    inner, outer = tmp_path / "inner", tmp_path
    inner.mkdir()
    (inner / "configuration.py").touch()
    assert custom_code.folder(config, inner, outer) == outer
    (inner / "modeling.py").touch()
    assert custom_code.folder(config, inner, outer) == inner
