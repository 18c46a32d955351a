"""Which files code gets to see, and what is in its folder and environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from archlint.containment import household
from archlint.containment.grounds import Grounds, borrowed, grounds
from archlint.containment.words import of_notice
from archlint.core.custom_code import Remark


def shown(folder: Path | None, cache: Path, *others: str) -> Grounds:
    return grounds(folder, cache, others, str(folder))


def is_readable(path: Path, found: Grounds) -> bool:
    return any(path.is_relative_to(root) for root in found.readable)


def test_what_is_hidden_and_what_is_a_link_is_not_shown(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / ".git").mkdir(parents=True)
    (folder / "sub").mkdir()
    for name in ("modeling.py", ".env", "sub/other.py"):
        (folder / name).touch()
    (folder / "link.py").symlink_to(tmp_path)
    found = shown(folder, tmp_path / "cache")
    assert found.repository == (str(folder / "modeling.py"), str(folder / "sub"))
    assert found.folders == (str(folder),)


def test_in_the_hubs_cache_all_of_one_repository_is_shown_and_no_token(tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    revision = cache / "models--some--model" / "snapshots" / "abc"
    blobs = cache / "models--some--model" / "blobs"
    for folder in (revision, blobs, cache / "models--other--model"):
        folder.mkdir(parents=True)
    (blobs / "1").touch()
    (revision / "modeling.py").symlink_to(blobs / "1")
    (tmp_path / "token").touch()
    found = shown(revision, cache)
    assert is_readable(blobs / "1", found)
    assert is_readable(revision / "modeling.py", found)
    for path in (tmp_path / "token", cache / "models--other--model"):
        assert not is_readable(path, found)
    assert is_readable(cache / "models--other--model" / "x", shown(revision, cache, "other/model")) is False
    (cache / "models--other--model" / "x").touch()
    assert is_readable(cache / "models--other--model" / "x", shown(revision, cache, "other/model"))


def test_repositories_whose_code_is_borrowed_are_named() -> None:
    assert borrowed({"auto_map": {"AutoConfig": "a/b--c.D", "AutoModel": "e.F"}}) == ("a/b",)
    assert borrowed({}) == borrowed({"auto_map": 1}) == ()


def test_python_and_packages_are_shown_and_nothing_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "secrets_of_mine.py").touch()
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.chdir(project)
    found = shown(None, tmp_path)
    import torch

    import archlint

    for file in (os.__file__, torch.__file__, archlint.__file__):
        assert is_readable(Path(os.path.realpath(str(file))), found)
    for path in (project / "secrets_of_mine.py", Path.home() / ".ssh", Path("/etc/passwd"), Path.cwd()):
        assert not is_readable(path, found)
    assert str(project) not in found.search
    assert "" not in found.search
    assert any("site-packages" in path for path in found.search) or sys.prefix == sys.base_prefix


def test_a_folder_is_removed_whatever_was_done_to_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    home = Path(household.fresh_home())
    (home / "deep" / "er").mkdir(parents=True)
    (home / "deep" / "er" / "file").touch()
    (home / "deep" / "link").symlink_to(outside)
    (home / "deep" / "er").chmod(0)
    (home / "deep").chmod(0o500)
    household.remove(str(home))
    assert not home.exists()
    assert (outside / "kept").exists()


def test_the_environment_has_nothing_that_nobody_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("HF_TOKEN", "AWS_ACCESS_KEY_ID", "SSH_AUTH_SOCK", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD"):
        monkeypatch.setenv(name, "geheim")
    found = household.environment("/fresh", tmp_path)
    assert found["LANG"] == "C.UTF-8"
    assert "geheim" not in found.values()
    assert {found[name].split("/")[1] for name in ("HOME", "TMPDIR", "HF_HOME", "HF_MODULES_CACHE")} == {"fresh"}
    assert (found["HF_HUB_CACHE"], found["HF_HUB_OFFLINE"]) == (str(tmp_path), "1")


def test_whoever_has_no_home_has_grounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is started with a number for a user."""

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    (tmp_path / "modeling.py").touch()
    assert shown(tmp_path, tmp_path / "cache").repository == (str(tmp_path / "modeling.py"),)
    assert of_notice("read", "/etc/x", 1) == Remark("tried to read /etc/x: refused")
