from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from archlint.matrix.adopting import adopt, closure

FILES = {"one/__init__.py": "x = 1\n", "one.pth": "", "one-1.0.dist-info/METADATA": "Name: one\nVersion: 1.0\n"}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder of packages with one in it, and a script of that beside it."""
    folder = tmp_path / "lib" / "here"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / "script").write_text("#!/here\n")
    record = "".join(f"{name},,\n" for name in [*FILES, "one-1.0.dist-info/RECORD", "../../script", "one/gone.py"])
    (folder / "one-1.0.dist-info" / "RECORD").write_text(record)
    return folder


def test_all_files_of_a_package_come_along_but_no_scripts(here: Path, tmp_path: Path) -> None:
    there = tmp_path / "env" / "lib" / "there"
    adopt([Distribution.at(here / "one-1.0.dist-info")], there)
    found = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    assert found == {*FILES, "one-1.0.dist-info/RECORD"}
    assert not (tmp_path / "env" / "script").exists()


def test_what_changes_here_later_changes_nothing_there(here: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    adopt([Distribution.at(here / "one-1.0.dist-info")], there)
    (here / "one" / "__init__.py").unlink()  # as an installer does, before it writes
    (here / "one" / "__init__.py").write_text("x = 2\n")
    assert (there / "one" / "__init__.py").read_text() == "x = 1\n"


def test_a_package_without_a_list_of_its_files_is_left_to_the_installer(here: Path, tmp_path: Path) -> None:
    (here / "one-1.0.dist-info" / "RECORD").unlink()
    adopt([Distribution.at(here / "one-1.0.dist-info")], tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_files_of_a_source_tree_are_not_those_of_a_package(tmp_path: Path) -> None:
    for name in ("setup.py", "src/one/__init__.py"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).touch()
    (metadata := tmp_path / "tree" / "one.egg-info").mkdir()
    (metadata / "PKG-INFO").write_text("Name: one\nVersion: 1.0\n")
    (metadata / "SOURCES.txt").write_text("setup.py\nsrc/one/__init__.py\n")
    adopt([Distribution.at(metadata)], tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_what_is_needed_is_followed_with_its_extras() -> None:
    found = closure([Requirement("jsonschema"), Requirement("nobody-has-this")])
    assert {"jsonschema", "attrs", "referencing"} <= found.keys()
    assert "nobody-has-this" not in found
    assert "torch" in closure([Requirement("safetensors[torch]")])
    assert "torch" not in closure([Requirement("safetensors")])
