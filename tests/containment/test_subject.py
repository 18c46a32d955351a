"""Models of repositories' own code: the same as in one process, and whatever the code does instead."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlint import engine
from archlint.building import built
from archlint.containment import CodeFailedError, Contained, Limits, NotContainedError, contained
from archlint.core.stock import STOCK_PLANS
from archlint.core.surgery import Way
from archlint.identity import Located, locate
from archlint.options import Options
from archlint.quiet import quiet
from archlint.sources.source import SourceOptions
from archlint.subject import NotBuiltError

TRUSTING = Options(source=SourceOptions(trust_remote_code=True))
ROUTED = Path(__file__).parent.parent / "repositories" / "routed"

CONFIG = {
    "architectures": ["OwnModel"],
    "model_type": "own-type",
    "auto_map": {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnModel"},
}
CONFIGURATION = """
from transformers import PretrainedConfig
{top}
class OwnConfig(PretrainedConfig):
    model_type = "own-type"

    def __init__(self, **kwargs):
        {init}
        super().__init__(**kwargs)
"""
MODELING = """
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .configuration_own import OwnConfig
{top}
class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(8, 8)
        self.up = nn.Linear(8, 8)
        {init}
        self.post_init()

    def get_input_embeddings(self):
        return self.embed

    def forward(self, input_ids=None, attention_mask=None, labels=None, **kwargs):
        hidden = self.embed(input_ids)
        {forward}
        return CausalLMOutput(logits=self.up(hidden))
"""


def repository(
    folder: Path, *, config: tuple[str, str] = ("", ""), top: str = "", init: str = "", forward: str = ""
) -> Path:
    """A repository with code of its own, and in it what is given, by where it runs."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    configuration = CONFIGURATION.format(top=config[0], init=textwrap.indent(config[1] or "pass", " " * 8).lstrip())
    (folder / "configuration_own.py").write_text(configuration)
    parts = {"init": init or "pass", "forward": forward or "pass"}
    indented = {name: textwrap.indent(part, " " * 8).lstrip() for name, part in parts.items()}
    (folder / "modeling_own.py").write_text(MODELING.format(top=top, **indented))
    return folder


def found(folder: Path, options: Options = TRUSTING) -> Located:
    return locate(str(folder), options)


def texts(subject: Contained) -> list[str]:
    return [remark.text for remark in subject.conduct().remarks]


@pytest.fixture(scope="module")
def routed() -> Iterator[Contained]:
    subject = contained(found(ROUTED), TRUSTING)
    yield subject
    subject.close()


def test_the_answers_are_those_of_one_process(routed: Contained) -> None:
    with quiet():
        other = built(found(ROUTED), TRUSTING)
        scope = other.blueprint.scope
        assert routed.blueprint == other.blueprint
        assert routed.baseline(scope) == other.baseline(scope)
        for plan in STOCK_PLANS:
            assert routed.try_plan(plan, scope) == other.try_plan(plan, scope)
        assert routed.training() == other.training()
        assert routed.operations() == other.operations()
        assert routed.surgeries() == other.surgeries()
        patch, its = routed.patch(), other.patch()
        assert patch is not None
        assert its is not None
        assert (patch.text, patch.way) == (its.text, Way.SHIELD)
        assert routed.patch(Way.UNWRAP) is None
        assert routed.verify(patch) == other.verify(patch)


def test_code_that_behaves_gives_no_cause_for_a_remark(routed: Contained) -> None:
    assert routed.conduct().remarks == ()
    assert "limits" in routed.conduct().containment.layers


def test_the_files_that_it_is_made_from_are_told(routed: Contained) -> None:
    assert routed.files is not None
    assert {
        str(ROUTED / "modeling_routed.py"),
        "transformers/models/llama/modeling_llama.py",
        "transformers/models/llama/configuration_llama.py",
        "transformers/models/auto/configuration_auto.py",
    } <= set(routed.files)


def test_attempts_are_named_wherever_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    secret = tmp_path / "secret"
    secret.write_text("geheim")
    link = tmp_path / "link"
    repository(
        tmp_path / "own",
        config=(f"try: open({str(secret)!r})\nexcept OSError: pass", "import os\ntry: os.fork()\nexcept OSError: pass"),
        top="import os, sys\nsys.modules['geheim'] = sys\ntry: os.system('id')\nexcept OSError: pass",
        init=f"import shutil\nshutil.rmtree({str(tmp_path)!r}, ignore_errors=True)\nself.outcome = nn.Identity()",
        forward="import socket\ntry: socket.socket()\nexcept OSError: pass\nos._exit(0)",
    )
    link.symlink_to(tmp_path / "own")
    subject = contained(found(link), TRUSTING)
    try:
        files = {site.type.file for site in subject.blueprint.sites}
        assert str(link / "modeling_own.py") in files  # by the name that the user has for it
        assert "outcome" in subject.blueprint.by_path
        for _ in range(2):  # it is gone for good
            with pytest.raises(CodeFailedError, match="its code ended the process with exit code 0"):
                subject.baseline(subject.blueprint.scope)
        told = texts(subject)
    finally:
        subject.close()
    for words in (
        f"tried to read {secret}: refused",
        "tried to start another process: refused",
        "tried to start the program id: refused",
        f"tried to read {tmp_path}: refused",
        "tried to open a socket: refused",
        "ended the process with exit code 0",
    ):
        assert words in told
    assert secret.read_text() == "geheim"
    assert "geheim" not in sys.modules  # of this process, which has imported none of it
    assert not any("own" in name for name in sys.modules if name.startswith("transformers_modules."))


