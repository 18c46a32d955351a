"""Versions are those that importlib.metadata tells, most of them without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from archlint import versions

TOLD = "Metadata-Version: 2.1\nName: torch\nVersion: {}\n\nVersion: 9 is what all wait for\n"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    versions.version.cache_clear()
    yield
    versions.version.cache_clear()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are looked for first."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def put(place: Path, folder: str, version: str, file: str = "METADATA") -> None:
    (place / folder).mkdir(exist_ok=True)
    (place / folder / file).write_text(TOLD.format(version), encoding="utf-8")


def told(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@pytest.mark.parametrize("package", ["torch", "transformers", "accelerate", "peft", "trl", "no-such-package", "PyYAML"])
def test_it_is_what_the_package_says(package: str) -> None:
    assert versions.version(package) == told(package)


@pytest.mark.parametrize("folder", ["torch-1.0+mine.dist-info", "Torch-1.0+mine.dist-info", "torch.dist-info"])
def test_the_first_place_wins(place: Path, folder: str) -> None:
    put(place, folder, "1.0+mine")
    assert versions.version("torch") == told("torch") == "1.0+mine"


def test_what_is_named_like_it_is_another(place: Path) -> None:
    put(place, "torch_geometric-7.dist-info", "7")
    put(place, "torch-7", "7")
    assert versions.version("torch") == told("torch") != "7"


def test_what_is_not_plain_is_asked(place: Path) -> None:
    put(place, "torch-2.dist-info", "2")
    put(place, "torch-3.dist-info", "3")
    assert versions.version("torch") == told("torch")


def test_an_egg_counts(place: Path) -> None:
    put(place, "torch-4.egg-info", "4", "PKG-INFO")
    assert versions.version("torch") == told("torch") == "4"


def test_what_is_installed_as_usual_is_known_without_reading_all_of_its_metadata() -> None:
    look = "import sys; from archlint.versions import environment; environment(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert "importlib.metadata" not in done.stdout.split()
