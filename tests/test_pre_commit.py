"""The hooks in commits of real repositories: pre-commit builds their environment from this checkout and runs them.

torch and the others are not installed once more: the environment finds those of the tests, by ``PYTHONPATH``.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from archlint.cli.app import app

from .checkouts import ROOT, ROUTED, copied, environment

pytest.importorskip("pre_commit")
if shutil.which("git") is None:
    pytest.skip("there is no git", allow_module_level=True)

TRUSTED = [".", "--trust-remote-code"]
DENSE = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


@dataclass(frozen=True)
class Repository:
    """A repository whose commits are checked by the hooks of this checkout."""

    folder: Path
    hooks: Path
    shell: Mapping[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=dict(self.shell), capture_output=True, text=True, check=False
        )

    def git(self, *arguments: str) -> str:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def configure(self, hook: str, **settings: Any) -> None:
        """Have one hook, with settings of the user's."""
        revision = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=self.hooks, text=True).strip()
        hooks = [{"id": hook, **settings}]
        config = {"repos": [{"repo": str(self.hooks), "rev": revision, "hooks": hooks}]}
        (self.folder / ".pre-commit-config.yaml").write_text(json.dumps(config))  # which is YAML too
        self.git("add", ".pre-commit-config.yaml")

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            file = self.folder / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)

    def commit(self, files: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Commit all there is; whether it went through, and what was said."""
        self.write(files or {})
        self.git("add", "-A")
        return self.run("git", "commit", "-m", "A change")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment where the user's own settings of git and pre-commit do not count."""
    roles = ("AUTHOR", "COMMITTER")
    return {
        **environment(),
        **{f"GIT_{role}_{what}": "nobody@example.com" for role in roles for what in ("NAME", "EMAIL")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PRE_COMMIT_HOME": str(tmp_path_factory.mktemp("pre-commit")),
    }


@pytest.fixture(scope="module")
def hooks(shell: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout as a repository that can be cloned."""
    folder = copied(tmp_path_factory.mktemp("archlint"))
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Release"]):
        subprocess.run(["git", *command], cwd=folder, env=shell, check=True)
    return folder


def repository_in(folder: Path, hooks: Path, shell: Mapping[str, str]) -> Repository:
    made = Repository(folder, hooks, shell)
    made.git("init", "-q")
    installed = made.run(sys.executable, "-m", "pre_commit", "install")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return made


@pytest.fixture
def repository(hooks: Path, shell: dict[str, str], tmp_path: Path) -> Repository:
    return repository_in(tmp_path, hooks, shell)


@dataclass(frozen=True)
class Refused:
    """A repository whose first commit was refused, and what was said then."""

    repository: Repository
    files: Mapping[str, str]
    message: str


@pytest.fixture(scope="module")
def refused(hooks: Path, shell: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Refused:
    repository = repository_in(tmp_path_factory.mktemp("refused"), hooks, shell)
    repository.configure("archlint", args=TRUSTED)
    done = repository.commit(files := broken())
    assert done.returncode == 1
    assert repository.run("git", "log").returncode != 0, "there is no commit"
    return Refused(repository, files, done.stderr)


def broken() -> dict[str, str]:
    return {file.name: file.read_text() for file in ROUTED.iterdir() if file.is_file()}


def replaced(files: Mapping[str, str], name: str, *pairs: tuple[str, str]) -> dict[str, str]:
    text = files[name]
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return {**files, name: text}


def test_a_broken_model_is_refused_with_what_it_takes_to_mend_it(refused: Refused) -> None:
    repository, files, said = refused.repository, refused.files, " ".join(refused.message.split())
    assert "error ARC303 tuple-output" in said
    assert "an adapter on router crashes the first forward pass: Router returns a tuple" in said
    place = re.search(r"class Router in (\S+):(\d+)", said)
    assert place is not None
    assert place[1] == "modeling_routed.py"
    assert files["modeling_routed.py"].splitlines()[int(place[2]) - 1] == "class Router(nn.Linear):"

    one_tensor = ((".softmax(-1), scores", ".softmax(-1)"), ("weights, _ =", "weights ="))
    done = repository.commit(replaced(files, "modeling_routed.py", *one_tensor))
    assert done.returncode == 0, done.stderr
    done = repository.commit({"notes.md": "Nothing of this concerns the model.\n"})
    assert done.returncode == 0
    assert re.search(r"archlint\.+\(no files to check\)Skipped", done.stderr)


def test_where_the_model_stays_as_it_is_the_recipe_is_a_plan_that_passes(
    refused: Refused, repository: Repository
) -> None:
    (call,) = re.findall(r"^LoraConfig\(.*?^\)", refused.message, re.MULTILINE | re.DOTALL)
    tree = ast.parse(call, mode="eval").body
    assert isinstance(tree, ast.Call)
    recipe = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in tree.keywords}
    plan = {"base_model_name_or_path": ".", "peft_type": "LORA", "target_modules": "all-linear"}
    plans = {"runs/a.json": json.dumps({**plan, **recipe}), "runs/b b.json": json.dumps(plan, indent=2)}

    repository.configure("archlint-plan", args=["--trust-remote-code", "--format=concise"], files=r"^runs/.*\.json$")
    done = repository.commit({**broken(), **plans})
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith(".: error ")]
    assert len(errors) == 1
    assert errors[0].startswith(".: error ARC303 tuple-output")
    assert errors[0].endswith(" (runs/b b.json:4)")


def test_after_a_baseline_only_a_new_defect_fails(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.configure("archlint", args=[*TRUSTED, "--baseline", "known.json"])
    files = broken()
    repository.write(files)
    monkeypatch.chdir(repository.folder)
    assert CliRunner().invoke(app, [*TRUSTED, "--write-baseline", "known.json"]).exit_code == 0
    done = repository.commit()
    assert done.returncode == 0, done.stderr

    scaled = (
        "class Scaled(nn.Module):\n"
        "    def __init__(self, inner):\n"
        "        super().__init__()\n"
        "        self.inner = inner\n\n"
        "    def forward(self, hidden):\n"
        "        return 0.5 * self.inner(hidden)\n\n\n"
        "class RoutedMLP("
    )
    layer = "layer.mlp = RoutedMLP(config)\n"
    wrapped = f"{layer}            layer.self_attn.o_proj = Scaled(layer.self_attn.o_proj)\n"
    done = repository.commit(replaced(files, "modeling_routed.py", ("class RoutedMLP(", scaled), (layer, wrapped)))
    assert done.returncode == 1
    assert "ARC101 wrapped-linear" in done.stderr
    assert "Scaled" in done.stderr
    assert "ARC303" not in done.stderr


def test_own_code_is_run_only_where_that_is_allowed(repository: Repository) -> None:
    repository.configure("archlint")
    done = repository.commit(broken())
    assert done.returncode == 1
    assert "- exit code: 1" in done.stderr
    assert "ARC303 tuple-output · 2 sites · static" in done.stderr
    assert "not run: custom code" in done.stderr
    assert "read the code, then allow it: --trust-remote-code" in done.stderr


def test_a_good_model_is_committed(repository: Repository) -> None:
    repository.configure("archlint")
    done = repository.commit({"config.json": json.dumps(DENSE)})
    assert done.returncode == 0, done.stderr
    assert re.search(r"^archlint\.+Passed$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "concerned"),
    [
        ("config.json", {"archlint"}),
        ("text/config.json", {"archlint"}),
        ("modeling_own.py", {"archlint"}),
        ("parts/experts.py", {"archlint"}),
        ("archlint.toml", {"archlint"}),
        ("pyproject.toml", {"archlint"}),
        ("adapter_config.json", {"archlint", "archlint-plan"}),
        ("runs/adapter_config.json", {"archlint", "archlint-plan"}),
        ("tokenizer_config.json", set()),
        ("generation_config.json", set()),
        ("README.md", set()),
    ],
)
def test_files_that_concern_a_hook(file: str, concerned: set[str]) -> None:
    hooks = YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")
    assert {hook["id"] for hook in hooks if re.search(hook["files"], file)} == concerned


def test_the_page_on_merge_checks_has_every_hook() -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    section = page.partition("## pre-commit\n")[2].partition("\n## ")[0]
    (first, *_) = re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    (named,) = YAML(typ="safe").load(first)["repos"]
    hooks = YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")
    assert {hook["id"] for hook in named["hooks"]} == {hook["id"] for hook in hooks}
