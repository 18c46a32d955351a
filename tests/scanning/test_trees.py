"""Models in folders of folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archlint.scanning import trees

MODEL = '{"model_type": "gpt2"}'


def put(folder: Path, config: str = MODEL) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(config)


def found(top: Path) -> list[str]:
    return [str(one.path.relative_to(top)) for one in trees.models(top)]


def test_every_folder_with_a_model_in_order(tmp_path: Path) -> None:
    for name in ("b/checkpoint-2", "b/checkpoint-10", "a", "b", "c/d/e"):
        put(tmp_path / name)
    assert found(tmp_path) == ["a", "b", "b/checkpoint-10", "b/checkpoint-2", "c/d/e"]


def test_the_top_may_be_one_itself(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path / "text_encoder")
    assert found(tmp_path) == [".", "text_encoder"]


def test_configs_of_something_else_are_left_out_and_broken_ones_are_not(tmp_path: Path) -> None:
    put(tmp_path / "architectures", '{"architectures": ["GPT2Model"]}')
    put(tmp_path / "broken", "{")
    put(tmp_path / "custom", '{"auto_map": {"AutoModel": "modeling.Net"}}')
    put(tmp_path / "list", "[]")
    put(tmp_path / "scheduler", '{"_class_name": "DDIMScheduler"}')
    put(tmp_path / "untyped", '{"model_type": "", "hidden_size": 3}')
    assert found(tmp_path) == ["architectures", "broken", "custom"]


def test_hidden_folders_are_left_out(tmp_path: Path) -> None:
    put(tmp_path / ".cache" / "a")
    put(tmp_path / "b" / ".git")
    put(tmp_path / "c")
    assert found(tmp_path) == ["c"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "a")
    top = tmp_path / "top"
    put(top / "b")
    (top / "b" / "above").symlink_to(top)
    (top / "itself").symlink_to(top / "itself")
    (top / "linked").symlink_to(tmp_path / "elsewhere")
    (top / "twice").symlink_to(tmp_path / "elsewhere" / "a")
    assert found(top) == ["b", "linked/a"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    put(tmp_path / "a")
    (tmp_path / "a").chmod(0)
    (one,) = trees.models(tmp_path)
    (tmp_path / "a").chmod(0o700)
    assert one.problem == "the folder cannot be read: Permission denied"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
def test_a_pipe_is_no_config_and_is_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path / "model")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "config.json")
    assert found(tmp_path) == ["model"]
