"""The pytest plugin in runs of pytest on projects that use it."""

from __future__ import annotations

import importlib
import json
import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import archlint

for _module in ("archlint.reporting", "archlint.report.full", "archlint.report.layout", "rich.console", "rich.table"):
    # what is imported within a run of pytester's is forgotten after it, and would be there twice
    importlib.import_module(_module)

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
INSTALLED = bool(entry_points(group="pytest11", name="archlint"))
PLUGIN = "archlint" if INSTALLED else "archlint.pytest_plugin"
"""Named in each run: by its entry point where there is one, or pytest would register it twice."""
LLAMA, NOWHERE = "type:llama", "./nowhere"
SOUND, MISSPELT = ["q_proj", "v_proj"], ["q_prj"]


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Import what checks do: a run in this process takes its imports back, and torch cannot be imported twice."""
    archlint.check_plan(LLAMA, {"target_modules": MISSPELT})


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """pytest in this process, with the plugin."""
    return pytester.runpytest_inprocess("-p", PLUGIN, *arguments)


def process(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """pytest in a process of its own, with the plugin."""
    return pytester.runpytest_subprocess("-p", PLUGIN, *arguments, timeout=120)


def plan_file(pytester: pytest.Pytester, targets: list[str], base_model: str | None = LLAMA) -> None:
    content = {"peft_type": "LORA", "base_model_name_or_path": base_model, "target_modules": targets}
    (pytester.path / "adapter_config.json").write_text(json.dumps(content), encoding="utf-8")


def test_a_sound_model_passes_in_a_folder_without_tests(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--archlint", LLAMA, "-v")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*collected 1 item*", "archlint::type:llama PASSED*"])


def test_without_a_source_nothing_is_added(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    run(pytester).assert_outcomes(passed=1)


def test_a_plan_file_that_breaks_fails_with_the_report(pytester: pytest.Pytester) -> None:
    plan_file(pytester, MISSPELT)
    result = run(pytester, "--archlint-adapter-config", "adapter_config.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ archlint type:llama _*",
            "error    ARC504 unmatched-target*",
            "*adapter_config.json:1*target_modules*",
            "LoraConfig(",
            "FAILED archlint::type:llama - *type:llama: 1 error*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")
    result.stdout.no_fnmatch_line("*exit code*")


def test_a_sound_plan_file_is_judged_on_the_sources_given(pytester: pytest.Pytester) -> None:
    plan_file(pytester, SOUND, base_model=NOWHERE)
    result = run(pytester, "--archlint-adapter-config", "adapter_config.json", "--archlint", LLAMA, "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["archlint::type:llama PASSED*"])


@pytest.mark.parametrize("fail_on", ["error", "warning", "info"])
def test_an_unknown_source_fails_as_unchecked_at_every_severity(pytester: pytest.Pytester, fail_on: str) -> None:
    result = run(pytester, "--archlint", NOWHERE, "--archlint-fail-on", fail_on)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED archlint::./nowhere - *1 not checked"])


def test_an_info_fails_only_where_that_is_asked_for(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--archlint", LLAMA, "--archlint-fail-on", "info")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["info     ARC201 custom-norm*"])


def test_the_ini_file_has_all_of_it(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_file(pytester, MISSPELT)
    pytester.makeini(
        f"[pytest]\narchlint_sources =\n    {LLAMA}\n    {LLAMA}\n    {NOWHERE}\n"
        "archlint_adapter_config = adapter_config.json\narchlint_fail_on = warning\n"
    )
    monkeypatch.chdir(pytester.mkdir("below"))
    result = run(pytester)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["error    ARC504*", "FAILED *::type:llama - *", "FAILED *::./nowhere - *"])


def test_a_path_in_the_ini_file_starts_there(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pytester.mkdir("model")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    content = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 64, **sizes}
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    pytester.makeini("[pytest]\narchlint_sources = ./model\n")
    monkeypatch.chdir(pytester.mkdir("below"))
    result = run(pytester, "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*archlint::./model PASSED*"])


def test_the_command_line_wins_over_the_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\narchlint_sources = {NOWHERE}\narchlint_fail_on = info\n")
    run(pytester, "--archlint", LLAMA, "--archlint-fail-on", "error").assert_outcomes(passed=1)


def test_a_single_test_is_run_without_the_sources_of_the_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\narchlint_sources = {NOWHERE}\n")
    path = pytester.makepyfile("def test_one(): pass")
    run(pytester, f"{path.name}::test_one").assert_outcomes(passed=1)
    run(pytester, path.name).assert_outcomes(passed=1, failed=1)


def test_keywords_and_collect_only(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    result = run(pytester, "--archlint", LLAMA, "--archlint", NOWHERE, "--collect-only", "-q")
    result.stdout.fnmatch_lines(["*::test_one", "archlint::type:llama", "archlint::./nowhere", "3 tests collected*"])
    run(pytester, "--archlint", NOWHERE, "-k", "test_one").assert_outcomes(passed=1, deselected=1)
    run(pytester, "--archlint", NOWHERE, "-k", "nowhere").assert_outcomes(failed=1, deselected=1)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "ERROR: --archlint-adapter-config adapter_config.json: no such file"),
        ("{", "ERROR: --archlint-adapter-config adapter_config.json:*"),
        ('{"model_type": "llama"}', "ERROR: --archlint-adapter-config adapter_config.json: looks like*"),
        ('{"peft_type": "LORA"}', "ERROR: no --archlint SOURCE is given, and adapter_config.json names no model"),
    ],
)
def test_a_bad_plan_file_is_a_usage_error(pytester: pytest.Pytester, content: str | None, line: str) -> None:
    if content is not None:
        (pytester.path / "adapter_config.json").write_text(content, encoding="utf-8")
    result = run(pytester, "--archlint-adapter-config", "adapter_config.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    assert len([text for text in result.stderr.lines if text]) == 1


def test_a_severity_that_is_none_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\narchlint_fail_on = fatal\n")
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: archlint_fail_on: one of error, warning, info is expected, not 'fatal'"])


def test_the_fixture_fails_the_test_at_its_own_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        def test_sound(archlint):
            plan = archlint.recipe({LLAMA!r}, rank=4)
            report = archlint.check_plan({LLAMA!r}, plan)
            assert report.ok and report.plan.plan.lora["r"] == 4

        def test_breaks(archlint):
            archlint.check_plan({LLAMA!r}, {{"target_modules": {MISSPELT}}})

        def test_unchecked(archlint):
            archlint.lint({NOWHERE!r})
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines([">*archlint.check_plan(*", "E*type:llama: 1 error*", "E*error*ARC504*"])
    result.stdout.fnmatch_lines([">*archlint.lint(*", "E*./nowhere: *1 not checked"])
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_the_fixture_lets_pass_what_it_is_told_to(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        def test_lenient(archlint):
            report = archlint.lint({NOWHERE!r}, fail_on="error", allow_unchecked=True)
            assert not report.ok

        def test_strict(archlint):
            archlint.lint({LLAMA!r}, fail_on="info")
        """
    )
    run(pytester).assert_outcomes(passed=1, failed=1)


