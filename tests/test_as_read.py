"""Code of a repository that may not be run: it is read, judged by what it describes, and never executed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import archlint
from archlint import engine
from archlint.cli.app import app
from archlint.cli.rendering import FORMATS
from archlint.core.catalog import Catalog
from archlint.core.finding import Evidence, Severity
from archlint.core.report import Report
from archlint.identity import locate
from archlint.sources import SourceOptions
from archlint.store import Store

ROUTED = Path(__file__).parent / "repositories" / "routed"
UNKNOWN = "import os\n\nclass Layers:\n    COUNT = int(os.environ['LAYERS'])\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One whose code leaves a file behind when it is run."""
    folder = tmp_path / "routed"
    shutil.copytree(ROUTED, folder)
    for file in folder.glob("*.py"):
        file.write_text(f"{file.read_text()}\nopen({str(tmp_path / 'it was run')!r}, 'w').close()\n")
    return folder


@pytest.fixture(autouse=True)
def _nothing_is_run(tmp_path: Path) -> object:
    yield
    assert not (tmp_path / "it was run").exists()


@pytest.fixture
def call(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(repository.parent)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--offline"])

    return run


def line(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def only(report: Report, code: str) -> archlint.core.finding.Finding:  # type: ignore[name-defined]
    (found,) = (finding for finding in report.findings if finding.code == code)
    return found


class TestWhatIsFound:
    def test_it_stands_in_the_repository_s_own_file(self, repository: Path) -> None:
        report = archlint.lint(repository, offline=True)
        finding = only(report, "ARC303")
        file = repository / "modeling_routed.py"
        assert (finding.severity, finding.evidence, finding.unchecked) == (Severity.ERROR, Evidence.STATIC, False)
        assert finding.location is not None
        assert (finding.location.file, finding.location.line) == (str(file), line(file, "class Router"))
        assert [fold.pattern for fold in finding.sites] == ["model.layers.{0,1}.mlp.router"]

    def test_it_is_said_once(self, repository: Path) -> None:
        report = archlint.lint(repository, offline=True)
        assert [one.code for one in report.of(Severity.ERROR) if "router" in str(one.sites)] == ["ARC303"]

    def test_it_is_the_same_that_the_built_model_shows(self, repository: Path) -> None:
        def shown(report: Report) -> set[tuple[str, str]]:
            return {(one.code, fold.pattern) for one in report.findings for fold in one.sites}

        read, run = (archlint.lint(ROUTED, offline=True, trust_remote_code=trusted) for trusted in (False, True))
        assert shown(read) == shown(run)
        assert read.recipe is not None
        assert run.recipe is not None
        assert read.recipe.plan.lora == run.recipe.plan.lora
        assert read.model == run.model

    def test_a_plan_of_one_s_own_is_tried_on_it(self, repository: Path) -> None:
        bad = archlint.check_plan(repository, {"target_modules": ["router"]}, offline=True)
        good = archlint.check_plan(repository, {"target_modules": ["q_proj"]}, offline=True)
        assert {one.code for one in bad.of(Severity.ERROR)} >= {"ARC303"}
        assert not good.of(Severity.ERROR)
        assert good.plan is not None
        assert (len(good.plan.adapted), good.plan.forward) == (2, "unavailable")

    def test_nothing_is_proven(self, repository: Path) -> None:
        report = archlint.lint(repository, offline=True)
        assert {finding.evidence for finding in report.findings} == {Evidence.STATIC}
        assert not any(remedy.proven for finding in report.findings for remedy in finding.remedies)


class TestWhatIsNot:
    def test_that_nothing_was_run_is_not_clean(self, repository: Path) -> None:
        report = archlint.lint(repository, offline=True, select=["ARC901"])
        assert report.status == "unchecked"
        assert ["not run: custom code" in one.why for one in report.unchecked] == [True]
        assert only(report, "ARC901").unchecked
        with pytest.raises(archlint.FindingsError):
            report.raise_for_findings()

    def test_no_trainer_is_said_to_run_it(self, repository: Path) -> None:
        assert archlint.lint(repository, offline=True, trainers="trl-sft").verdicts == ()

    def test_where_the_text_has_a_gap_what_may_stand_there_is_not_held_to_be_missing(self, repository: Path) -> None:
        file = repository / "modeling_routed.py"
        text = file.read_text().replace("        self.post_init()", "        self.more = torch.load('more.bin')")
        file.write_text(f"import torch\n{text}")
        report = archlint.check_plan(repository, {"target_modules": ["wqkv"]}, offline=True)
        assert report.own_code is not None
        assert report.own_code.reading is not None
        assert [gap.file for gap in report.own_code.reading.gaps] == [str(file)]
        assert only(report, "ARC504").unchecked
        assert any(one.what.endswith(f"modeling_routed.py:{line(file, 'torch.load')}") for one in report.unchecked)

    def test_where_it_has_none_it_is(self, repository: Path) -> None:
        report = archlint.check_plan(repository, {"target_modules": ["wqkv"]}, offline=True)
        assert not only(report, "ARC504").unchecked
        assert only(report, "ARC504").severity is Severity.ERROR

    def test_code_that_is_not_there_is_told(self, repository: Path) -> None:
        (repository / "modeling_routed.py").unlink()
        report = archlint.lint(repository, offline=True)
        (unchecked,) = report.unchecked
        assert "not run: custom code" in unchecked.why
        assert "modeling_routed" in unchecked.why

    def test_there_is_no_patch_for_it(self, call: Callable[..., Result]) -> None:
        result = call("patch", "routed")
        assert (result.exit_code, result.stdout) == (3, "")
        assert "not run: custom code" in result.stderr


class TestTheCommandLine:
    def test_an_error_is_one(self, call: Callable[..., Result]) -> None:
        result = call("check", "routed", "--format", "concise")
        assert result.exit_code == 1
        assert "routed: error ARC303 tuple-output model.layers.{0,1}.mlp.router (2)" in result.stdout

    def test_without_one_it_is_unchecked(self, call: Callable[..., Result]) -> None:
        assert call("check", "routed", "--select", "ARC2").exit_code == 3
        assert call("check", "routed", "--fail-on", "never").exit_code == 3

    @pytest.mark.parametrize("style", FORMATS)
    def test_every_format_tells_it(self, call: Callable[..., Result], style: str) -> None:
        result = call("check", "routed", "--format", style)
        assert result.exit_code == 1, result.output
        assert "ARC303" in result.stdout
        assert "not run: custom code" in result.stdout

    def test_the_document_says_what_was_done(self, call: Callable[..., Result]) -> None:
        (report,) = json.loads(call("check", "routed", "--format", "json").stdout)["reports"]
        assert report["own_code"] == {
            "treatment": "read",
            "gaps": [],
            "containment": None,
            "open": None,
            "remarks": [],
        }
        assert "the repository's own code was read, and none of it run" in report["notes"]

    def test_a_recipe_is_printed_and_not_sound(self, call: Callable[..., Result]) -> None:
        result = call("recipe", "routed")
        assert result.exit_code == 3
        assert "target_modules" in result.stdout
        assert "not run: custom code" in result.stderr


def test_it_is_kept_until_the_code_changes(repository: Path, tmp_path: Path) -> None:
    catalog = Catalog.load()
    options = engine.Options(
        rules=catalog.select(),
        catalog=catalog,
        store=Store(tmp_path / "kept"),
        source=SourceOptions(offline=True),
    )
    report = engine.check(str(repository), options)
    located = locate(str(repository), options)
    kept = engine.kept(located, options)
    assert kept is not None
    assert located.named(kept).findings == report.findings
    file = repository / "modeling_routed.py"
    file.write_text(file.read_text().replace("class Router(nn.Linear)", "class Router(nn.Identity)"))
    assert engine.kept(locate(str(repository), options), options) is None
    assert "ARC303" not in {one.code for one in engine.check(str(repository), options).findings}


def test_it_is_kept_and_its_files_are_named_alike_wherever_the_folder_is_named_from(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.parent)
    catalog = Catalog.load()
    options = engine.Options(
        rules=catalog.select(), catalog=catalog, store=Store(tmp_path / "kept"), source=SourceOptions(offline=True)
    )
    report = engine.check("./routed", options)
    location = only(report, "ARC303").location
    assert location is not None
    assert location.file == str(repository / "modeling_routed.py")
    assert engine.kept(locate("./routed", options), options) is not None
