"""The scan of all architectures, as it is committed, is what a fresh one gives; and what is made of it is right.

A sample is scanned anew. ``ARCHLINT_SCAN=all`` scans everything, which takes the better part of an hour.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from archlint.quiet import quiet
from archlint.skeleton import build
from archlint.sources import SourceOptions, resolve

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))  # scripts, which find each other beside them

import architectures  # noqa: E402
import peers  # noqa: E402
import verdicts  # noqa: E402

SAMPLE = (
    "type:albert",
    "type:dac",
    "type:git",
    "type:gpt2",
    "type:ibert",
    "type:jetmoe",
    "type:mamba",
    "type:phimoe",
    "type:rag",
    "meta-llama/Llama-3.2-1B",
)
"""Cheap ones of all sorts: with a tower, experts, a head that is adapted, a crash, dead adapters, no recipe, no run."""
ALL = os.environ.get("ARCHLINT_SCAN") == "all"


@pytest.fixture(scope="module")
def versions() -> dict[str, str | None]:
    return architectures.read(architectures.LINES)[0]


@pytest.fixture(scope="module")
def rows() -> list[verdicts.Row]:
    return architectures.read(architectures.LINES)[1]


@pytest.fixture(scope="module")
def same_versions(versions: dict[str, str | None]) -> None:
    deciding = versions if ALL else {"peft", "transformers"}
    installed = architectures.installed()
    others = [
        f"{name} {versions[name]}, not {installed[name]}" for name in deciding if versions[name] != installed[name]
    ]
    if others:
        pytest.skip(f"the scan was made with {', '.join(sorted(others))}")


@pytest.mark.usefixtures("same_versions")
@pytest.mark.parametrize("name", [] if ALL else SAMPLE)
def test_a_fresh_scan_gives_the_committed_line(rows: list[verdicts.Row], name: str) -> None:
    assert architectures.scan(name) == next(row for row in rows if row["name"] == name)


@pytest.mark.usefixtures("same_versions")
def test_the_script_writes_what_it_scans(rows: list[verdicts.Row], tmp_path: Path) -> None:
    output = tmp_path / "fresh.jsonl"
    sources = [] if ALL else ["type:rag", "type:ibert"]
    command = [sys.executable, str(ROOT / "benchmarks" / "architectures.py"), *sources, "--output", str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    fresh = architectures.read(output)[1]
    kept = [row for row in rows if ALL or row["name"] in sources]
    assert [row["name"] for row in fresh] == [row["name"] for row in kept]
    assert [row for row in fresh if row not in kept] == [row for row in kept if row not in fresh]


@pytest.mark.usefixtures("same_versions")
def test_every_architecture_has_its_line(rows: list[verdicts.Row]) -> None:
    assert [row["name"] for row in rows] == architectures.architectures()
    assert [row for row in rows if "stopped" in row] == []


def test_the_table_in_the_docs_is_that_of_the_lines(versions: dict[str, str | None], rows: list[verdicts.Row]) -> None:
    text = architectures.DOCS.read_text(encoding="utf-8")
    between = text.partition(architectures.BEGIN)[2].partition(architectures.END)[0]
    assert between.strip() == verdicts.table(versions, rows).strip()


def test_lines_are_written_as_they_are_read(
    versions: dict[str, str | None], rows: list[verdicts.Row], tmp_path: Path
) -> None:
    architectures.write(copy := tmp_path / "copy.jsonl", versions, reversed(rows))
    _, again = architectures.read(copy)
    architectures.write(copy, versions, architectures.updated(again[:5], again[5:]))
    assert copy.read_bytes() == architectures.LINES.read_bytes()


GOOD = {"adapted": 10, "coverage": 1.0, "forward": "ok"}


@pytest.mark.parametrize(
    ("outcome", "reasons"),
    [
        (GOOD, []),
        ({**GOOD, "coverage": 0.95}, []),
        ({**GOOD, "coverage": 0.9499}, ["adapts 94.99 % of the text weights"]),
        ({**GOOD, "dead": 3}, ["3 of 10 adapters get no gradient"]),
        ({**GOOD, "outside": 2}, ["2 adapters in towers or connectors"]),
        ({**GOOD, "heads": 1, "routers": 4}, ["1 adapters in heads", "4 adapters in routers or gates"]),
        ({**GOOD, "forward": "crashed", "crash": "TypeError"}, ["crashes with TypeError"]),
        ({**GOOD, "forward": "unavailable"}, ["could not be run"]),
        ({"raised": "ValueError"}, ["PEFT raises ValueError"]),
        ({"refused": "finds no layers"}, ["finds no layers"]),
        (None, ["there is none"]),
    ],
)
def test_a_plan_is_good_where_it_has_no_fault(outcome: dict[str, Any] | None, reasons: list[str]) -> None:
    assert [words for _, words in verdicts.faults(outcome)] == reasons
    assert verdicts.is_good(outcome) == (not reasons)


def line(name: str, **more: Any) -> verdicts.Row:
    plans = dict.fromkeys(verdicts.PLANS, GOOD)
    return {"name": name, "class": "Some", "language": True, "runs": "meta", "towers": False, "plans": plans, **more}


def test_the_table_counts_language_models_that_run() -> None:
    dead = {**dict.fromkeys(verdicts.PLANS, GOOD), "recipe": {**GOOD, "dead": 1}}
    rows = [
        line("type:plain"),
        line("type:tower", towers=True, plans=dead),
        line("type:picture", language=False),
        line("type:stuck", runs=None, unrun="needs | a kernel"),
        {"name": "type:gone", "language": True, "unbuilt": "no class"},
        {"name": "type:slow", "stopped": "took more than 300 s"},
        line("some/published"),
    ]
    text = verdicts.table({"transformers": "5", "peft": "1"}, rows)
    assert "6 model types, of which 4 can be built" in text
    assert "| plan | good, of 2 | with towers, of 1 |" in text
    assert "| archlint's recipe | 1 | 0 | 0 | 0 | 0 | 1 | 0 | 0 | 1 |" in text
    assert "| axolotl | 2 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 |" in text
    assert "| `type:tower` | Some | 1 of 10 adapters get no gradient |" in text
    assert r"| `type:stuck` | needs \| a kernel |" in text
    assert "| `type:gone` | no class |" in text
    assert "| `type:slow` | took more than 300 s |" in text
    assert "type:picture" not in text


@pytest.mark.parametrize(
    ("reason", "stable"),
    [
        ("TypeError: <Foo object at 0x7f1c2a> is odd", "TypeError: <Foo object at 0x…> is odd"),
        ("ValueError: no (transformers/models/x/modeling_x.py:203)", "ValueError: no"),
        ("OSError: cannot read /home/user/cache/config.json", "OSError: cannot read config.json"),
        ("cannot reach https://host:9/a/b.json", "cannot reach …"),
        ("a  b\nc", "a b c"),
        ("x" * 200, "x" * 119 + "…"),
    ],
)
def test_reasons_are_the_same_on_every_machine(reason: str, stable: str) -> None:
    assert architectures._stable(reason) == stable


def test_what_hangs_or_breaks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures, "SECONDS", 0.001)
    assert architectures.scan_all(("type:gpt2", "type:bert"), jobs=2) == [
        {"name": "type:gpt2", "stopped": "took more than 0 s"},
        {"name": "type:bert", "stopped": "took more than 0 s"},
    ]
    monkeypatch.setattr(architectures, "scan", lambda source: [][source])
    broken = architectures._scan_or_say("type:gpt2")
    assert broken == {"name": "type:gpt2", "stopped": "TypeError: list indices must be integers or slices, not str"}


def model(source: str) -> nn.Module:
    config = resolve(source, SourceOptions(offline=True)).config
    assert config is not None
    with quiet():
        return build(config).model


def test_a_plain_model_leaves_the_peers_no_choice() -> None:
    llama = model("type:llama")
    names = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    for choose in (peers.llama_factory, peers.axolotl, peers.ms_swift):
        assert choose(llama) == {"target_modules": names}
    assert peers.unsloth(llama) == peers.unsloth_text(llama)


def test_the_peers_keep_from_towers_where_they_say_so() -> None:
    llava = model("type:llava")
    paths = [path for path, _ in llava.named_modules()]
    beside = {path for path in paths if path.startswith(("model.vision_tower", "model.multi_modal_projector"))}
    assert beside
    assert not set(peers.llama_factory(llava)["target_modules"]) & beside
    for choose, stays_out in ((peers.unsloth, False), (peers.unsloth_text, True), (peers.ms_swift, True)):
        pattern = re.compile(choose(llava)["target_modules"])
        assert any(map(pattern.fullmatch, paths))
        assert any(map(pattern.fullmatch, beside)) != stays_out


def test_two_tools_reach_into_wrapped_linears() -> None:
    gemma = model("google/gemma-4-E2B-it")
    linears = {f"{path}.linear" for path in peers._wrappers(gemma)}
    for arguments in (peers.axolotl(gemma), peers.unsloth(gemma)):
        excluded = re.compile(arguments["exclude_modules"])
        assert {f"{path}.linear" for path, _ in gemma.named_modules() if excluded.fullmatch(path)} == linears
    assert "linear" in peers.axolotl(gemma)["target_modules"]


def test_a_tool_may_turn_a_model_away() -> None:
    with pytest.raises(peers.RefusedError, match="finds no layers"):
        peers.unsloth(model("type:gpt2"))
    with pytest.raises(peers.RefusedError, match="does not know the model"):
        peers.ms_swift(model("type:smolvlm"))


def test_a_name_that_other_layers_end_in_too_is_told_by_its_parents() -> None:
    block = nn.ModuleDict({"proj": nn.Linear(2, 2), "norm": nn.LayerNorm(2)})
    odd = nn.ModuleDict({"proj": nn.Conv1d(2, 2, 1), "out": nn.Linear(2, 2)})
    both = nn.ModuleDict({"block": block, "odd": odd})
    assert peers._linear_names(both) == {"block.proj", "out"}