def test_why_no_model_is_built_is_told_as_ever_with_how_the_code_behaved(tmp_path: Path) -> None:
    code = "class Unusual(Exception): pass\nopen('/etc/shadow') if 0 else None\nraise Unusual('\\x1b[2Jno')"
    folder = repository(tmp_path / "own", init=code)
    with pytest.raises(NotBuiltError) as caught:
        contained(found(folder), TRUSTING)
    assert str(caught.value) == r"cannot build the model: Unusual: \x1b[2Jno"
    assert caught.value.conduct is not None
    assert caught.value.conduct.remarks == ()


def test_without_a_layer_code_does_not_run_where_a_sandbox_is_required(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    folder = repository(tmp_path / "own", top=f"open({str(mark)!r}, 'w')")
    strict = dataclasses.replace(TRUSTING, source=dataclasses.replace(TRUSTING.source, require_sandbox=True))
    with pytest.raises(NotContainedError, match="nothing here closes files, the network and other processes to it"):
        contained(found(folder), strict, layers=())
    assert not mark.exists()


def test_a_folder_that_holds_the_users_home_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = repository(tmp_path / "own")
    (folder / "home").mkdir()
    monkeypatch.setenv("HOME", str(folder / "home"))
    with pytest.raises(NotContainedError, match="holds the home folder"):
        contained(found(folder), TRUSTING)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nos.abort()", "its code ended the process with SIGABRT"),
        ("try: open('/etc/shadow')\nexcept OSError: pass", "tried to read /etc/shadow: refused"),
    ],
)
def test_a_check_ends_with_a_report_whatever_the_code_does(code: str, words: str, tmp_path: Path) -> None:
    report = engine.check(str(repository(tmp_path / "own", init=code)), TRUSTING)
    assert report.status == "unchecked"
    assert engine.finished([report]).exit_code(None) == 3
    assert words in str(report)


LOOKS = "try: open('/etc/shadow')\nexcept OSError: pass\n"


def test_what_code_tried_is_told_of_a_model_that_is_not_judged(tmp_path: Path) -> None:
    nothing = repository(tmp_path / "nothing", init=f"{LOOKS}del self.embed, self.up")
    report = engine.check(str(nothing), TRUSTING)
    assert "has no parameters" in report.unchecked[0].why
    assert "tried to read /etc/shadow: refused" in {one.why for one in report.unchecked}
    assert report.own_code is not None
    assert report.own_code.was_run


def test_an_adapter_for_code_of_another_repository_in_the_hubs_cache(tmp_path: Path) -> None:
    other = tmp_path / "cache" / "models--some--code"
    commit = "a" * 40
    (other / "refs").mkdir(parents=True)
    (other / "refs" / "main").write_text(commit)
    (other / "snapshots").mkdir()
    repository(other / "snapshots" / commit)
    references = {
        "AutoConfig": "some/code--configuration_own.OwnConfig",
        "AutoModelForCausalLM": "some/code--modeling_own.OwnModel",
    }
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({**CONFIG, "auto_map": references}))
    adapter = adapter_for(base, tmp_path / "adapter")
    options = Options(source=SourceOptions(trust_remote_code=True, cache_dir=tmp_path / "cache", offline=True))
    located = found(adapter, options)
    assert located.adapter is not None
    subject = contained(located, options)
    try:
        weights = subject.weights(located.adapter)
    finally:
        subject.close()
    files = {site.type.file for site in subject.blueprint.sites}
    assert f"transformers_modules/some/code/{commit}/modeling_own.py" in files
    assert (weights.count, weights.fits) == (2, True)
    assert weights.file == os.fspath(adapter / "adapter_model.safetensors")


def adapter_for(base: Path, folder: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    settings = {"peft_type": "LORA", "base_model_name_or_path": str(base), "target_modules": ["up"], "r": 2}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    shapes = {"lora_A": (2, 8), "lora_B": (8, 2)}
    tensors = {f"base_model.model.up.{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize("limits", [Limits(start=0.01)])
def test_a_process_that_does_not_start_runs_no_code(limits: Limits, tmp_path: Path) -> None:
    with pytest.raises(NotContainedError, match="the process for the repository's own code"):
        contained(found(repository(tmp_path / "own")), TRUSTING, limits)
