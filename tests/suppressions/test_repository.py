"""Comments in the code of a model's repository, from the check of its folder to the exit code."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

import archlint
from archlint import engine
from archlint.cli.app import app
from archlint.core.blueprint import Scope
from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, Severity
from archlint.core.report import Environment, Report, Run
from archlint.core.training import Trainer
from archlint.core.trial import USER, Plan
from archlint.sources import SourceOptions

CONFIG = {
    "model_type": "own_router",
    "auto_map": {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"},
}
CONFIGURATION = """
from transformers import PretrainedConfig

class OwnConfig(PretrainedConfig):
    model_type = "own_router"
"""
MODELING = """
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .configuration_own import OwnConfig

{router}
class Router(nn.Linear):
    def forward(self, hidden):
        logits = super().forward(hidden)
        return logits.softmax(-1), logits

class Layer(nn.Module):  {layer}
    def __init__(self):
        super().__init__()
        self.router = Router(8, 2)
        self.up = nn.Linear(8, 8)

    def forward(self, hidden):
        weights, _ = self.router(hidden)
        return hidden + self.up(hidden) * weights[..., :1]

class OwnForCausalLM(
    PreTrainedModel,  {model}
):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(32, 8)
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.lm_head = nn.Linear(8, 32, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.embed

    def get_output_embeddings(self):
        return self.lm_head

    def prepare_inputs_for_generation(self, input_ids, **inputs):
        return {{"input_ids": input_ids, **inputs}}

    def forward(self, input_ids=None, attention_mask=None, labels=None, **_):
        hidden = self.embed(input_ids)
        for layer in self.layers:
            hidden = layer(hidden)
        logits = self.lm_head(hidden)
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits)
"""
CATALOG = Catalog.load()
OPTIONS = engine.Options(
    rules=CATALOG.select(),
    catalog=CATALOG,
    trainers=(),
    source=SourceOptions(offline=True, trust_remote_code=True),
)
COMMENTS = {
    "router": "# archlint: ignore[ARC303, linear-subclass] the router stays frozen",
    "layer": "# archlint: ignore[ARC102]",
    "model": "# archlint: ignore[ARC501, ARC504] there is no default for our type",
}


def write(folder: Path, **comments: str) -> Path:
    """A repository whose classes have these comments."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "configuration_own.py").write_text(textwrap.dedent(CONFIGURATION))
    (folder / "modeling_own.py").write_text(MODELING.format(**{"router": "", "layer": "", "model": "", **comments}))
    return folder


@pytest.fixture(scope="module")
def commented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("commented") / "own", **COMMENTS)