def test_workers_share_the_sources(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile("def test_one(): pass")
    result = process(pytester, "-n", "2", "--archlint", NOWHERE, "--archlint", "./neither")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(["FAILED archlint::./nowhere - *", "FAILED archlint::./neither - *"])


def test_nothing_heavy_is_imported_before_it_is_used(pytester: pytest.Pytester) -> None:
    heavy = ["torch", "transformers", "peft", "accelerate", "rich", "click", "archlint.core.report"]
    pytester.makepyfile(f"def test_one():\n    import sys\n    assert not set({heavy}) & set(sys.modules)")
    process(pytester, "--archlint", NOWHERE, "-k", "test_one").assert_outcomes(passed=1, deselected=1)


def test_the_entry_point_registers_it_and_can_be_turned_off(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = pytester.mkdir("site") / "archlint-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: archlint\nVersion: 0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[pytest11]\narchlint = archlint.pytest_plugin\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{metadata.parent}")
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest_subprocess("--archlint", NOWHERE, "--collect-only", "-q")
    result.stdout.fnmatch_lines(["archlint::./nowhere"])
    result = pytester.runpytest_subprocess("-p", "no:archlint", "--archlint", NOWHERE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    pytester.runpytest_subprocess("-p", "no:archlint").assert_outcomes(passed=1)
