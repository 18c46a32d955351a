"""``archlint check``: what reaches the engine, what comes out, and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from archlint.cli.rendering import FORMATS
from archlint.core.blueprint import Scope
from archlint.core.trial import Plan
from archlint.report import contract

from .conftest import RULE, Call, Engine, Plugin


def test_check_is_the_command_that_needs_no_name(call: Call, engine: Engine) -> None:
    named, unnamed = call("check", "some/model"), call("some/model")
    assert named.stdout == unnamed.stdout != ""
    assert call("--scope", "vision", "some/model").exit_code == 0
    assert engine.sources == ["some/model"] * 3
    assert engine.options.scope is Scope.VISION


def test_a_source_may_have_the_name_of_a_command(call: Call, engine: Engine) -> None:
    assert call("check", "rules").exit_code == 0
    assert call("--", "rules").exit_code == 0
    assert engine.sources == ["rules", "rules"]


def test_a_word_that_is_nearly_a_command_is_told(call: Call, engine: Engine) -> None:
    result = call("explian", "ARC101")
    assert engine.sources == ["explian", "ARC101"]
    assert "did you mean explain?" in result.stderr
    assert "did you mean" not in call("google/gemma-4").stderr


@pytest.mark.parametrize(
    ("sources", "fail_on", "code"),
    [
        (["fine"], "error", 0),
        (["fine"], "info", 0),
        (["info"], "error", 0),
        (["info"], "info", 1),
        (["warning"], "error", 0),
        (["warning"], "warning", 1),
        (["error"], "error", 1),
        (["error"], "never", 0),
        (["gone"], "error", 3),
        (["gone"], "never", 3),
        (["gone", "error"], "error", 1),
        (["gone", "error"], "never", 3),
        (["gone", "warning"], "error", 3),
    ],
)
@pytest.mark.parametrize("style", FORMATS)
def test_exit_codes(call: Call, engine: Engine, sources: list[str], fail_on: str, code: int, style: str) -> None:
    result = call(*sources, "--fail-on", fail_on, "--format", style)
    assert result.exit_code == code
    assert result.stderr == ""
    if style == "full":
        assert result.stdout.endswith(f"exit code {code}\n")


def test_the_options_reach_the_engine(call: Call, engine: Engine, tmp_path: Path) -> None:
    arguments = "--revision main --subfolder sub --class Other --offline --no-prove --trust-remote-code"
    result = call("some/model", *arguments.split(), "--cache-dir", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    options = engine.options
    source = options.source
    assert (source.revision, source.subfolder, source.cache_dir) == ("main", "sub", tmp_path)
    assert (source.offline, source.trust_remote_code, options.prove) == (True, True, False)
    assert source.class_name == "Other"
    assert options.plan is None
    assert options.scope is None


def test_nothing_is_assumed(call: Call, engine: Engine) -> None:
    call("some/model")
    source = engine.options.source
    assert (source.revision, source.subfolder, source.cache_dir, source.class_name) == (None, None, None, None)
    assert (source.offline, source.trust_remote_code, engine.options.prove) == (False, False, True)


@pytest.mark.parametrize(
    ("arguments", "plan"),
    [
        (["--target-modules", "q_proj,v_proj"], {"target_modules": ["q_proj", "v_proj"]}),
        (["--target-modules", "q_proj", "--target-modules", "v_proj"], {"target_modules": ["q_proj", "v_proj"]}),
        (["--target-modules", r".*\.q_proj"], {"target_modules": r".*\.q_proj"}),
        (["--target-modules", "all-linear"], {"target_modules": "all-linear"}),
        (["--target-parameters", "experts.down_proj"], {"target_parameters": ["experts.down_proj"]}),
        (
            ["--target-modules", "all-linear", "--exclude-modules", ".*(vision|audio).*"],
            {"target_modules": "all-linear", "exclude_modules": ".*(vision|audio).*"},
        ),
    ],
)
def test_a_plan_of_options(call: Call, engine: Engine, arguments: list[str], plan: dict[str, object]) -> None:
    assert call("some/model", *arguments).exit_code == 0
    assert engine.options.plan == Plan("user", plan)


def test_options_go_before_the_adapter_config(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({"r": 32, "target_modules": ["q_proj"], "exclude_modules": ["x"]}))
    assert call("some/model", "--adapter-config", str(file), "--target-modules", "all-linear").exit_code == 0
    assert engine.options.plan == Plan("user", {"target_modules": "all-linear"})
    assert engine.options.plan_file is not None
    assert engine.options.plan_file.reading.arguments["exclude_modules"] == ["x"]


def test_the_adapter_config_names_the_model_where_nobody_does(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "its/base", "r": 32}))
    assert call("--adapter-config", str(file)).exit_code == 0
    assert call("some/model", "--adapter-config", str(file)).exit_code == 0
    assert engine.sources == ["its/base", "some/model"]


def test_an_adapter_config_of_nothing_but_defaults_is_a_plan(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({"peft_type": "LORA", "r": 8}))
    call("some/model", "--adapter-config", str(file))
    assert engine.options.plan_file is not None
    assert engine.options.plan_file.reading.arguments == {}


def test_unknown_keys_are_told(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({"r": 4, "from_the_future": 1, "peft_version": "9"}))
    result = call("some/model", "--adapter-config", str(file), "--format", "concise")
    assert "from_the_future" in result.stderr
    assert "peft_version" not in result.stderr


def test_rules_are_selected(call: Call, engine: Engine) -> None:
    call("some/model", "--select", "ARC9,wrapped-linear", "--ignore", "ARC902")
    codes = [rule.code for rule in engine.options.rules]
    assert "ARC101" in codes
    assert "ARC901" in codes
    assert "ARC902" not in codes
    call("some/model")
    assert len(engine.options.rules) > len(codes)


def test_a_rule_file_is_loaded(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(RULE)
    assert call("some/model", "--load", str(file), "--select", "MINE").exit_code == 0
    assert [rule.code for rule in engine.options.rules] == ["MINE1"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check"], "no SOURCE is given"),
        (["--scope", "tail", "x"], "'tail' is not one of"),
        (["x", "--fromat", "json"], "No such option"),
        (["x", "--select", "ARC9999"], "Did you mean ARC999?"),
        (["x", "--select", "ARC101x"], "Did you mean ARC101?"),
        (["x", "--ignore", "nope-nope"], "no rule 'nope-nope'"),
        (["x", "--select", ","], "no code is given"),
        (["x", "--select", "ARC101", "--ignore", "ARC1"], "no rule is left"),
        (["x", "--load", "/no/such/file.py"], "does not exist"),
        (["x", "--output", "/no/such/folder/file"], "does not exist"),
        (["x", "--output", "/"], "is a folder"),
        (["x", "--adapter-config", "/no/such/file"], "does not exist"),
        (["x", "--target-modules", ""], "no name in"),
        (["x", "--target-modules", "all-linear", "--target-modules", "q_proj"], "stands alone"),
        (["x", "--target-modules", "all-linear,q_proj"], "stands alone"),
        (["x", "--fail-on", "sometimes"], "'sometimes' is not one of"),
        (["x", "--format", "yaml"], "'yaml' is not one of"),
    ],
)
def test_wrong_usage_is_one_line_and_a_hint(call: Call, engine: Engine, arguments: list[str], says: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert hint == "hint: archlint check --help"
    assert engine.calls == []


@pytest.mark.parametrize("content", ["1 / 0", "import no_such_module", "class NoRule: pass", "def broken("])
def test_a_rule_file_that_cannot_be_loaded(call: Call, engine: Engine, tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(content)
    result = call("some/model", "--load", str(file))
    assert result.exit_code == 2
    assert str(file) in result.stderr
    assert "Traceback" not in result.output
    assert engine.calls == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON object is expected"),
        ('{"peft_type": "PREFIX_TUNING"}', "places no adapters by module"),
        ('{"model_type": "llama", "hidden_size": 32}', "looks like the config.json of a model"),
        ('{"target_modules": 7}', "target_modules must be a string or a list of strings"),
    ],
)
def test_a_bad_adapter_config(call: Call, engine: Engine, tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_text(content)
    result = call("some/model", "--adapter-config", str(file))
    assert result.exit_code == 2
    assert says in result.stderr.splitlines()[0]
    assert engine.calls == []


def test_an_adapter_config_without_a_model_needs_a_source(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    file.write_text('{"peft_type": "LORA"}')
    result = call("--adapter-config", str(file))
    assert result.exit_code == 2
    assert "names no model" in result.stderr


def test_formats(call: Call, engine: Engine) -> None:
    assert "LoraConfig(" in call("error").stdout
    assert call("error", "gone", "--format", "concise").stdout.splitlines() == [
        "error: error ARC101 some-name layers.{0..1}.q_proj (2): something × is so",
        "gone: unchecked the architecture: it is not there",
    ]
    validator = Draft202012Validator(contract.schema())
    document = json.loads(call("error", "gone", "--format", "json").stdout)
    validator.validate(document)
    assert [report["source"] for report in document["reports"]] == ["error", "gone"]
    lines = call("error", "gone", "--format", "jsonl").stdout.splitlines()
    for line in lines:
        validator.validate(json.loads(line))
    assert len(lines) == 2


@pytest.mark.parametrize("style", FORMATS)
def test_a_report_that_cannot_be_written_is_neither_clean_nor_a_finding(
    call: Call, engine: Engine, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("archlint.cli.output.encodable", refuse)
    for source in ("fine", "error"):
        assert call(source, "--format", style).exit_code == 2


def test_nothing_colours_a_pipe(call: Call, engine: Engine) -> None:
    assert "\x1b" not in call("error", "gone").output


def test_output_goes_to_a_file(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    result = call("error", "--format", "json", "--output", str(file))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == f"1 error: written to {file}\n"
    assert json.loads(file.read_text())["summary"]["errors"] == 1
    assert list(tmp_path.iterdir()) == [file]


def test_a_plugin_that_cannot_be_loaded_leaves_the_check_incomplete(call: Call, plugin: Plugin, tmp_path: Path) -> None:
    plugin("no_such_package")
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4})
    )
    result = call(str(tmp_path), "--offline", "--no-prove", "--format", "concise")
    assert result.exit_code == 3
    assert f"{tmp_path}: unchecked a rule plugin: " in result.stdout
    assert "no_such_package" in result.stdout


def test_a_rule_file_that_exits_is_a_file_that_cannot_be_loaded(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("raise SystemExit(0)")
    result = call("some/model", "--load", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--load: {file}: SystemExit: 0" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["some/model"], ["some/model", "--select", "ARC101"], ["rules"], ["explain", "x"]]
)
def test_without_any_rule_nothing_can_be_checked(
    call: Call, engine: Engine, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("archlint.core.rule_loading.BUILT_IN", "no_such_package")
    monkeypatch.setattr("archlint.core.rule_loading.entry_points", lambda group: [])
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (3, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: no rule could be loaded: rule plugin no_such_package: ModuleNotFoundError: ")
    assert engine.calls == []
