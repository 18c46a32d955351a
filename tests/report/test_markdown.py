"""Comments for pull requests: what a Markdown parser reads from them."""

from __future__ import annotations

import dataclasses
import html
import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from archlint.core.finding import Evidence, Finding, FoldedSites, Remedy, Severity
from archlint.core.report import Environment, Report, Run
from archlint.core.training import Trainer, Training
from archlint.core.trial import Plan, Trial
from archlint.report import markdown
from archlint.report.proposal import is_due
from archlint.report.quoting import visible

from .conftest import trained
from .strategies import RUNS

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = re.compile(
    r"<details>\n<summary>(error|warning|info) <code>[^<>]*</code>( · \d+ sites?)? · (static|injected|forwarded)"
    r"</summary>\n|</details>\n"
)
"""The HTML that is written; between the tags of a name there are no others."""
INLINE = {"text", "code_inline", "softbreak", "strong_open", "strong_close"}


def read(run: Run) -> list[Token]:
    """The comment's tokens, with nothing in them that names could have brought in."""
    tokens = PARSER.parse(checked(markdown.render(run)))
    for token in tokens:
        if token.type == "html_block":
            assert OURS.fullmatch(token.content)
        assert {child.type for child in token.children or ()} <= INLINE
        for child in token.children or ():
            if child.type == "text":
                assert not set(child.content) & set("@#<>[]`$&_*~|\\{}=/"), child.content
                assert not re.search(r"www\.|[0-9a-f]{7}|-\d|:\w", child.content), child.content
    return tokens


def checked(text: str) -> str:
    assert len(text) <= markdown.MOST
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.count("<details>\n<summary>") == text.count("\n</details>\n")
    return text


