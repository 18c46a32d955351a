"""A module that transformers copied is traced to the repository that it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlint.skeleton.originals import original


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a file of the repository beside it, where transformers puts copies."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    file = tmp_path / "modules" / "transformers_modules" / "own" / "0123456789abcdef" / "parts" / "net.py"
    for path in (file, tmp_path / "own" / "parts" / "net.py"):
        path.parent.mkdir(parents=True)
        path.write_text("class Net: ...\n")
    return file


def test_a_copy_is_traced_to_its_folder(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    assert original(str(copy), own) == str(own / "parts" / "net.py")
    monkeypatch.chdir(tmp_path)
    assert original(str(copy), Path("own")) == str(own / "parts" / "net.py")


def test_a_link_keeps_its_name(copy: Path, tmp_path: Path) -> None:
    """As in the hub's cache, where files are links to blobs."""
    own = tmp_path / "own" / "parts" / "net.py"
    own.rename(tmp_path / "blob")
    own.symlink_to(tmp_path / "blob")
    assert original(str(copy), tmp_path / "own") == str(own)


def test_what_is_no_copy_stays(copy: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "parts" / "net.py"
    assert original(str(own), tmp_path / "own") == str(own)
    own.write_text("class Other: ...\n")
    assert original(str(copy), tmp_path / "own") == str(copy)
    own.unlink()
    assert original(str(copy), tmp_path / "own") == str(copy)