@pytest.fixture(scope="module")
def judge(commented: Path) -> Iterator[Callable[[engine.Options], Report]]:
    """Checks that repository, which is built once."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(engine.checking(str(commented), OPTIONS))


def line(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def codes(findings: Sequence[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def exit_code(report: Report) -> int:
    return Run(Environment("3"), (report,)).exit_code(Severity.ERROR)


def test_without_comments_the_layer_is_an_error_at_its_line_in_the_repository(tmp_path: Path) -> None:
    folder = write(tmp_path / "own")
    report = engine.check(str(folder), OPTIONS)
    (error,) = report.of(Severity.ERROR)
    assert error.location is not None
    assert (error.code, error.location.file) == ("ARC303", str(folder / "modeling_own.py"))
    assert error.location.line == line(folder / "modeling_own.py", "class Router")
    assert (report.suppressed, exit_code(report)) == ((), 1)


def test_what_comments_suppress_does_not_count_and_what_they_do_not_is_told(
    judge: Callable[[engine.Options], Report], commented: Path
) -> None:
    report = judge(OPTIONS)
    file = commented / "modeling_own.py"
    above = line(file, "the router stays frozen")
    assert [(one.finding.code, one.location.line, one.reason) for one in report.suppressed] == [
        ("ARC102", above, "the router stays frozen"),
        ("ARC303", above, "the router stays frozen"),
        ("ARC501", line(file, "for our type"), "there is no default for our type"),
        ("ARC504", line(file, "for our type"), "there is no default for our type"),
    ]
    assert all(one.location.file == str(file) for one in report.suppressed)
    assert (report.status, exit_code(report)) == ("clean", 0)
    assert "suppressed ARC303 tuple-output: an adapter on router" in str(report)
    (unused,) = (finding for finding in report.findings if finding.code == "ARC904")
    assert unused.message == "ignore[ARC102] at Layer suppresses nothing: it is found in Router"
    assert unused.location is not None
    assert (unused.location.file, unused.location.line) == (str(file), line(file, "class Layer"))


def test_a_plan_that_does_not_reach_the_layer_makes_no_comment_unused(
    judge: Callable[[engine.Options], Report],
) -> None:
    report = judge(dataclasses.replace(OPTIONS, plan=Plan(USER, {"target_modules": ["up"]})))
    assert "ARC303" not in codes([one.finding for one in report.suppressed])
    assert [finding.message for finding in report.findings if finding.code == "ARC904"] == [
        "ignore[ARC102] at Layer suppresses nothing: it is found in Router"
    ]


@pytest.mark.parametrize(
    "options",
    [
        dataclasses.replace(OPTIONS, rules=CATALOG.select(ignore=["ARC904"])),
        dataclasses.replace(OPTIONS, rules=CATALOG.select(ignore=["ARC102"])),
        dataclasses.replace(OPTIONS, scope=Scope.TEXT),
        dataclasses.replace(OPTIONS, prove=False),
    ],
    ids=["its rule did not run", "the rule did not run", "a scope was asked for", "nothing was proven"],
)
def test_what_was_not_looked_for_is_not_unused(
    judge: Callable[[engine.Options], Report], options: engine.Options
) -> None:
    assert "ARC904" not in codes(judge(options).findings)


def test_the_structure_alone_is_suppressed_too(judge: Callable[[engine.Options], Report]) -> None:
    report = judge(dataclasses.replace(OPTIONS, prove=False))
    assert codes([one.finding for one in report.suppressed]) == ["ARC102"]
    assert exit_code(report) == 3


def test_rules_that_a_run_leaves_out_are_known(judge: Callable[[engine.Options], Report]) -> None:
    report = judge(dataclasses.replace(OPTIONS, rules=CATALOG.select(["ARC303", "ARC904"])))
    assert codes([one.finding for one in report.suppressed]) == ["ARC303"]
    assert report.findings == ()


def test_the_command_and_the_function_take_them_too(commented: Path) -> None:
    arguments = [str(commented), "--trust-remote-code", "--offline", "--trainer", "none", "--ignore", "ARC901"]
    result = CliRunner().invoke(app, [*arguments, "--format", "concise", "--fail-on", "info"])
    file = commented / "modeling_own.py"
    assert result.stdout == (
        f"{commented}: info ARC904 unused-suppression: ignore[ARC102] at Layer suppresses nothing: it is found in "
        f"Router ({file}:{line(file, 'class Layer')})\n"
    )
    assert result.exit_code == 1
    report = archlint.lint(commented, trust_remote_code=True, offline=True, trainers=[], ignore=["ARC9"])
    assert (report.ok, report.findings, len(report.suppressed)) == (True, (), 4)


def test_a_live_models_own_code_may_say_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_net.py").write_text(
        textwrap.dedent(
            """
            from torch import nn

            class Net(nn.Linear):  # archlint: ignore[ARC102] it is meant
                def forward(self, hidden):
                    return super().forward(hidden) * 2
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    from importlib import import_module

    model = import_module("own_net").Net(4, 4)
    report = archlint.lint(model, prove=False, select=["ARC102"])
    (suppressed,) = report.suppressed
    assert suppressed.reason == "it is meant"
    assert suppressed.location.file == str(tmp_path / "own_net.py")


def test_what_a_trainer_makes_of_the_model_is_not_suppressed(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", model="# archlint: ignore[ARC7]")
    code = folder / "modeling_own.py"
    unshifted = code.read_text().replace("logits[:, :-1].flatten(0, 1), labels[:, 1:]", "logits.flatten(0, 1), labels")
    code.write_text(unshifted)
    report = engine.check(str(folder), dataclasses.replace(OPTIONS, trainers=(Trainer.TRANSFORMERS,)))
    assert "ARC707" in codes([one.finding for one in report.suppressed])
    (verdict,) = report.verdicts
    assert (verdict.status, verdict.codes) == ("differs", ("ARC707",))
