"""Environments: what is in them, when they are built, and what is left where that fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import distribution, version
from pathlib import Path
from types import SimpleNamespace

import pytest

from archlint.matrix import stack
from archlint.matrix.environments import Environment, cache, environment, here
from archlint.matrix.installing import Installer, InstallError
from archlint.matrix.packing import Package

Stub = Callable[[str], Installer]

PACKAGE = Package(("packaging",), ("click", "nobody-has-this"), ())
"""What needs little, so that an environment is made at once."""
CLICK = f"click=={version('click')}"
"""What is asked for and there already."""
WRITES_ONE = """
site=$("$2" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
mkdir "$site/stubbed-1.0.dist-info"
printf 'Metadata-Version: 2.1\\nName: stubbed\\nVersion: 1.0\\n' > "$site/stubbed-1.0.dist-info/METADATA"
echo "$@" >> "$(dirname "$0")/calls"
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def made(installer: Installer, asked: str = "stubbed==1.0", package: Package = PACKAGE) -> Environment:
    return environment(stack(asked), package, installer, lambda stage: None)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def test_it_has_what_is_installed_here_and_what_was_asked_for(stub: Stub, tmp_path: Path) -> None:
    built = made(stub(WRITES_ONE))
    assert built.versions["packaging"] == version("packaging")
    assert built.versions["click"] == version("click")
    assert built.versions["stubbed"] == "1.0"
    assert "torch" not in built.versions, "nothing that neither the package nor the stack needs"
    assert "nobody-has-this" not in built.versions
    assert calls(tmp_path)[0].split()[3:] == ["stubbed==1.0", "click"]


def test_it_is_built_once(stub: Stub, tmp_path: Path) -> None:
    first, second = made(stub(WRITES_ONE)), made(stub(WRITES_ONE))
    assert first == second
    assert len(calls(tmp_path)) == 1


@pytest.mark.parametrize(
    ("asked", "package"),
    [
        (f"stubbed==1.0,{CLICK}", PACKAGE),
        ("stubbed==1.0", Package(("click",), ("packaging",), (("a.py", Path(__file__)),))),
    ],
    ids=["other requirements", "other code of archlint"],
)
def test_another_question_has_an_environment_of_its_own(
    asked: str, package: Package, stub: Stub, tmp_path: Path
) -> None:
    made(stub(WRITES_ONE))
    made(stub(WRITES_ONE), asked, package)
    assert len(list(cache().iterdir())) == len(calls(tmp_path)) == 2


def test_what_is_at_an_address_is_fetched_anew(stub: Stub, tmp_path: Path) -> None:
    for _ in range(2):
        made(stub(WRITES_ONE), "stubbed @ https://example.org/peft.whl")
    assert len(calls(tmp_path)) == 2


def test_one_that_could_not_be_built_is_not_taken(stub: Stub, tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="no such version"):
        made(stub('echo "ERROR: no such version" >&2; exit 1'))
    assert list(cache().iterdir()) == []
    assert made(stub(WRITES_ONE)).versions["stubbed"] == "1.0"


def test_one_without_what_was_asked_for_is_not_taken(stub: Stub) -> None:
    with pytest.raises(InstallError, match="stubbed: the installer put it elsewhere"):
        made(stub("true"))
    assert list(cache().iterdir()) == []


def test_half_of_one_that_was_left_by_a_crash_is_not_taken(stub: Stub, tmp_path: Path) -> None:
    made(stub(WRITES_ONE))
    [whole] = cache().iterdir()
    half = whole.rename(cache() / ".building-x")
    made(stub(WRITES_ONE))
    assert len(calls(tmp_path)) == 2
    long_ago = time.time() - 40 * 24 * 3600
    for folder in (half, whole):
        os.utime(folder, (long_ago, long_ago))
    made(stub(WRITES_ONE))
    assert half.exists(), "nothing is removed while nothing is built"
    made(stub(WRITES_ONE), f"stubbed==1.0,{CLICK}")
    assert not half.exists()
    assert whole.exists(), "it was used just now"


def test_an_installer_that_replaces_a_package_leaves_the_one_here_alone(stub: Stub) -> None:
    files = [Path(str(distribution("packaging").locate_file(file))) for file in distribution("packaging").files or ()]
    before = {file: file.read_bytes() for file in files if file.suffix == ".py"}
    replaces = """
site=$("$2" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
rm -r "$site"/packaging* && mkdir "$site/packaging" && echo "1/0" > "$site/packaging/__init__.py"
"""
    assert "packaging" not in made(stub(replaces), CLICK).versions
    assert {file: file.read_bytes() for file in before} == before


def test_files_are_copied_where_they_cannot_be_linked(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert made(stub("true"), CLICK).versions["packaging"] == version("packaging")


def test_a_cache_that_cannot_be_written_is_told(stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(InstallError, match="Not a directory"):
        made(stub("true"))


def test_the_environment_here_runs_the_archlint_that_runs(tmp_path: Path) -> None:
    import archlint

    command = [*here().archlint, "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"archlint {archlint.__version__}\npython")
    assert here().versions["peft"] == version("peft")


def test_modules_of_the_working_directory_are_not_imported_here(tmp_path: Path) -> None:
    for name in ("json", "runpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    command = [*here().archlint, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("inside", ["archlint", ""], ids=["installed", "a checkout in a folder called archlint"])
def test_all_packages_are_packed_once(inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "archlint"
    beside = folder / inside
    paths = {"archlint": folder / "archlint", **{f"archlint.{name}": beside / name for name in ("rules", "fixtures")}}
    for path in paths.values():
        path.mkdir(parents=True)
        (path / "__init__.py").touch()
    modules = {name: SimpleNamespace(__path__=[str(path)]) for name, path in paths.items()}
    monkeypatch.setattr("archlint.matrix.packing.import_module", modules.__getitem__)
    packed = [name for name, _ in Package.running().files]
    assert packed == [f"archlint/{name}__init__.py" for name in ("", "fixtures/", "rules/")]


def test_the_wheel_is_the_archlint_that_runs(tmp_path: Path) -> None:
    """It installs with pip, without its old bounds, and knows its rules and snapshots."""
    package = Package.running()
    assert "peft" in package.dependencies
    assert package.optional == ("trl",)
    wheel = package.wheel(tmp_path)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "to"), wheel]
    subprocess.run(command, check=True, capture_output=True)
    code = (
        "from archlint.core.catalog import Catalog; from archlint.sources import resolve; import archlint.rules as r; "
    )
    code += "print(r.__file__, len(Catalog.load().rules) > 40, resolve('google/gemma-4').config['model_type'])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "to"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(tmp_path / "to" / "archlint" / "rules" / "__init__.py"), "True", "gemma4"]
    shutil.rmtree(tmp_path / "to")
    assert package.wheel(tmp_path).read_bytes() == wheel.read_bytes(), "the same code gives the same wheel"
