"""What results depend on beside the model: each thing that changes them changes the digest, and nothing else does."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STACK = {"torch": "2.13.0+cpu", "transformers": "5.23.0", "accelerate": "1.15.0", "peft": "0.21.2", "trl": "1.16.0"}
RAISES = "raise SystemExit('imported')\n"

CODE = """
import sys
root, *folders = sys.argv[1:]
sys.path[:0] = [*folders, root]
from archlint.surroundings import surroundings
print(surroundings())
loaded = {name.partition(".")[0] for name in sys.modules} & {"torch", "transformers", "accelerate", "peft", "trl"}
assert not loaded, loaded
"""


def install(folder: Path, name: str, version: str, where: str = "/home/one", **edits: str) -> None:
    """Put a package into ``folder`` as pip does for an environment at ``where``."""
    files = {
        f"{name}/__init__.py": RAISES,
        f"{name}/utils/other.py": "x = 1\n",
        f"{name}/models/llama/modeling_llama.py": "class Llama: ...\n",
    }
    files.update({f"{name}/{path.replace('__', '/')}.py": text for path, text in edits.items()})
    info = f"{name}-{version}.dist-info"
    scripts = {f"../../../bin/{name}": f"#!{where}/bin/python\n"}
    notes = {f"{info}/INSTALLER": "pip\n", f"{info}/direct_url.json": where, f"{info}/METADATA": f"Name: {name}\n"}
    for path, text in {**files, **notes}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    lines = [f"{path},{_recorded(text)},{len(text)}" for path, text in {**files, **scripts, **notes}.items()]
    lines += [f"{name}/__pycache__/__init__.cpython-311.pyc,,", f"{info}/RECORD,,"]
    (folder / info / "RECORD").write_text("\n".join(sorted(lines)) + "\n")


def _recorded(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def digest(*folders: Path, python: tuple[str, ...] = ("-S",), cwd: Path | None = None, **variables: str) -> str:
    """That of a process with these folders before its standard library."""
    command = [sys.executable, *python, "-c", CODE, str(ROOT), *map(str, folders)]
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where all is installed, an hour ago."""
    folder = tmp_path / "site-packages"
    for name, version in STACK.items():
        install(folder, name, version)
    (folder / "timm-1.0.dist-info").mkdir()
    (folder / "old.egg-info").mkdir()
    (folder / "old.egg-info" / "PKG-INFO").write_text("Version: 1\n")
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 3600,) * 2)
    return folder


def edit(path: str, text: str) -> Callable[[Path], None]:
    def change(site: Path) -> None:
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)

    return change


def rename(old: str, new: str) -> Callable[[Path], None]:
    return lambda site: (site / old).rename(site / new) and None


def again(name: str, version: str, **edits: str) -> Callable[[Path], None]:
    """Another version, or another build of the same, in place of the one that is there."""

    def change(site: Path) -> None:
        shutil.rmtree(site / name)
        shutil.rmtree(site / f"{name}-{STACK[name]}.dist-info")
        install(site, name, version, **edits)

    return change


