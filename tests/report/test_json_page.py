"""The examples of the page on the JSON contract, run as they stand there, on reports that are made by hand."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archlint.core.comparison import Difference
from archlint.core.custom_code import OwnCode, Reading
from archlint.core.report import Report, Run
from archlint.report import contract, json_document, json_lines
from archlint.report.difference import document

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
ARCHLINT = """\
#!{python}
import pathlib, sys
style = "diff" if sys.argv[1] == "diff" else sys.argv[sys.argv.index("--format") + 1]
text = pathlib.Path(__file__).with_name(style).read_text()
if "--output" in sys.argv:
    pathlib.Path(sys.argv[sys.argv.index("--output") + 1]).write_text(text)
else:
    print(text, end="")
"""
RULES = ["ARC101", "ARC601"]
OWN = Report("own/model", own_code=OwnCode(reading=Reading()))


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def reports(several: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a report of three sources, as ``archlint`` writes it, and an archlint that writes nothing else."""
    (bin_ := tmp_path / "bin").mkdir()
    (bin_ / "json").write_text(json_document.render(several))
    lines = json_lines.render(dataclasses.replace(several, reports=(*several.reports, OWN)))
    (bin_ / "jsonl").write_text(lines)
    (bin_ / "diff").write_text(document.render(Difference.of(dataclasses.replace(several, reports=()), several)))
    (bin_ / "archlint").write_text(ARCHLINT.format(python=sys.executable))
    (bin_ / "archlint").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports.jsonl").write_text(lines)
    return tmp_path


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_examples_for_jq(reports: Path, several: Run) -> None:
    printed = []
    for example in examples("sh"):
        done = subprocess.run(["bash", "-e", "-c", example], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), example
        printed.append([line.split("\t") for line in done.stdout.splitlines()])
    written, found, summed, recipes, piped, code, new = printed
    assert written == []
    assert [(source, code) for source, code, _ in found] == [("google/gemma-4", code) for code in RULES]
    assert summed[0] == ["google/gemma-4"]
    assert summed[1][0].startswith("gogle/gemma-4: the architecture: ")
    assert [(row[0], row[1]) for row in recipes] == [
        (report.source, str(int(report.recipe.coverage))) for report in several.reports if report.recipe is not None
    ]
    assert piped == [["1"]]
    assert code == [["own/model", "read", "null", "[]"]]
    assert [(source, code) for source, code, _ in new] == [
        (report.source, finding.code) for report in several.reports for finding in report.findings
    ]


def test_examples_for_pandas(reports: Path, several: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    (example,) = examples("python")
    exec(compile(example, "docs/json.md", "exec"), {})
    counted, _, covered = capsys.readouterr().out.partition("name ")
    rows = {line.split()[0]: line.split()[1:] for line in counted.splitlines()[2:]}
    assert rows["google/gemma-4"] == ["1", "3", "1"]
    assert rows.keys() == {report.source for report in several.reports if report.findings}
    assert "google/gemma-4" in covered
    assert set(covered.splitlines()[0].split()) == {trial.plan.name for trial in several.reports[0].stock}


def test_the_page_names_the_words_that_may_be_added() -> None:
    schema = contract.schema()["$defs"]
    places = {
        f"{definition}.{name}": part
        for definition, content in schema.items()
        for name, part in content.get("properties", {}).items()
    } | {"trainer": schema["trainer"]}
    opened = {place for place, part in places.items() if part.get("$comment", "").startswith("open")}
    assert opened == {
        *("report.scope", "model.origin", "sites.kind", "sites.role", "remedy.kind", "stock.name", "trainer"),
    }
    (line,) = re.findall(r"open: words may be added`: so\n(.*?)\. The codes", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", line)) == {place.rpartition(".")[2] for place in opened}