def tables(tokens: list[Token]) -> Iterator[list[list[Token]]]:
    """The rows of each table below its head, as the contents of cells."""
    rows: list[list[Token]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level == 4 and rows:
            rows[-1].append(token)
        elif token.type == "table_close":
            yield rows[1:]
            rows = []


def said(cell: Token) -> str:
    return "".join(child.content for child in cell.children or ())


def fences(tokens: list[Token], language: str) -> list[str]:
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def about(**fields: object) -> Finding:
    finding = Finding("ARC101", "a-name", Severity.ERROR, "it is so", "")
    return dataclasses.replace(finding, **fields)  # type: ignore[arg-type]


def run_of(*reports: Report) -> Run:
    return Run(Environment("3.11", transformers="5.23.0", peft="0.21.2"), reports)


def test_markdown_is_a_comment(gemma: Run, golden: Callable[[str], None]) -> None:
    golden(markdown.render(gemma))


def test_markdown_of_several_sources(several: Run, golden: Callable[[str], None]) -> None:
    golden(markdown.render(several))


def test_markdown_shows_the_lines_of_a_plan(planned: Run, golden: Callable[[str], None]) -> None:
    golden(markdown.render(planned))


def test_markdown_keeps_hostile_names_in_code(hostile: Run, golden: Callable[[str], None]) -> None:
    golden(markdown.render(hostile))


def test_the_first_line_is_the_verdict(gemma: Run, clean: Run, unchecked: Run) -> None:
    verdicts = [markdown.render(run).splitlines()[0] for run in (gemma, clean, unchecked)]
    assert verdicts == [
        "### archlint: 1 error, 1 warning, 3 infos",
        "### archlint: clean, 1 info",
        "### archlint: 1 not checked",
    ]


def test_a_row_for_each_finding_and_unchecked_thing(run: Run) -> None:
    for table, report in zip(tables(read(run)), run.reports, strict=True):
        assert len(table) == len(report.findings) + len(report.untold)
        for row, finding in zip(table, report.findings, strict=False):
            severity, rule, *_ = map(said, row)
            assert (severity, rule) == (finding.severity.value, f"{finding.code} {finding.name}")
        assert all(len(row) == 4 for row in table)
        assert all(said(row[0]) == "not checked" for row in table[len(report.findings) :])


def test_the_details_hold_what_is_known(gemma: Run) -> None:
    text = markdown.render(gemma)
    block = text[text.index("<details>") : text.index("</details>")]
    assert "<summary>error <code>ARC101 wrapped-linear</code> · 232 sites · injected</summary>" in block
    assert "**Why**: PEFT adapts nn.Linear, not what is wrapped around it: `get_peft_model` raises" in block
    tokens = read(gemma)
    assert fences(tokens, "text")[0].splitlines()[0] == (
        "64× model.vision_tower.encoder.layers.{0..15}.self_attn.{q,k,v,o}_proj"
    )
    assert "target_modules=['q_proj', 'v_proj'] → ValueError" in fences(tokens, "text")[1]
    assert fences(tokens, "python")[0] == 'target_modules=r".*_tower\\..*\\.linear"\n'


def test_a_finding_without_details_has_no_block(gemma: Run) -> None:
    bare = about(severity=Severity.INFO)
    told = about(remedies=(Remedy("setting", "do this"),))
    assert "<details>" not in markdown.render(run_of(Report("x", findings=(bare,))))
    assert "**Fix** (exact): do this" in markdown.render(run_of(Report("x", findings=(told,))))


def test_the_recipe_is_to_be_pasted(gemma: Run) -> None:
    (report,) = gemma.reports
    *_, recipe = fences(read(gemma), "python")
    namespace: dict[str, object] = {"LoraConfig": dict}
    assert report.recipe is not None
    assert eval(recipe, namespace) == report.recipe.plan.lora


def test_what_the_trainer_needs_stands_beside_the_recipe(gemma: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "needed_by", lambda self, trainer: {"router_aux_loss_coef": 0.0})
    report = trained(gemma.reports[0], Training(trainers=(Trainer.SFT,)))
    *_, recipe = fences(read(run_of(report)), "python")
    assert recipe.endswith(")\nSFTConfig(\n    router_aux_loss_coef=0.0,\n)\n")


def test_a_plan_that_needs_no_recipe_gets_none(clean: Run, planned: Run) -> None:
    (report,) = clean.reports
    assert report.plan is not None
    assert "**Recipe**: 224 adapters" in markdown.render(clean)
    whole = dataclasses.replace(report, plan=dataclasses.replace(report.plan, coverage=1.0))
    assert "**Recipe**" not in markdown.render(run_of(whole))
    assert "**Recipe**: none was found for the scope text." in markdown.render(planned)
    untried = Trial(Plan("recipe", {}), adapted=("a",), coverage=1.0, forward="unavailable")
    assert "**Untried**: 1 adapter on" in markdown.render(run_of(dataclasses.replace(report, recipe=untried)))


def test_nothing_found_is_said() -> None:
    assert "\nNothing was found.\n" in markdown.render(run_of(Report("x")))


@given(RUNS)
def test_no_name_changes_the_comment(run: Run) -> None:
    tokens = read(run)
    with_rows = [report for report in run.reports if report.findings or report.untold]
    for table, report in zip(tables(tokens), with_rows, strict=True):
        assert [len(row) for row in table] == [4] * (len(report.findings) + len(report.untold))
        for row, finding in zip(table, report.findings, strict=False):
            assert said(row[1]) == visible(f"{finding.code} {finding.name}")
    blocks = [token.content for token in tokens if token.type == "html_block"]
    assert re.findall("<code>(.*)</code>", "".join(blocks)) == [
        html.escape(visible(f"{finding.code} {finding.name}"))
        for finding in run.findings
        if finding.sites or finding.location or finding.why or finding.proof or finding.remedies
    ]
    expected = Counter(f"{fold.count}× {visible(fold.pattern)}" for finding in run.findings for fold in finding.sites)
    lines = Counter(line for content in fences(tokens, "text") for line in content.splitlines())
    assert expected <= lines
    recipes = [report for report in run.reports if is_due(report) and report.recipe is not None]
    assert sum(content.startswith("LoraConfig(\n") for content in fences(tokens, "python")) == len(recipes)


def large(findings: int, severity: Severity = Severity.ERROR, proof: int = 400) -> Report:
    sites = (FoldedSites("layers.{0..1}.`q`|x", 2, "Net", "other", "text"),)
    lines = tuple("``` " + "p" * 90 for _ in range(proof // 100))
    made = (
        about(code=f"ARC{number}", severity=severity, sites=sites, proof=lines, evidence=Evidence.STATIC)
        for number in range(findings)
    )
    return Report("x", findings=tuple(made))


def remark(run: Run) -> str:
    read(run)
    lines = [line for line in markdown.render(run).splitlines() if line.startswith("Left out")]
    return lines[0] if lines else ""


def test_a_comment_is_no_longer_than_github_takes() -> None:
    report = large(300)
    told = remark(run_of(report))
    match = re.fullmatch(
        r"Left out, as a comment holds 65,536 characters: (\d+) details blocks. `--format full` has everything.", told
    )
    assert match is not None
    text = markdown.render(run_of(report))
    assert text.count("<details>") + int(match[1]) == 300
    assert len(text) > markdown.MOST - 3_000
    (table,) = tables(read(run_of(report)))
    assert len(table) == 300
    assert remark(run_of(large(30))) == ""


def test_the_details_of_errors_stay_longest() -> None:
    infos, errors = large(200, Severity.INFO), large(60)
    text = markdown.render(run_of(dataclasses.replace(infos, findings=infos.findings + errors.findings)))
    assert text.count("<summary>error") == 60
    assert 0 < text.count("<summary>info") < 200


def test_sources_with_errors_stay_longest() -> None:
    clean, bad = [Report(f"source{number}") for number in range(3000)], dataclasses.replace(large(2), source="last")
    text = markdown.render(run_of(*clean, bad))
    told = remark(run_of(*clean, bad))
    assert re.fullmatch(r"Left out, as a comment holds 65,536 characters: \d+ sources. .*", told)
    assert "#### `source0`" in text
    assert text.index("#### `last`") < text.index("<details>")
    assert text.count("<details>") == 2


def test_of_what_is_left_out_nothing_is_there() -> None:
    many = run_of(*(dataclasses.replace(large(2), source=f"source{number}") for number in range(1000)))
    tokens = read(many)
    heads = sum(token.type == "heading_open" and token.tag == "h4" for token in tokens)
    rows = [len(table) for table in tables(tokens)]
    assert 0 < heads < 1000
    assert len(rows) == heads
    assert set(rows) <= {1, 2}
    assert f" {1000 - heads} sources, " in remark(many)
    assert remark(many).count("table row") == (sum(rows) < 2 * heads)


def test_a_finding_that_is_too_long_leaves_room_for_others() -> None:
    long = about(code="ARC9", why="word " * 20_000, proof=("x",))
    report = dataclasses.replace(large(5), findings=(long, *large(5).findings))
    assert ": 1 details block." in remark(run_of(report))
    assert markdown.render(run_of(report)).count("<details>") == 5


@given(RUNS, st.integers(0, 4000))
def test_what_is_cut_is_cut_whole(run: Run, room: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markdown, "_ROOM", room)
        read(run)
        assert len(markdown.render(run)) <= room + 600
