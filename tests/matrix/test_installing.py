"""uv and pip: which is taken, what it is told, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archlint.matrix import installing
from archlint.matrix.installing import Installer, InstallError, installer
from archlint.matrix.processes import Ended

PIP_NO_VERSION = """\
WARNING: Location 'file:///wheels/peft/' is ignored: it is neither a file nor a directory.
ERROR: Could not find a version that satisfies the requirement peft==99 (from versions: 0.0.1, 0.0.2)
ERROR: No matching distribution found for peft==99
"""
PIP_CONFLICT = """\
ERROR: Cannot install peft==0.18.0 and peft==0.19.0 because these package versions have conflicting dependencies.
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution/
"""
UV_NO_VERSION = """\
Using Python 3.11.7 environment at: /tmp/x
  × No solution found when resolving dependencies:
  ╰─▶ Because there is no version of peft==99 and you require peft==99, we
      can conclude that your requirements are unsatisfiable.
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (PIP_NO_VERSION, "No matching distribution found for peft==99"),
        (
            PIP_CONFLICT,
            "Cannot install peft==0.18.0 and peft==0.19.0 because these package versions have conflicting "
            "dependencies.",
        ),
        (
            UV_NO_VERSION,
            "Because there is no version of peft==99 and you require peft==99, we can conclude that your requirements "
            "are unsatisfiable.",
        ),
        ("error: Failed to fetch: `x`\n", "Failed to fetch: `x`"),
        ("", "the installer ended with 2"),
    ],
)
def test_the_reason_is_one_line(said: str, reason: str) -> None:
    assert installing.reason(Ended(2, "", said)) == reason


def program(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def test_uv_is_taken_where_it_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "pip" in installer().command[1:3]
    assert not installer().command[0].startswith(str(tmp_path))
    program(tmp_path / "bin", "uv")
    assert installer().command[:3] == (str(tmp_path / "bin" / "uv"), "pip", "install")


def test_uv_is_told_what_pip_is_set_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "uv")
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://a.example/simple\n[install]\nfind-links = /w\n  /v\n"
    )
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://b.example/simple")
    told = installer().variables
    assert told["UV_DEFAULT_INDEX"] == "https://a.example/simple"
    assert told["UV_INDEX"] == "https://b.example/simple"
    assert told["UV_FIND_LINKS"] == "/w,/v"
    monkeypatch.setenv("UV_FIND_LINKS", "/mine")
    assert "UV_FIND_LINKS" not in installer().variables, "what uv itself is set to wins"


@pytest.mark.parametrize("found", ["21.2.4", None], ids=["an old pip", "no pip"])
def test_an_environment_gets_pip_where_the_one_here_cannot_do_it(
    found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(_: str) -> str:
        if found is None:
            raise installing.PackageNotFoundError
        return found

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(installing, "version", version)
    assert installer().needs_pip
    assert installer().command[:3] == ("{python}", "-m", "pip")


def test_an_installer_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="No such file"):
        Installer((str(tmp_path / "gone"),)).install([], tmp_path / "python", tmp_path)


def test_packages_here_are_not_taken_for_installed_there(
    stub: Callable[[str], Installer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/here")
    monkeypatch.setenv("PYTHONHOME", "/here")
    stub('test -z "$PYTHONPATH$PYTHONHOME"').install([], tmp_path / "python", tmp_path)


def test_nothing_is_asked_of_the_user(stub: Callable[[str], Installer], tmp_path: Path) -> None:
    stub("read answer && exit 1; exit 0").install([], tmp_path / "python", tmp_path)
