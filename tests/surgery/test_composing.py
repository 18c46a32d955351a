"""Patch files read as if a person wrote them: ruff finds nothing, and they run where nothing but torch is installed."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

import archlint
from archlint.core.blueprint import Kind, ModelInfo, Operation, Role, Site, TypeInfo
from archlint.core.surgery import Difference, Effect, Way
from archlint.fixtures.toys.projections import Fused, Wrapped
from archlint.surgery.composing import composed, written
from archlint.surgery.heading import header
from archlint.surgery.option import Option
from archlint.surgery.templates import bare, swapping, wrapped

WIDTH = 8
COLUMNS = 88


class Plain(nn.Module):
    """Hands its input on; its settings are awkward to write down."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.limit = math.inf
        self.mode = """it's "so" """
        self.quoted = '"so"'
        self.folder = "C:\\Users\\new"

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden)


class Scaled(Plain):
    """Makes its output smaller."""

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden) * 0.5


class Both(nn.Module):
    """A model with wrappers of two classes, which take two labels."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = Plain()
        self.v_proj = Scaled()

    def forward(self, hidden: Tensor) -> Tensor:
        return self.q_proj(hidden) + self.v_proj(hidden)


class Router(nn.Linear):
    """Looks like a linear, and gives two things."""

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        scores = super().forward(hidden)
        return scores, scores.argmax(-1)


class Routed(nn.Module):
    """A model with such a router."""

    def __init__(self) -> None:
        super().__init__()
        self.router = Router(WIDTH, 4)

    def forward(self, hidden: Tensor) -> Tensor:
        scores, _ = self.router(hidden)
        return scores


def experts() -> nn.Module:
    sizes = {"vocab_size": 32, "hidden_size": 32, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    model: nn.Module = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("mixtral", num_local_experts=4, **sizes, **heads)
    )
    return model


MODELS = {
    Way.UNWRAP: Wrapped,
    Way.KEEP: Wrapped,
    Way.REGISTER: Wrapped,
    Way.SPLIT: Fused,
    Way.SHIELD: Routed,
    Way.EXPERTS: experts,
}


@cache
def texts() -> dict[str, str]:
    """A file of each way, and of those for wrappers one that is for two classes."""
    files = {way.value: archlint.patch(make(), way=way.value) for way, make in MODELS.items()}
    for way in (Way.UNWRAP, Way.KEEP, Way.REGISTER):
        files[f"{way.value}_both"] = archlint.patch(Both(), way=way.value)
    return files


def saved(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def ruff(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_way_has_a_file() -> None:
    assert {name.partition("_")[0] for name in texts()} == {way.value for way in Way} - {Way.INNER.value}


def test_ruff_finds_nothing_and_formats_nothing(tmp_path: Path) -> None:
    folder = saved(tmp_path, texts())

    ruff(folder, "check", "--extend-select", "I,B,UP,SIM")
    ruff(folder, "format", "--check", "--diff", "--line-length", str(COLUMNS))


def test_ruff_would_find_something(tmp_path: Path) -> None:
    broken = texts()["keep"].replace("from torch import Tensor, nn", "from torch import nn, Tensor")
    with pytest.raises(AssertionError, match="I001"):
        ruff(saved(tmp_path, {"broken": broken}), "check", "--extend-select", "I")


@pytest.mark.parametrize("name", [*(way.value for way in MODELS), "unwrap_both", "keep_both", "register_both"])
def test_a_file_is_narrow_and_compiles_without_a_warning(name: str) -> None:
    text = texts()[name]

    assert not [line for line in text.splitlines() if len(line) > COLUMNS]
    assert "archlint." not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile(text, name, "exec")


ALONE = """
import sys


class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("archlint", "peft", "transformers"):
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Nothing())
import importlib, torch
from torch import nn

sys.path.insert(0, sys.argv[1])


class ClampedLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, hidden):
        return torch.clamp(self.linear(torch.clamp(hidden, -4, 4)), -4, 4)


for name in sys.argv[2:]:
    file = importlib.import_module(name)
    try:
        file.unwrap(nn.Linear(2, 2))
    except ValueError as error:
        print(name, "refuses", error)
model = nn.Sequential(ClampedLinear())
keys, hidden = list(model.state_dict()), torch.randn(4, 8) * 9
before = model(hidden)
keep = importlib.import_module("keep")
with keep.unwrapped(model):
    assert isinstance(model[0], nn.Linear)
    assert torch.equal(model(hidden), before)
assert list(model.state_dict()) == keys
print("kept")
"""


def test_files_run_where_only_torch_is(tmp_path: Path) -> None:
    names = [name for name in texts() if not name.startswith("register")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(saved(tmp_path, texts())), *names],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(" refuses ")[0] for line in lines] == [*names, "kept"]
    assert all("Linear has no " in line for line in lines[:-1])


def test_what_registers_needs_peft_besides_and_nothing_else() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(texts()["register"]))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert imported - set(sys.stdlib_module_names) == {"peft", "torch"}


def test_settings_come_back_as_they_were() -> None:
    module = ModuleType("patch")
    exec(texts()["unwrap_both"], vars(module))
    made = Plain()

    assert module.SETTINGS.keys() == module.WRAPPERS.keys() == {"Plain", "Scaled"}
    for settings in module.SETTINGS.values():
        assert settings == {name: [getattr(made, name)] for name in ("limit", "mode", "quoted", "folder")}


VALUES = [
    "plain",
    "it's",
    '"so"',
    """it's "so" """,
    '"it\'s"',
    "C:\\Users\\new",
    "two\nlines",
    '\\"\\',
    "é",
    1.5,
    -math.inf,
    True,
    None,
    (1,),
    (),
    {},
    {"a" * COLUMNS: {"b": ["c" * 40, "d" * 40]}},
    [["a" * 30, "b" * 30], ["c" * 50, "d" * 50]],
]


