"""Files of plans, one after the other, as pre-commit names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Call, Engine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plans for models that the engine finds something to say of."""
    monkeypatch.chdir(tmp_path)
    for model in ("fine", "error", "gone"):
        (tmp_path / f"{model} run.yml").write_text(f"base_model: org/{model}\nadapter: lora\nlora_r: 8\n")
    (tmp_path / "broken.yml").write_text("base_model: [")
    return tmp_path


@pytest.fixture
def engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(
        "archlint.engine.check", lambda source, options: engine.check(source.removeprefix("org/"), options)
    )
    return engine


def test_each_file_is_checked_on_the_model_that_it_names(call: Call, engine: Engine, folder: Path) -> None:
    done = call("plans", "--format", "concise", "--offline", "fine run.yml", "error run.yml")
    assert done.exit_code == 1
    assert engine.sources == ["fine", "error"]
    assert [str(options.plan_file.path) for _, options in engine.calls if options.plan_file is not None] == [
        "fine run.yml",
        "error run.yml",
    ]
    assert all(options.source.offline for _, options in engine.calls)
    assert done.stdout.startswith("error: error ARC101 some-name")


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([], 0),
        (["fine run.yml"], 0),
        (["fine run.yml", "gone run.yml"], 3),
        (["error run.yml", "gone run.yml"], 1),
        (["broken.yml", "fine run.yml"], 2),
        (["broken.yml", "error run.yml"], 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst(
    call: Call, engine: Engine, folder: Path, files: list[str], code: int
) -> None:
    assert call("plans", *files).exit_code == code
    assert len(engine.calls) == len([file for file in files if file != "broken.yml"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--offlin", "fine run.yml"], "No such option"),
        (["--output", "x.json", "fine run.yml"], "--output is for one report"),
        (["--also", "json=x.json", "fine run.yml", "error run.yml"], "--also is for one report"),
        (["fine run.yml", "--offline"], "options stand before the files"),
        (["fine run.yml", "--format", "json", "error run.yml"], "options stand before the files"),
    ],
)
def test_wrong_usage_checks_nothing(call: Call, engine: Engine, folder: Path, arguments: list[str], said: str) -> None:
    done = call("plans", *arguments)
    assert (done.exit_code, engine.calls) == (2, [])
    assert said in done.stderr
    assert "archlint check --help" in done.stderr
