"""Settings of a project, beside the command line: what reaches the engine of each source, and who wins."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as how
from hypothesis import strategies as st

from archlint.cli.app import app
from archlint.cli.check import check
from archlint.cli.commands import SectionedOption, Setting
from archlint.core.blueprint import Scope
from archlint.core.training import Trainer
from archlint.core.trial import Plan

from .conftest import RULE, Call, Engine

OPTIONS = [param for param in check.params if isinstance(param, SectionedOption)]
KEYS = sorted(option.key for option in OPTIONS if option.setting is not Setting.NOWHERE)
ROOT = Path(__file__).parents[2]

Set = Callable[[str], Path]

RULES = '''
from archlint.core.finding import Severity
from archlint.core.rule import Rule

class Warns(Rule):
    """It is too deep."""

    code, name, severity, why = "OWN1", "too-deep", Severity.WARNING, "It is."

    def check(self, blueprint):
        if len(blueprint.sites) > 40:
            yield self.finding("it is deep")

class Informs(Warns):
    """It is deep."""

    code, name, severity = "OWN2", "deep", Severity.INFO

class Crashes(Warns):
    """It crashes."""

    code, name, severity = "OWN3", "crashes", Severity.ERROR

    def check(self, blueprint):
        raise ValueError
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Set:
    """Puts settings into the working directory, which is empty before."""
    monkeypatch.chdir(tmp_path)

    def put(text: str) -> Path:
        file = tmp_path / "archlint.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return put


def test_settings_reach_the_engine(call: Call, engine: Engine, project: Set) -> None:
    project(
        """
        scope = "vision"
        no-prove = true
        offline = true
        class = "Net"
        revision = "main"
        subfolder = "sub"
        cache-dir = "cache"
        target-modules = ["q_proj", "v_proj"]
        target-parameters = "experts.down_proj"
        exclude-modules = ".*(vision|audio).*"
        trainer = ["trl-dpo", "transformers"]
        trainer-args = {gradient_checkpointing = false, modules_to_save = ["lm_head"]}
        select = ["ARC1", "ARC2"]
        ignore = ["ARC101"]
        extend-select = ["ARC901"]
        """
    )
    result = call("x")
    assert result.exit_code == 0, result.stderr
    options, source = engine.options, engine.options.source
    assert (options.scope, options.prove, source.offline, source.class_name) == (Scope.VISION, False, True, "Net")
    assert (source.revision, source.subfolder, source.cache_dir) == ("main", "sub", Path("cache"))
    assert options.plan == Plan(
        "user",
        {
            "target_modules": ["q_proj", "v_proj"],
            "target_parameters": ["experts.down_proj"],
            "exclude_modules": ".*(vision|audio).*",
            "modules_to_save": ["lm_head"],
        },
    )
    assert options.trainers == (Trainer.DPO, Trainer.TRANSFORMERS)
    assert options.trainer_arguments == {"gradient_checkpointing": False}
    codes = {rule.code for rule in options.rules}
    assert {code[:4] for code in codes} == {"ARC1", "ARC2", "ARC9"}
    assert "ARC101" not in codes


def test_settings_of_the_whole_call(call: Call, engine: Engine, project: Set) -> None:
    project("fail-on = 'info'\nformat = 'concise'\nsources = ['info', 'org/other']")
    result = call("check")
    assert result.exit_code == 1
    assert engine.sources == ["info", "org/other"]
    assert result.stdout.startswith("info: info ARC201")


def test_rules_of_the_project_are_loaded(call: Call, engine: Engine, project: Set) -> None:
    (project("load = 'mine.py'\nselect = 'MINE1'").parent / "mine.py").write_text(RULE)
    assert call("x").exit_code == 0
    assert [rule.code for rule in engine.options.rules] == ["MINE1"]


RUNS = "raise SystemExit('the code of a stranger was run')"


class TestCodeOfWhatIsChecked:
    """A repository that is checked brings settings of its own, which name a file with rules."""

    @pytest.fixture
    def folder(self, project: Set) -> Path:
        folder = project("load = 'mine.py'").parent
        (folder / "mine.py").write_text(RUNS)
        (folder / "config.json").write_text('{"model_type": "llama"}')
        (folder / "models").mkdir()
        (folder / "models" / "config.json").write_text('{"model_type": "llama"}')
        return folder

    @pytest.mark.parametrize("source", [".", "config.json", "..", "{folder}"])
    @pytest.mark.parametrize("command", ["check", "scan", "matrix"])
    def test_it_is_not_run_unasked(self, call: Call, engine: Engine, folder: Path, command: str, source: str) -> None:
        more = ("--with", "peft==0.21.2") if command == "matrix" else ()
        result = call(command, source.format(folder=folder), *more)
        assert result.exit_code == 2
        assert "archlint.toml:1: load has code run, and the file is part of" in result.stderr
        assert "--config archlint.toml says that it may" in result.stderr

    def test_nor_where_the_settings_name_themselves(self, call: Call, engine: Engine, project: Set) -> None:
        (project("load = 'mine.py'\nsources = ['.']").parent / "mine.py").write_text(RUNS)
        assert call("check").exit_code == 2

    def test_it_is_where_it_was_asked_for(self, call: Call, engine: Engine, folder: Path) -> None:
        (folder / "mine.py").write_text(RULE)
        assert call("check", ".", "--config", "archlint.toml", "--select", "MINE1").exit_code == 0
        assert call("check", ".", "--load", "mine.py", "--select", "MINE1").exit_code == 0
        assert call("check", ".", "--isolated").exit_code == 0

    def test_settings_beside_what_is_checked_are_somebody_s_own(self, call: Call, engine: Engine, folder: Path) -> None:
        (folder / "mine.py").write_text(RULE)
        assert call("check", "models", "--select", "MINE1").exit_code == 0


class TestWhoWins:
    TEXT = """
        scope = "vision"
        target-modules = "all"
        ignore = ["ARC101"]
        [source."org/*"]
        scope = "audio"
        target-modules = "of-org"
        [source."org/two"]
        ignore = []
        target-modules = []
        """

    def test_the_command_line_then_the_section_then_all(self, call: Call, engine: Engine, project: Set) -> None:
        project(self.TEXT)
        assert call("one", "org/one", "org/two").exit_code == 0
        assert [options.scope for _, options in engine.calls] == [Scope.VISION, Scope.AUDIO, Scope.AUDIO]
        plans = [None if options.plan is None else options.plan.lora for _, options in engine.calls]
        assert plans == [{"target_modules": ["all"]}, {"target_modules": ["of-org"]}, None]
        ran = [any(rule.code == "ARC101" for rule in options.rules) for _, options in engine.calls]
        assert ran == [False, False, True]

        engine.calls.clear()
        call("one", "org/one", "--scope", "text", "--ignore", "ARC102")
        assert [options.scope for _, options in engine.calls] == [Scope.TEXT, Scope.TEXT]
        for _, options in engine.calls:
            assert "ARC101" in {rule.code for rule in options.rules}
            assert options.ignored == {}

    def test_even_what_is_the_default(self, call: Call, engine: Engine, project: Set) -> None:
        project("scope = 'vision'\nfail-on = 'never'")
        assert call("error", "--scope", "auto", "--fail-on", "error").exit_code == 1
        assert engine.options.scope is None

    def test_a_plan_of_the_command_line_names_the_model(self, call: Call, engine: Engine, project: Set) -> None:
        folder = project("sources = ['ours']\nadapter-config = 'ours.json'").parent
        for name, base in (("ours.json", "base/ours"), ("mine.json", "base/mine"), ("bare.json", None)):
            (folder / name).write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": base}))
        for arguments in (["check"], ["--adapter-config", "mine.json"], ["--adapter-config", "bare.json"], ["mine"]):
            assert call(*arguments).exit_code == 0
        assert engine.sources == ["ours", "base/mine", "ours", "mine"]
        project("adapter-config = 'ours.json'")
        assert call("check").exit_code == 0
        assert engine.sources[-1] == "base/ours"

    def test_a_file_that_is_named_and_no_file(self, call: Call, engine: Engine, project: Set, tmp_path: Path) -> None:
        project("scope = 'vision'")
        (tmp_path / "other.toml").write_text("scope = 'audio'")
        assert call("x", "--config", "other.toml").exit_code == 0
        assert engine.options.scope is Scope.AUDIO
        assert call("x", "--isolated").exit_code == 0
        assert engine.options.scope is None
        both = call("x", "--isolated", "--config", "other.toml")
        assert both.exit_code == 2
        assert "--config names one" in both.stderr


def test_paths_start_where_the_file_is(
    call: Call, engine: Engine, project: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project("sources = ['net']\nadapter-config = 'plan.json'\n[source.net]\nscope = 'audio'").parent
    (folder / "plan.json").write_text('{"peft_type": "LORA", "target_modules": ["q_proj"]}')
    (folder / "net").mkdir()
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    assert call("check").exit_code == 0
    assert engine.sources == ["../net"]
    assert engine.options.scope is Scope.AUDIO
    assert engine.options.plan_file is not None
    assert engine.options.plan_file.path == Path("../plan.json")


def test_the_settings_of_a_project_may_stand_in_its_pyproject(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool.archlint]\nscope = 'audio'\n[tool.archlint.source.x]\nscope = 'vision'")
    call("x", "--config", str(file))
    call("y", "--config", str(file))
    assert [options.scope for _, options in engine.calls] == [Scope.VISION, Scope.AUDIO]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("scop = 'text'", "archlint.toml:1: scop is no setting; did you mean scope?"),
        ("scope = 'tail'", "archlint.toml:1: scope: 'tail' is not one of"),
        ("fix = true", "archlint.toml:1: fix is an option of the command line alone"),
        ("[source.y]\nformat = 'json'", "archlint.toml:2: source.y.format holds for all sources"),
        ("[source.y]\ntrainer = 'trl-stf'", "archlint.toml:2: source.y.trainer: 'trl-stf' is none of"),
        ("[source.y]\nselect = 'ARC9999'", "archlint.toml:2: source.y.select: no rule 'ARC9999'. Did you mean ARC999?"),
        (
            "ignore = [{code = 'ARC1O1', reason = 'x'}]",
            "archlint.toml:1: ignore: no rule 'ARC1O1'. Did you mean ARC101",
        ),
        ("ignore = ''", "archlint.toml:1: ignore: no code is given"),
        ("target-modules = ['all-linear', 'x']", "archlint.toml:1: target-modules: 'all-linear' stands alone"),
        ("target-modules = ''", "archlint.toml:1: target-modules: no name in"),
        ("[trainer-args]\nloss_typ = 'nll'", "archlint.toml:1: trainer-args: TRL "),
        ("[trainer-args]\n'' = 'nll'", "archlint.toml:1: trainer-args: '=nll' is not of the form"),
        ("adapter-config = 'no.json'", "archlint.toml:1: adapter-config: Path 'no.json' does not exist"),
        ("adapter-config = 'archlint.toml'", "archlint.toml:1: adapter-config archlint.toml: a mapping"),
        ("load = ['no.py']", "archlint.toml:1: load: File 'no.py' does not exist"),
        ("baseline = 'no.json'", "archlint.toml:1: baseline: File 'no.json' does not exist"),
        ("scope = ", "archlint.toml: is no TOML: "),
    ],
)
def test_wrong_settings_are_wrong_usage(call: Call, engine: Engine, project: Set, text: str, says: str) -> None:
    project(text)
    result = call("x")
    assert result.exit_code == 2
    error, hint = result.stderr.splitlines()
    assert error.startswith(f"error: {says}")
    assert hint == "hint: archlint check --help"
    assert (result.stdout, engine.calls) == ("", [])


def mistyped(draw: st.DrawFn) -> str:
    key = draw(st.sampled_from(KEYS))
    at = draw(st.integers(0, len(key) - 1))
    return draw(
        st.sampled_from(
            [key[:at] + key[at + 1 :], key[:at] + key[at] + key[at:], key[:at] + "x" + key[at + 1 :], key.upper()]
        )
    )


@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.composite(mistyped)(), st.sampled_from(["", "[source.x]\n", "[source.'*/y']\n"]))
def test_any_mistyped_key_is_told_with_one_that_there_is(
    call: Call, engine: Engine, project: Set, key: str, section: str
) -> None:
    assume(key not in KEYS)
    file = project(f"{section}'{key}' = 1")
    result = call("x")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {file.name}:{1 + bool(section)}: ")
    assert "is no setting; did you mean " in result.stderr
    assert result.stderr.splitlines()[0].rpartition(" ")[2].rstrip("?") in {*KEYS, "source", "sources"}


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8) | st.sampled_from(
    ["ARC101", "text", "trl-sft", "all-linear", ".*q", "a=b", ",", "\0", "/", "json", "never", "ARC101,x"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "reason", "loss_type"]) | TEXTS, inner, max_size=2)
    ),
    max_leaves=4,
)
TABLES = st.dictionaries(st.sampled_from([*KEYS, "sources"]) | TEXTS, VALUES, max_size=3)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {toml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return str(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(TABLES, TABLES)
def test_no_settings_lead_to_a_traceback(
    call: Call, engine: Engine, project: Set, common: dict[str, Any], section: dict[str, Any]
) -> None:
    lines = [f"{json.dumps(key)} = {toml(value)}" for key, value in common.items() if key != "source"]
    project("\n".join([*lines, f"source = {toml({'x': section})}"]))
    result = call("x")
    assert result.exit_code in (0, 2), result.stderr
    assert "Traceback" not in result.stderr
    if result.exit_code == 2:
        assert len(result.stderr.splitlines()) == 2


@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_leads_to_a_traceback(call: Call, engine: Engine, project: Set, text: str) -> None:
    project(text)
    result = call("x")
    assert result.exit_code in (0, 2), result.stderr
    assert len(result.stderr.splitlines()) == result.exit_code


class TestIgnored:
    def test_the_engine_is_told_what_would_run_and_why_it_does_not(
        self, call: Call, engine: Engine, project: Set
    ) -> None:
        project(
            """
            select = ["ARC1", "ARC2"]
            ignore = ["ARC201", {code = "ARC10", reason = "all known"}]
            """
        )
        call("x", "--select", "ARC101,ARC108,ARC2,ARC3")
        assert engine.options.ignored == {
            "ARC101": "archlint.toml: all known",
            "ARC108": "archlint.toml: all known",
            "ARC201": "archlint.toml",
        }
        assert engine.options.ignored.keys().isdisjoint(rule.code for rule in engine.options.rules)

    def test_only_where_it_would_have_found_harm_is_it_told(self, call: Call, project: Set) -> None:
        folder = project(
            """
            load = "rules.py"
            no-prove = true
            ignore = ["OWN2", "OWN3", {code = "OWN1", reason = "it is small enough"}]
            """
        ).parent
        (folder / "rules.py").write_text(RULES)
        config = {"model_type": "llama", "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 99}
        for name, layers in (("deep", 4), ("flat", 1)):
            (folder / name).mkdir()
            (folder / name / "config.json").write_text(json.dumps({**config, "num_hidden_layers": layers}))
        deep, flat = json.loads(call("deep", "flat", "--format", "json").stdout)["reports"]
        assert deep["notes"] == ["OWN1 too-deep (warning) is ignored by archlint.toml: it is small enough"]
        assert flat["notes"] == []
        assert {found["code"] for found in deep["findings"]}.isdisjoint(["OWN1", "OWN2", "OWN3", "ARC999"])
        (judged, _) = json.loads(call("deep", "flat", "--format", "json", "--ignore", "OWN3").stdout)["reports"]
        assert {"OWN1", "OWN2"} <= {found["code"] for found in judged["findings"]}
        assert judged["notes"] == []


class TestBaselines:
    def test_what_is_asked_by_settings_is_asked(self, call: Call, engine: Engine, project: Set) -> None:
        folder = project("").parent
        known = folder / "known.json"

        def asked(*arguments: str) -> list[str]:
            known.unlink(missing_ok=True)
            assert call(*arguments, "--write-baseline", "known.json").exit_code == 0
            return [one["asked"] for one in json.loads(known.read_text())["findings"]]

        given = asked("error", "info", "--scope", "vision", "--target-modules", "q_proj,v_proj")
        assert given[0] == given[1] != ""
        project("scope = 'vision'\ntarget-modules = ['q_proj', 'v_proj']\nfail-on = 'info'")
        assert asked("error", "info") == given
        project("target-modules = ['q_proj', 'v_proj']\n[source.error]\nscope = 'vision'")
        assert sorted(set(asked("error", "info"))) == sorted({given[0], given[0].replace("--scope vision ", "")})
        project("trainer = 'trl-dpo'")
        assert asked("error") == ["--trainer ('trl-dpo',)"]

    def test_rules_of_one_source_alone_are_those_of_which_something_is_mended(
        self, call: Call, engine: Engine, project: Set, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = project("").parent
        call("error", "error-two", "--write-baseline", "known.json")
        check = engine.check
        monkeypatch.setattr(
            "archlint.engine.check",
            lambda source, options: dataclasses.replace(check("fine", options), source=source),
        )
        project("baseline = 'known.json'\n[source.error]\nselect = 'ARC2'")
        result = call("error", "error-two")
        assert result.stdout.count("the baseline's ARC101 is mended") == 1
        assert (folder / "known.json").is_file()

    def test_the_baseline_of_the_settings_may_be_renewed(self, call: Call, engine: Engine, project: Set) -> None:
        project("baseline = 'known.json'")
        assert call("error", "--write-baseline", "known.json").exit_code == 0
        assert call("error").exit_code == 0
        assert call("warning", "error").exit_code == 0
        assert call("error", "--isolated").exit_code == 1


class TestFormats:
    def test_each_source_has_its_own_rules_and_plan(self, call: Call, engine: Engine, project: Set) -> None:
        folder = project(
            """
            [source.error]
            select = "ARC101"
            adapter-config = "one.json"
            [source.warning]
            select = "ARC601"
            adapter-config = "two.json"
            """
        ).parent
        for name in ("one", "two"):
            (folder / f"{name}.json").write_text('{"peft_type": "LORA", "target_modules": ["q_proj"]}')
        result = call("error", "warning", "--format", "sarif")
        places = {
            one["ruleId"]: one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            for one in json.loads(result.stdout)["runs"][0]["results"]
        }
        assert places == {"ARC101": "one.json", "ARC601": "two.json"}
        assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["one.json", "two.json"]
        entries = json.loads(call("error", "warning", "--format", "gitlab").stdout)
        assert {one["check_name"]: one["location"]["path"] for one in entries} == places
        suites = call("error", "warning", "--format", "junit").stdout
        assert "ARC601" not in suites.partition('name="warning"')[0]


class TestOtherCommands:
    def test_the_recipe_takes_what_it_has_options_for(self, call: Call, engine: Engine, project: Set) -> None:
        project(
            """
            scope = "vision"
            offline = true
            format = "sarif"
            target-modules = "q_proj"
            [source.x]
            trust-remote-code = true
            """
        )
        result = call("recipe", "x")
        assert result.exit_code == 0, result.stderr
        options = engine.options
        assert (options.scope, options.source.offline, options.plan) == (Scope.VISION, True, None)
        assert options.source.trust_remote_code
        call("recipe", "x", "--scope", "text", "--isolated")
        assert (engine.options.scope, engine.options.source.offline) == (Scope.TEXT, False)

    @pytest.mark.parametrize("command", ["recipe", "patch"])
    def test_wrong_settings_are_wrong_there_too(self, call: Call, engine: Engine, project: Set, command: str) -> None:
        project("fial-on = 'never'")
        result = call(command, "x")
        assert result.exit_code == 2
        assert "fial-on is no setting; did you mean fail-on?" in result.stderr

    def test_a_patch_is_of_the_model_that_the_settings_say(
        self, call: Call, project: Set, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project("[source.x]\nsubfolder = 'text'\nclass = 'Net'")
        seen = []

        def opening(source: str, options: Any) -> Any:
            seen.append(options.source)
            raise click.ClickException("seen")

        monkeypatch.setattr("archlint.engine.opening", opening)
        call("patch", "x", "--list")
        assert [(one.subfolder, one.class_name) for one in seen] == [("text", "Net")]


@pytest.mark.parametrize("page", ["README.md", "docs/settings.md"])
def test_the_examples_are_settings(
    call: Call, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    (example,) = re.findall(r"```toml\n(\[tool\.archlint\]\n.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(example, encoding="utf-8")
    (tmp_path / "train.yml").write_text('{"peft_type": "LORA", "target_modules": ["q_proj"]}')
    (tmp_path / "known.json").write_text('{"schema": "archlint/baseline/v1", "findings": []}')
    result = call("check")
    assert result.exit_code == 0, result.stderr
    assert len(engine.sources) == 2


def test_every_setting_is_documented() -> None:
    rows = [
        line.split("|")[1].strip().strip("`")
        for line in (ROOT / "docs" / "settings.md").read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    assert sorted(rows) == sorted([*KEYS, "sources"])


def test_what_changes_files_is_no_setting() -> None:
    assert {"fix", "diff", "unsafe-fixes", "output", "write-baseline", "config", "isolated"}.isdisjoint(KEYS)
    assert app.get_command(click.Context(app), "check") is check
