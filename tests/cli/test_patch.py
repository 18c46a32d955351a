"""``archlint patch``: the file and nothing else on standard output, and an exit code that says what came of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Operation, Role, Site, TypeInfo
from archlint.core.report import Report, Unchecked
from archlint.core.safety import Safety
from archlint.core.surgery import Difference, Effect, Step, Way
from archlint.subject import Bench, NotVerifiableError
from archlint.surgery.patch import Patch, PatchError

from .conftest import Call

TEXT = "def unwrap(model):\n    return model\n"
STEPS = [
    Step("unwrap", True, "2 linears are where there were none"),
    Step("forward", True, "the same as the original, bit for bit", Safety.EXACT),
    Step("merge", True, "differs from what was trained by up to 2 standard deviations", Safety.LOSSY),
]
SITES = tuple(Site(f"layers.{index}.q_proj", TypeInfo("Wrapper", "net"), Kind.WRAPPER, Role.TEXT) for index in range(2))
LOSSY = Effect(forward=Difference(0.5), training=Difference(0.75, 0.8), merged=Difference())
OPERATIONS = (
    Operation(Way.UNWRAP, SITES, LOSSY),
    Operation(Way.KEEP, SITES, lack="it is too\nstrange"),
    Operation(Way.REGISTER, SITES, Effect()),
)


class Answering(Bench):
    """One that answers at once, by the source's name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blueprint = Blueprint(ModelInfo(f"org/{name}", "hub", "Net", "net", 10, 3), ())
        self.notes = ("the bundled snapshot was used",)

    def surgeries(self) -> tuple[Operation, ...]:
        return () if "plain" in self.name else OPERATIONS

    def patch(self, way: Way | None = None) -> Patch | None:
        if "plain" in self.name or way is Way.KEEP:
            return None
        return Patch(f"# {way.value if way else 'best'}\n{TEXT}", way=way or Way.REGISTER)

    def verify(self, patch: Patch) -> list[Step]:
        if "endless" in self.name:
            raise NotVerifiableError("no small copy of it runs")
        if "unfit" in self.name:
            raise PatchError("patch does not fit the model")
        if "bad" in self.name or "bad" in patch.text:
            return [*STEPS, Step("rewrap", False, "the state dict has no layers.0.weight")]
        return STEPS


Answering.__abstractmethods__ = frozenset()  # nothing else is asked of it


