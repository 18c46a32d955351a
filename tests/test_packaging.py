"""What is installed is what stands in the repository, and it works from a wheel and from a plain checkout."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import archlint

ROOT = Path(__file__).parent.parent
INSTALLED = {"archlint": "archlint", "rules": "archlint/rules", "fixtures": "archlint/fixtures"}
"""Folders of the repository, and where they go."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository without what building and running left in it."""
    copy = tmp_path_factory.mktemp("checkout")
    left = shutil.ignore_patterns("__pycache__", "*.pyc", ".ruff_cache")
    for folder in INSTALLED:
        shutil.copytree(ROOT / folder, copy / folder, ignore=left)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from the source distribution, as a release is."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(checkout)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = out.glob("*.whl")
    return zipfile.ZipFile(path)


def information(wheel: zipfile.ZipFile, name: str) -> str:
    return wheel.read(f"archlint-{archlint.__version__}.dist-info/{name}").decode()


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(information(wheel, "METADATA"))


def run(code: str, folder: Path) -> dict[str, str]:
    """What ``code`` prints as JSON, in a process of its own that finds modules in ``folder`` first."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_wheel_holds_every_file_of_the_repository_and_no_other(wheel: zipfile.ZipFile, checkout: Path) -> None:
    expected = {
        f"{target}/{path.relative_to(checkout / folder).as_posix()}"
        for folder, target in INSTALLED.items()
        for path in (checkout / folder).rglob("*")
        if path.is_file()
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_every_folder_of_rules_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "rules").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_console_script_and_the_rules_are_entry_points(wheel: zipfile.ZipFile) -> None:
    points = ConfigParser()
    points.read_string(information(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == {"archlint": "archlint.cli:main"}
    assert dict(points["archlint.rules"]) == {"builtin": "archlint.rules"}


def test_the_licence_comes_along(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in information(wheel, "licenses/LICENSE")


LOADED = """
import json
import archlint, archlint.rules, archlint.fixtures
from archlint.core.catalog import Catalog
places = {module.__name__: module.__file__ for module in (archlint, archlint.rules, archlint.fixtures)}
catalog = Catalog.load()
print(json.dumps({**places, "rules": ",".join(catalog.rules), "failures": "; ".join(map(str, catalog.failures))}))
"""


def test_the_wheel_works_once_it_is_unpacked(wheel: zipfile.ZipFile, checkout: Path, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    installed, plain = run(LOADED, tmp_path), run(LOADED, checkout)
    assert Path(installed["archlint.rules"]) == tmp_path / "archlint" / "rules" / "__init__.py"
    assert Path(installed["archlint.fixtures"]) == tmp_path / "archlint" / "fixtures" / "__init__.py"
    assert Path(plain["archlint.rules"]) == checkout / "rules" / "__init__.py"
    assert Path(plain["archlint.fixtures"]) == checkout / "fixtures" / "__init__.py"
    assert installed["rules"] == plain["rules"] != ""
    assert installed["failures"] == plain["failures"] == ""


def test_a_plain_checkout_runs_as_a_module(checkout: Path) -> None:
    command = [sys.executable, "-m", "archlint", "--version"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert archlint.__version__ in done.stdout


def test_the_version_is_the_packages_own(metadata: Message) -> None:
    assert metadata["Version"] == archlint.__version__
    loaded = run("import json, sys, archlint; print(json.dumps({m: '' for m in sys.modules}))", ROOT)
    assert "torch" not in loaded, "import archlint stays instant"


def constraints(python: str) -> Iterator[Requirement]:
    """The lines of constraints.txt that count on this version of Python."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            constraint = Requirement(line)
            if constraint.marker is None or constraint.marker.evaluate({"python_version": python}):
                yield constraint


@pytest.mark.parametrize("python", ["3.10", "3.11"])
def test_the_constraints_pin_what_archlint_and_its_developers_need(metadata: Message, python: str) -> None:
    tested = [(constraint.name, constraint.specifier) for constraint in constraints(python)]
    pinned = {name: str(specifier).removeprefix("==") for name, specifier in tested}
    assert len(pinned) == len(tested), "a package has two versions"
    for requirement in map(Requirement, metadata.get_all("Requires-Dist", [])):
        assert requirement.name in pinned, f"{requirement.name} has no tested version"
        assert requirement.specifier.contains(pinned[requirement.name]), requirement


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    commands = re.findall(r"^pip install .* && python -m pytest.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 1
    assert "README.md" in script