def test_values_are_written_as_ruff_has_them(tmp_path: Path) -> None:
    files = {f"value{index}": written(value, before=len("VALUE = ")) for index, value in enumerate(VALUES)}
    folder = saved(tmp_path, {name: f"VALUE = {text}\n" for name, text in files.items()})

    assert [eval(text) for text in files.values()] == VALUES
    ruff(folder, "format", "--check", "--diff")


@pytest.mark.parametrize("length", [30, 38, 39, 40, 41])
def test_a_constant_that_just_fits_has_a_line_and_a_longer_one_has_more(length: int, tmp_path: Path) -> None:
    constants = {"WRAPPERS": ({"A" * length: "b" * 30}, "Long."), "MADE_FOR": ("", "For."), "SETTINGS": ({}, "None.")}
    text = composed("A test.\n\nOf constants.", constants, (bare, wrapped, swapping))

    (line,) = (line for line in text.splitlines() if line.startswith("WRAPPERS = "))
    assert len(line) <= COLUMNS
    assert line.endswith("}") is (length <= 39)
    ruff(saved(tmp_path, {"constants": text}), "format", "--check", "--diff")


@pytest.mark.parametrize(
    "text", ["plain", r"a pattern, r'.*\d'", r"in C:\Users\new", 'with """ inside', 'with """ and \\N inside']
)
def test_a_header_says_what_it_was_given(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = ast.parse(composed(text, {}, (bare,)))
    assert ast.get_docstring(tree) == text


def test_the_header_tells_what_it_is_for_and_what_it_changes() -> None:
    text = ast.get_docstring(ast.parse(texts()["unwrap_both"]))
    assert text is not None
    told = " ".join(text.split())

    assert f"Made by archlint {archlint.__version__} for Both, which has 1 Plain and 1 Scaled;" in told
    assert f"torch {torch.__version__}" in told
    assert "LoraConfig(target_modules=targets(model))" in told
    assert "Plain: Forward: exact, bit for bit in float32 and bfloat16. Plain LoRA, merged and rewrapped: exact" in told
    assert "Scaled: Forward: lossy, outputs differ from those of the original by up to " in told
    assert "wherever it is loaded, for evaluation, to resume, or on a server" in told


def test_all_kept_is_told_once() -> None:
    text = ast.get_docstring(ast.parse(texts()["register_both"]))
    assert text is not None
    assert text.count("Forward: exact, bit for bit in float32 and bfloat16.") == 1
    assert "Plain: " not in text


ADAPTED = {
    "unwrap": {"layers.0.q_proj", "layers.1.q_proj"},
    "keep_both": {"q_proj", "v_proj"},
    "register_both": {"q_proj.linear", "v_proj.linear"},
    "split": {f"layers.{layer}.qkv_proj.{part}_proj" for layer in range(2) for part in "qkv"},
    "shield": {"router.linear"},
    "experts": {
        f"model.layers.0.mlp.experts.{stack}.expert{index}"
        for stack in ("gate_up_proj", "down_proj")
        for index in range(4)
    },
}


@pytest.mark.parametrize("name", ADAPTED)
def test_the_lines_of_the_header_run_as_they_stand(name: str) -> None:
    made = Both() if name.endswith("_both") else MODELS[Way(name)]()
    keys = list(made.state_dict())
    file = ModuleType("file")
    exec(texts()[name], vars(file))
    assert file.__doc__ is not None
    lines = [line.strip() for line in file.__doc__.splitlines() if line.startswith("    ")]
    training = lines.index(next(line for line in lines if line.startswith("...")))

    found = {**vars(file), "model": made, "LoraConfig": LoraConfig, "get_peft_model": get_peft_model}
    exec("\n".join(lines[:training]), found)
    layers = {path for path, part in made.named_modules() if isinstance(part, BaseTunerLayer)}
    assert ADAPTED[name] <= layers
    assert name == "shield" or layers == ADAPTED[name], "all-linear is what a router is shielded from"
    if "rewrap" in vars(file):
        exec(lines[training + 1], found)
        assert list(found["model"].state_dict()) == keys


def option(*names: str, templates: tuple[ModuleType, ...] = ()) -> Option:
    info = TypeInfo("Wrapper", "module")
    sites = tuple(Site(f"layers.0.{name}", info, Kind.WRAPPER, Role.TEXT) for name in names)
    return Option(Operation(Way.KEEP, sites, Effect(merged=Difference(0.25, 0.5))), templates)


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (option("q", "k", templates=(wrapped,)), "targets(model)"),
        (option(*(f"expert{index}" for index in range(9))), r'r".*\.expert\d+"'),
        (option("linear"), '"all-linear"'),
        (option("linear", "proj"), '"all-linear"'),
    ],
)
def test_what_a_plan_is_told(made: Option, shown: str) -> None:
    text = header([made], ModelInfo("", "", "Net", "", 0, 0), {"torch": "1", "peft": None})

    assert f"    config = LoraConfig(target_modules={shown})  # or another plan\n" in text
    assert all(len(line) <= COLUMNS for line in text.splitlines())
    assert "tried with torch 1." in text


def test_the_larger_figure_is_told() -> None:
    text = header([option("q")], ModelInfo("org/net", "", "Net", "", 0, 0), {})
    told = " ".join(text.split())

    assert "for Net (org/net), which has 1 Wrapper." in told
    assert (
        "Plain LoRA, merged and rewrapped: lossy, outputs differ from those of the trained model by up to 0.5 of"
        in told
    )
