"""Folders of strangers: what is no plain file is not waited for, and what links lead to is not shown."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from archlint.baselines import Baseline, BaselineError
from archlint.cli.app import app
from archlint.deadline import deadline
from archlint.plans import PlanError, read_plan_file
from archlint.revisions import past
from archlint.settings import file as settings_file
from archlint.sources import SourceError, resolve
from tests.repository import git

SECRET = "hunter2:x:0:0:token=abc123"


class StalledError(BaseException):
    pass


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--offline", "--no-cache"])


@pytest.mark.parametrize("name", ["config.json", "adapter_config.json"])
def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with deadline(0.5, StalledError), pytest.raises(SourceError):
        resolve(str(tmp_path))


@pytest.mark.parametrize("name", ["archlint.toml", "pyproject.toml"])
def test_a_pipe_is_no_file_of_settings(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with deadline(0.5, StalledError):
        assert settings_file.find(tmp_path) is None


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no file without end")
class TestFilesWithoutEnd:
    def test_as_settings(self, tmp_path: Path) -> None:
        (tmp_path / "archlint.toml").symlink_to("/dev/zero")
        with pytest.raises(settings_file.SettingsError, match="larger than 4 MiB"):
            settings_file.read(tmp_path / "archlint.toml", {})

    def test_as_a_baseline(self, tmp_path: Path) -> None:
        (tmp_path / "known.json").symlink_to("/dev/zero")
        with pytest.raises(BaselineError, match="is no file"):
            Baseline.read(tmp_path / "known.json")

    @pytest.mark.parametrize("name", ["config.json", "adapter_config.json"])
    def test_as_a_model(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).symlink_to("/dev/zero")
        with pytest.raises(SourceError):
            resolve(str(tmp_path))

    def test_as_a_plan(self, tmp_path: Path) -> None:
        (tmp_path / "adapter_config.json").symlink_to("/dev/zero")
        with pytest.raises(PlanError, match="not a regular file"):
            read_plan_file(tmp_path)


@pytest.mark.parametrize("content", [SECRET, f"{SECRET}\n" * 50, json.dumps([SECRET]), json.dumps(SECRET)])
@pytest.mark.parametrize("name", ["config.json", "adapter_config.json"])
def test_what_a_link_leads_to_is_not_told(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "passwd").write_text(content, encoding="utf-8")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).symlink_to("../passwd")
    for source in (tmp_path / "model", tmp_path / "model" / name):
        result = run("check", str(source))
        assert result.exit_code == 3
        assert "hunter2" not in result.output
        assert "abc123" not in result.output


def test_links_that_lead_in_circles_are_followed_to_no_end(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("config.json")
    (tmp_path / "deeper").symlink_to(".")
    result = run("check", str(tmp_path))
    assert (result.exit_code, "Traceback" in result.output) == (3, False)


def written(repository: Path, *arguments: str, text: str) -> str:
    """What a command of git says that is given a text."""
    done = subprocess.run(["git", *arguments], cwd=repository, input=text, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "listing",
    [
        "120000 blob {link}\tsub\n040000 tree {inner}\tsub\n",
        "040000 tree {inner}\t..\n",
    ],
    ids=["a folder that is a link too", "a folder above"],
)
def test_a_commit_that_git_would_not_make_writes_nothing_outside(tmp_path: Path, listing: str) -> None:
    repository = tmp_path / "repository"
    (tmp_path / "outside").mkdir()
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    blob = written(repository, "hash-object", "-w", "--stdin", text="evil = 1\n")
    link = written(repository, "hash-object", "-w", "--stdin", text=str(tmp_path / "outside"))
    inner = written(repository, "mktree", text=f"100644 blob {blob}\tevil.py\n")
    content = b"".join(
        mode.encode() + b" " + name.encode() + b"\0" + bytes.fromhex(blob)
        for line in listing.format(link=link, inner=inner).splitlines()
        for mode, blob, name in [(line[:6].lstrip("0"), line.split()[2], line.partition("\t")[2])]
    )
    (tmp_path / "raw").write_bytes(content)
    top = git(repository, "hash-object", "-w", "-t", "tree", "--literally", str(tmp_path / "raw"))
    git(repository, "update-ref", "HEAD", git(repository, "commit-tree", "-m", "x", top))
    before = set(tmp_path.rglob("*.py")), set(Path(tempfile.gettempdir()).glob("*.py"))
    with past("HEAD", [repository]):
        assert (set(tmp_path.rglob("*.py")), set(Path(tempfile.gettempdir()).glob("*.py"))) == before