CHANGES: Mapping[str, Callable[[Path], None]] = {
    "another version of any package": rename("timm-1.0.dist-info", "timm-1.1.dist-info"),
    "a package more": lambda site: (site / "bitsandbytes-0.50.dist-info").mkdir(),
    "a package less": lambda site: (site / "timm-1.0.dist-info").rmdir(),
    "another version of what has none in its name": edit("old.egg-info/PKG-INFO", "Version: 2\n"),
    **{f"another version of {name}": again(name, "99.0") for name in STACK},
    **{f"another build of {name}": again(name, STACK[name], utils__other="x = 2\n") for name in STACK},
    "another build in the files of models": again("transformers", "5.23.0", models__llama__modeling_llama="pass\n"),
    **{
        f"an edit in {name}": edit(f"{name}/utils/other.py", "x = 2\n")
        for name in ("transformers", "accelerate", "peft", "trl")
    },
    "an edit of another length": edit("peft/utils/other.py", "x = 10\n"),
    "a file more": edit("peft/tuners/new.py", ""),
    "a file less": lambda site: (site / "peft/utils/other.py").unlink(),
    "peft is gone": lambda site: shutil.rmtree(site / "peft"),
    "peft has no record": lambda site: (site / "peft-0.21.2.dist-info/RECORD").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_installed_matters(site: Path, change: Callable[[Path], None]) -> None:
    before = digest(site)
    change(site)
    assert digest(site) != before


def test_where_and_when_it_was_installed_does_not(site: Path, tmp_path: Path) -> None:
    before = digest(site)
    for name, version in STACK.items():
        shutil.rmtree(site / name)
        shutil.rmtree(site / f"{name}-{version}.dist-info")
        install(site, name, version, where="/opt/another/venv")
    there = tmp_path / "other" / "place"
    shutil.copytree(site, there)
    assert digest(there) == before
    for number, path in enumerate(sorted(there.rglob("*"))):  # as where nobody keeps the times
        os.utime(path, (time.time() - number,) * 2)
    assert digest(there) == before


def test_an_edit_that_is_taken_back_never_was(site: Path) -> None:
    before = digest(site)
    edit("peft/utils/other.py", "x = 2\n")(site)
    edit("peft/utils/other.py", "x = 1\n")(site)
    assert digest(site) == before


@pytest.mark.parametrize("path", ["peft/utils/notes.txt", "peft/__pycache__/other.cpython-311.pyc", "peft/.#other.py"])
def test_what_is_no_code_does_not_matter(site: Path, path: str) -> None:
    before = digest(site)
    if path.endswith(".py"):
        (site / path).symlink_to("nobody@nowhere")  # a lock of Emacs
    else:
        edit(path, "more")(site)
    assert digest(site) == before


class TestACheckout:
    """A copy that no installer put there: its files count as they are, by size and time."""

    @pytest.fixture
    def checkout(self, site: Path, tmp_path: Path) -> Path:
        shutil.copytree(site / "peft", tmp_path / "src" / "peft")
        return tmp_path / "src"

    def test_is_what_counts_where_it_comes_first(self, site: Path, checkout: Path) -> None:
        assert digest(checkout, site) != digest(site)
        assert digest(site, checkout) == digest(site)

    def test_an_edit_in_it(self, site: Path, checkout: Path) -> None:
        before = digest(checkout, site)
        assert digest(checkout, site) == before
        (checkout / "peft/utils/other.py").write_text("x = 2\n")
        assert digest(checkout, site) != before

    def test_in_the_working_directory(self, site: Path, checkout: Path) -> None:
        assert digest(Path(), site, cwd=checkout) == digest(checkout, site)

    def test_an_installation_that_is_edited(self, site: Path, checkout: Path) -> None:
        """Its metadata lie among those of the others, and its files where it is edited."""
        shutil.rmtree(site / "peft")
        before = digest(site, checkout)
        (checkout / "peft/utils/other.py").write_text("x = 2\n")
        assert digest(site, checkout) != before

    def test_one_that_is_linked(self, site: Path, checkout: Path) -> None:
        shutil.rmtree(site / "peft")
        (site / "peft").symlink_to(checkout / "peft")
        (site / "peft-0.21.2.dist-info/RECORD").write_text("peft-0.21.2.dist-info/RECORD,,\n")
        before = digest(site)
        (checkout / "peft/utils/other.py").write_text("x = 2\n")
        assert digest(site) != before

    @pytest.mark.parametrize("path", ["trl.py", "trl/notes.txt"], ids=["a module", "a folder"])
    def test_something_else_of_that_name(self, site: Path, tmp_path: Path, path: str) -> None:
        shutil.rmtree(site / "trl")
        before = digest(tmp_path / "here", site)
        edit(path, "")(tmp_path / "here")
        assert digest(tmp_path / "here", site) != before


@pytest.mark.parametrize(
    "variable",
    [
        *("TRANSFORMERS_SDPA_FORCE_GQA", "USE_HUB_KERNELS", "ACCELERATE_USE_FSDP", "WORLD_SIZE"),
        *("CUDA_VISIBLE_DEVICES", "TORCHDYNAMO_DISABLE"),
    ],
)
def test_a_variable_that_changes_what_they_do(site: Path, variable: str) -> None:
    assert len({digest(site), digest(site, **{variable: "0"}), digest(site, **{variable: "1"})}) == 3


@pytest.mark.parametrize(
    "variable",
    [
        *("TRANSFORMERS_VERBOSITY", "ACCELERATE_LOG_LEVEL", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR", "HF_HOME"),
        *("HF_TOKEN", "HF_HUB_OFFLINE", "LANG", "PYTHONHASHSEED", "ARCHLINT_CACHE_DIR"),
    ],
)
def test_a_variable_that_does_not(site: Path, variable: str) -> None:
    assert digest(site, **{variable: "1"}) == digest(site)


def test_assertions_that_are_left_out_matter(site: Path) -> None:
    assert digest(site, python=("-S", "-O")) != digest(site)


def test_folders_that_are_none_do_not(site: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "some.zip").write_text("")
    assert digest(tmp_path / "empty", tmp_path / "missing", tmp_path / "some.zip", site, site) == digest(site)


def test_nothing_is_installed(tmp_path: Path) -> None:
    assert digest(tmp_path)


def test_here_it_is_the_same_wherever_it_is_asked(tmp_path: Path) -> None:
    packages = [Path(path) for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    assert packages
    seeds = [
        digest(*packages, python=("-S",), cwd=cwd, PYTHONHASHSEED=seed) for cwd, seed in [(tmp_path, "1"), (ROOT, "2")]
    ]
    assert len(set(seeds)) == 1


def test_it_starts_at_once() -> None:
    code = "import archlint.surroundings, archlint.own_code; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    loaded = subprocess.check_output(command, text=True).split()
    assert {"torch", "rich", "click", "importlib.metadata", "tempfile", "shutil", "dataclasses"}.isdisjoint(loaded)
