"""Reports that were written down are read as they were, and what is no report is refused with the place."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archlint.core.finding import Severity
from archlint.core.report import Run
from archlint.core.training import Trained, Trainer, Training
from archlint.core.trial import Crash, Mute
from archlint.report import concise, full, github, json_document, json_lines, markdown, stored
from archlint.report.layout import draw
from archlint.report.places import Checkout
from archlint.report.values import DocumentError

from .conftest import trained
from .strategies import RUNS


def again(run: Run) -> Run:
    (read,) = stored.parse(json_document.render(run))
    return read


@given(RUNS)
@settings(deadline=None)
def test_a_document_is_what_it_was(run: Run) -> None:
    written = json_document.render(run)
    assert json_document.render(again(run)) == written


def test_every_renderer_says_the_same(run: Run, tmp_path: Path) -> None:
    read = again(run)
    for exit_code in (0, 1):
        shown = [draw(full.render(one, exit_code=exit_code), width=100) for one in (run, read)]
        assert shown[0] == shown[1]
    assert markdown.render(read) == markdown.render(run)
    assert concise.render(read) == concise.render(run)
    assert github.render(read, checkout=Checkout(tmp_path, tmp_path)) == github.render(
        run, checkout=Checkout(tmp_path, tmp_path)
    )
    assert [finding.fingerprint for finding in read.findings] == [finding.fingerprint for finding in run.findings]
    assert read.exit_code(Severity.WARNING) == run.exit_code(Severity.WARNING)


def test_what_trainers_and_trials_came_to(gemma: Run) -> None:
    (report,) = gemma.reports
    real = Trained(Trainer.SFT, "1.16.0", (0.5, float("inf")), ("layers.0",), Crash("E", "no", "own.py", 7))
    training = Training((Trainer.SFT,), (Trainer.SFT,), trl="1.16.0", fused=Crash("E", "no"), trained=real)
    assert report.recipe is not None
    recipe = dataclasses.replace(report.recipe, saved_dead=("lm_head",), muted={"layers.1": Mute.DROPOUT})
    run = dataclasses.replace(gemma, reports=(trained(report, training, recipe=recipe),))
    (read,) = again(run).reports
    assert read.trainer is None
    assert read.verdicts == trained(report, training).verdicts
    assert read.training.trained is not None
    assert read.training.trained.losses == (0.5, float("inf"))
    assert read.recipe is not None
    assert not read.recipe.is_sound
    assert (read.recipe.adapted, read.recipe.muted) == (recipe.adapted, recipe.muted)


def test_lines_are_a_run_each(several: Run, tmp_path: Path) -> None:
    file = tmp_path / "reports.jsonl"
    file.write_text(json_lines.render(several) + "\n", encoding="utf-8")
    runs = stored.read(file)
    assert [report.source for run in runs for report in run.reports] == [report.source for report in several.reports]
    assert {len(run.reports) for run in runs} == {1}


def minimal(document: Any) -> Any:
    """``document`` with the fields of the first version alone."""
    document = copy.deepcopy(document)
    del document["created"]
    for report in document["reports"]:
        for name in ("trainers", "trial_train", "dead_in_training", "modules", "notes", "suppressed", "known"):
            del report[name]
        plans = [part for part in (report["recipe"], report["plan"], *report["stock"]) if part is not None]
        for part in plans:
            for name in set(part) - {"name", "lora", "trial"}:
                del part[name]
            for name in ("patterns", "trainable", "ran_on", "saved_dead", "muted", "notices"):
                part["trial"].pop(name, None)
        for finding in report["findings"]:
            for name in ("why", "proof", "unchecked", "trainers", "plan_line"):
                del finding[name]
            for remedy in finding["remedies"]:
                for name in ("trainer", "trainer_args", "edits", "by_recipe"):
                    del remedy[name]
    return document


def test_documents_of_the_first_version_are_read(run: Run) -> None:
    (read,) = stored.parse(json.dumps(minimal(json.loads(json_document.render(run)))))
    assert [len(report.findings) for report in read.reports] == [len(report.findings) for report in run.reports]
    for old, new in zip(read.reports, run.reports, strict=True):
        if new.recipe is not None:
            assert old.recipe is not None
            assert len(old.recipe.adapted) == len(new.recipe.adapted)
    draw(full.render(read, exit_code=0), width=100)


def with_sites(report: Any, number: int) -> Any:
    """``report`` whose first plan adapts so many."""
    first, *others = report["stock"]
    return {**report, "stock": [{**first, "trial": {**first["trial"], "adapted": number}}, *others]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(schema="archlint/report/v2"), "schema is 'archlint/report/v2'"),
        (lambda d: d.pop("reports"), "the document has no reports"),
        (lambda d: d.update(reports={}), "reports: a list is expected, not {}"),
        (lambda d: d["reports"][0].update(scope="txt"), r"reports\[0\].scope: one of text, vision, audio, all is exp"),
        (lambda d: d["reports"][0]["findings"][1].pop("code"), r"reports\[0\].findings\[1\] has no code"),
        (lambda d: d["reports"][0]["findings"][0].update(severity=1), r"severity: a text is expected, not 1"),
        (lambda d: d["reports"][0]["recipe"]["trial"].update(adapted=-1), "adapted: an integer of 0 or more is"),
        (lambda d: d["reports"][0]["recipe"]["trial"].update(adapted=10**9), "more sites than any models have"),
        (lambda d: d["reports"][0]["stock"][0]["trial"].update(patterns=["{0..999999999}"]), "more sites than any"),
        (lambda d: d.update(reports=[with_sites(d["reports"][0], 900_000)] * 12), "more sites than any"),
        (lambda d: d["reports"][0]["model"].update(parameters=10**400), "parameters: an integer of 0 or more is"),
        (lambda d: d["reports"][0].update(seconds=10**400), "seconds: a number is expected"),
        (lambda d: d["reports"][0]["recipe"]["trial"].update(coverage=10**400), "coverage: a number is expected"),
        (lambda d: d["reports"][0]["recipe"]["trial"].update(coverage=1.5), "coverage: a number from 0 to 1"),
    ],
)
def test_what_is_no_report_is_refused_with_the_place(gemma: Run, change: Any, says: str) -> None:
    document = json.loads(json_document.render(gemma))
    change(document)
    with pytest.raises(DocumentError, match=says):
        stored.parse(json.dumps(document))


@pytest.mark.parametrize("text", ["", "\n", "{", "[]", "1", "null", '{"schema": "x"}', "{}\n{", "[" * 100_000])
def test_other_texts_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError, match=r"x\.json: "):
        stored.read(file)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_refused(gemma: Run, number: str) -> None:
    text = json_document.render(gemma).replace('"seconds": ', f'"seconds": {number}, "was": ')
    with pytest.raises(DocumentError, match=f"is no JSON: {number} is no number of JSON"):
        stored.parse(text)


def test_a_broken_line_is_named(several: Run) -> None:
    with pytest.raises(DocumentError, match="line 2 is no JSON"):
        stored.parse(json_lines.render(several).splitlines()[0] + '\n{"schema":')


@given(st.data())
@settings(deadline=None)
def test_any_change_of_a_document_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(json_document.render(data.draw(RUNS)))
    places = list(_places(document))
    path = data.draw(st.sampled_from(places))
    *parents, last = path
    holder = document
    for part in parents:
        holder = holder[part]
    junk = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just([]), st.just({}))
    holder[last] = data.draw(junk)
    try:
        (read,) = stored.parse(json.dumps(document))
    except DocumentError:
        return
    json_document.render(read)
    draw(full.render(read, exit_code=0), width=100)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, content in items:
        yield (*path, name)
        yield from _places(content, (*path, name))
