"""Files of a git repository as they were, beside those of today."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from archlint.revisions import RevisionError, past
from tests.repository import commit, git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub dir").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "config.json").write_bytes(b'{"a": 1}\r\n')
    (folder / "modeling_x.py").write_text("one = 1\n", encoding="utf-8")
    (folder / "sub dir" / "é:*.json").write_text("{}", encoding="utf-8")
    (folder / "photo.png").write_bytes(b"\0")
    (folder / "plan.yml").write_text("r: 8\n", encoding="utf-8")
    commit(folder)
    return folder


def test_a_folder_as_it_was(repository: Path) -> None:
    (repository / "config.json").write_text('{"a": 2}', encoding="utf-8")
    (repository / "new.py").write_text("", encoding="utf-8")
    with past("HEAD", [repository, repository / "plan.yml", repository / "new.py"]) as then:
        folder, plan, new = then.places.values()
        assert folder is not None
        assert folder.name == "model"
        assert (folder / "config.json").read_bytes() == b'{"a": 1}\r\n'
        assert (folder / "sub dir" / "é:*.json").read_text(encoding="utf-8") == "{}"
        assert not (folder / "photo.png").exists()
        assert plan is not None
        assert plan.read_text(encoding="utf-8") == "r: 8\n"
        assert (new, then.unchanged) == (None, False)
    assert not folder.exists()
    assert git(repository, "status", "--porcelain") == "M config.json\n?? new.py"


def test_a_part_of_the_repository_alone(repository: Path) -> None:
    (repository / "config.json").write_text("{}", encoding="utf-8")
    with past("HEAD", [repository / "sub dir"]) as then:
        (folder,) = then.places.values()
        assert folder is not None
        assert [file.name for file in folder.iterdir()] == ["é:*.json"]
        assert then.unchanged


@pytest.mark.parametrize("change", ["tracked", "untracked", "staged", "removed"])
def test_any_change_is_one(repository: Path, change: str) -> None:
    with past("HEAD", [repository]) as then:
        assert then.unchanged
    if change == "removed":
        (repository / "modeling_x.py").unlink()
    else:
        name = "other.py" if change == "untracked" else "modeling_x.py"
        (repository / name).write_text("two = 2\n", encoding="utf-8")
    if change == "staged":
        git(repository, "add", "-A")
    with past("HEAD", [repository]) as then:
        assert not then.unchanged


def test_the_configuration_of_a_repository_has_no_program_run(repository: Path, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{trace}'\ncat\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=own diff=own\n")
    commit(repository)
    for key in ("filter.own.clean", "filter.own.smudge", "diff.own.textconv", "diff.external", "core.fsmonitor"):
        git(repository, "config", key, str(program))
    os.utime(repository / "modeling_x.py")  # git would look at it again
    trace.unlink(missing_ok=True)
    with past("HEAD", [repository]) as then:
        assert then.unchanged
    (repository / "modeling_x.py").write_text("two = 2\n", encoding="utf-8")
    with past("HEAD", [repository]) as then:
        assert not then.unchanged
    assert not trace.exists()


def test_it_is_held_against_where_a_branch_began(repository: Path) -> None:
    base = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-qb", "change")
    (repository / "modeling_x.py").write_text("mine = 1\n", encoding="utf-8")
    commit(repository)
    git(repository, "checkout", "-q", "main")
    (repository / "modeling_x.py").write_text("theirs = 1\n", encoding="utf-8")
    tip = commit(repository)
    git(repository, "checkout", "-q", "change")
    with past("main", [repository]) as then:
        assert then.revision == base
    git(repository, "checkout", "-q", "--orphan", "other")
    commit(repository)
    with past("main", [repository]) as then:
        assert then.revision == tip


def test_within_a_hook_the_repository_is_the_one_that_is_asked(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    with past("HEAD", [repository / "config.json"]) as then:
        assert then.places[repository / "config.json"] is not None


def test_what_cannot_be_had_is_said(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for revision, paths, says in (
        ("nowhere", [repository], "has no revision 'nowhere'.*fetch-depth: 0"),
        ("--help", [repository], "has no revision '--help'"),
        ("HEAD", [outside], "is in no git repository"),
    ):
        with pytest.raises(RevisionError, match=says), past(revision, paths):
            pass
    git(outside, "init", "-q")
    with pytest.raises(RevisionError, match="is in another git repository"), past("HEAD", [repository, outside]):
        pass
    monkeypatch.setenv("PATH", str(outside))
    with pytest.raises(RevisionError, match="git is not installed"), past("HEAD", [repository]):
        pass


def test_what_git_ignores_was_not_there(repository: Path) -> None:
    (repository / ".gitignore").write_text("local/\n", encoding="utf-8")
    commit(repository)
    (repository / "local").mkdir()
    (repository / "local" / "config.json").write_text("{}", encoding="utf-8")
    with past("HEAD", [repository / "local"]) as then:
        assert (then.places, then.unchanged) == ({repository / "local": None}, False)


def test_what_links_lead_to_is_there_and_may_have_changed(repository: Path) -> None:
    linking, shared = repository / "linking", repository / "shared"
    (shared / "code").mkdir(parents=True)
    linking.mkdir()
    (shared / "config.json").write_text('{"a": 1}', encoding="utf-8")
    (shared / "code" / "x.py").write_text("", encoding="utf-8")
    (linking / "config.json").symlink_to("../shared/config.json")
    (linking / "code").symlink_to("../shared/code")
    (linking / "elsewhere.json").symlink_to("/nowhere/config.json")
    (linking / "outside.json").symlink_to("../../../../outside.json")
    commit(repository)
    with past("HEAD", [linking, linking / "code"]) as then:
        assert then.unchanged
    (shared / "config.json").write_text('{"a": 2}', encoding="utf-8")
    with past("HEAD", [linking]) as then:
        folder = then.places[linking]
        assert folder is not None
        assert (folder / "config.json").read_text(encoding="utf-8") == '{"a": 1}'
        assert (folder / "code" / "x.py").exists()
        assert not then.unchanged


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_a_repository_whose_name_is_no_text(repository: Path) -> None:
    renamed = repository.rename(os.fsdecode(os.fsencode(repository.parent) + b"/caf\xe9"))
    with past("HEAD", [renamed]) as then:
        assert then.unchanged


def test_a_clone_that_lacks_where_histories_part_is_told(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "-qb", "change")
    (repository / "modeling_x.py").write_text("mine = 1\n", encoding="utf-8")
    commit(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", "--branch=change", repository.as_uri(), str(clone))
    git(clone, "fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main")
    with pytest.raises(RevisionError, match=r"without the history .*fetch-depth: 0"), past("origin/main", [clone]):
        pass
    git(clone, "fetch", "-q", "--unshallow")
    with past("origin/main", [clone]) as then:
        assert then.revision == git(repository, "rev-parse", "main")