class Engine:
    """Stands in for ``archlint.engine.opening``, and keeps what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    @contextlib.contextmanager
    def opening(self, source: str, options: Any) -> Iterator[Bench | Report]:
        self.calls.append((source, options))
        options.progress("building")
        if source == "gone":
            yield Report(source=source, unchecked=(Unchecked("the architecture", "it is not there"),))
            return
        yield Answering(source)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr("archlint.engine.opening", made.opening)
    return made


NOTE = "note: the bundled snapshot was used\n"


def test_a_file_to_commit(call: Call, engine: Engine) -> None:
    result = call("patch", "net")
    way = "note: the way is register; --list tells all\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"# best\n{TEXT}", NOTE + way)
    assert engine.calls[-1][1].prove is False


def test_a_way_is_asked_for(call: Call, engine: Engine) -> None:
    assert call("patch", "net", "--way", "unwrap").stdout.startswith("# unwrap\n")


def test_a_file_is_written(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    result = call("patch", "net", "-o", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    assert file.read_text() == f"# best\n{TEXT}"


def test_a_file_that_cannot_be_written_is_told_first(call: Call, engine: Engine, tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "not" / "there.py"):
        result = call("patch", "net", "-o", str(file))
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"--output {file}" in result.stderr
    assert engine.calls == []


def test_the_ways_are_listed(call: Call, engine: Engine) -> None:
    result = call("patch", "net", "--list")
    assert (result.exit_code, result.stderr) == (0, NOTE)
    assert result.stdout.splitlines() == [
        "2 Wrapper",
        "  2× layers.{0,1}.q_proj",
        "    unwrap    lossy forward by up to 0.5, in training by up to 0.8 standard deviations of the outputs; "
        "exact once merged",
        "    keep      not possible: it is too strange",
        "    register  exact",
    ]


def test_nothing_to_list_is_said(call: Call, engine: Engine) -> None:
    result = call("patch", "plain", "--list")
    assert (result.exit_code, result.stdout) == (
        0,
        "Net: no surgery applies, PEFT finds each layer by its name\n",
    )


def test_nothing_to_patch(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    result = call("patch", "plain", "-o", str(file), "--verify")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("no patch applies in Net\n")
    assert not file.exists()


def test_a_way_that_applies_to_nothing(call: Call, engine: Engine) -> None:
    result = call("patch", "net", "--way", "keep")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "keep for Wrapper: it is too strange" in result.stderr
    assert "--way keep applies to nothing in Net: archlint patch net --list tells what does" in result.stderr


def test_a_source_that_is_not_there(call: Call, engine: Engine) -> None:
    for arguments in ([], ["--list"], ["--verify"]):
        result = call("patch", "gone", *arguments)
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr == "error: the architecture: it is not there\n"


def test_a_patch_is_verified_beside_the_result(call: Call, engine: Engine) -> None:
    result = call("patch", "net", "--verify")
    assert (result.exit_code, result.stdout) == (0, f"# best\n{TEXT}")
    assert result.stderr.splitlines() == [
        NOTE.strip(),
        "note: the way is register; --list tells all",
        "ok      unwrap   2 linears are where there were none",
        "exact   forward  the same as the original, bit for bit",
        "lossy   merge    differs from what was trained by up to 2 standard deviations",
    ]


def test_a_step_that_fails(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    result = call("patch", "bad", "--verify", "-o", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("failed  rewrap   the state dict has no layers.0.weight\n")
    assert file.exists()


def test_what_cannot_be_tried_is_not_clean(call: Call, engine: Engine) -> None:
    result = call("patch", "endless", "--verify")
    assert (result.exit_code, result.stdout) == (3, f"# best\n{TEXT}")
    assert "not verified: no small copy of it runs" in result.stderr


def test_a_file_of_ones_own_is_verified_and_not_printed(call: Call, engine: Engine, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(TEXT)
    bad.write_text(f"{TEXT}# bad\n")
    assert (call("patch", "net", "--verify", "--patch", str(good)).exit_code) == 0
    assert (call("patch", "plain", "--verify", "--patch", str(good)).exit_code) == 0
    assert (call("patch", "net", "--verify", "--patch", str(bad)).exit_code) == 1
    result = call("patch", "unfit", "--verify", "--patch", str(good))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: patch does not fit the model" in result.stderr


@pytest.mark.parametrize("content", [b"def unwrap(model:\n", b"\xff\xfe", b"x = '\x00'\n"])
def test_a_file_of_ones_own_that_is_no_python(call: Call, engine: Engine, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.py"
    file.write_bytes(content)
    result = call("patch", "net", "--verify", "--patch", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--patch {file}: " in result.stderr
    assert engine.calls == []


def test_wrong_usage(call: Call, engine: Engine, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.py", tmp_path / "other.py"
    mine.write_text(TEXT)
    for arguments in (
        ["patch"],
        ["patch", "net", "other"],
        ["patch", "net", "--way", "inner"],
        ["patch", "net", "--way", "nothing"],
        ["patch", "net", "--patch", str(mine)],
        ["patch", "net", "--verify", "--patch", str(other)],
        ["patch", "net", "--verify", "--patch", str(tmp_path)],
        ["patch", "net", "--verify", "--patch", str(mine), "--way", "unwrap"],
        ["patch", "net", "--verify", "--patch", str(mine), "--list"],
        ["patch", "net", "--verify", "--patch", str(mine), "-o", str(other)],
        ["patch", "net", "--list", "--verify"],
        ["patch", "net", "--list", "--way", "unwrap"],
        ["patch", "net", "--list", "-o", str(other)],
    ):
        result = call(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.splitlines()[1] == "hint: archlint patch --help"
    assert engine.calls == []


def test_options_reach_the_engine(call: Call, engine: Engine) -> None:
    call("patch", "net", "--offline", "--revision", "v1", "--class", "Other")
    source = engine.calls[-1][1].source
    assert (source.offline, source.revision, source.class_name) == (True, "v1", "Other")


def test_the_help_names_every_way_and_exit_code(call: Call) -> None:
    told = call("patch", "--help").stdout
    for way in set(Way) - {Way.INNER}:
        assert f"\n  {way.value:9} " in told
    for code in range(4):
        assert f"\n  {code}  " in told


class TestOnARealModel:
    """A small GPT-2, from its config on."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> str:
        config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
        sizes = {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 512, "n_positions": 64}
        (tmp_path / "config.json").write_text(json.dumps({**config, **sizes}))
        return str(tmp_path)

    def test_what_is_printed_runs_and_passes(self, call: Call, source: str) -> None:
        result = call("patch", source, "--verify", "--offline")
        assert result.exit_code == 0, result.stderr
        module = ModuleType("patch")
        exec(result.stdout, vars(module))
        assert module.MADE_FOR == "GPT2LMHeadModel"
        assert result.stderr.splitlines()[-1].startswith("ok      save and load")

    def test_a_file_for_its_size_is_written_and_cannot_be_tried_on_a_copy(
        self, call: Call, source: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "splitting.py"
        assert call("patch", source, "--way", "split", "--offline", "-o", str(file)).exit_code == 0
        result = call("patch", source, "--verify", "--patch", str(file), "--offline")
        assert (result.exit_code, result.stdout) == (3, "")
        assert "not verified: the patch fits the model, and no small copy of it" in result.stderr

    def test_it_is_listed(self, call: Call, source: str) -> None:
        result = call("patch", source, "--list", "--offline")
        assert result.exit_code == 0
        assert result.stdout == "2 Conv1D\n  2× transformer.h.{0,1}.attn.c_attn\n    split     exact\n"
