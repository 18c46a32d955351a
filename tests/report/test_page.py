"""The page in a browser: what people see and do there."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import archlint
from archlint import engine
from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, FoldedSites, LeftOut, Location, Severity
from archlint.core.report import Part, Report, Run, Unchecked
from archlint.core.suppression import Suppressed
from archlint.core.trial import Mute, Plan, Trial
from archlint.report import html, proposal
from archlint.report.quoting import visible

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
RULES = list(Catalog.load().rules.values())
WIDE, PHONE = 1440, 375
FRAMES = 100
"""Milliseconds after which an answer is no longer felt as immediate."""
TYPED = """async () => {
    const field = document.querySelector("input[type=search]");
    const times = [];
    for (const text of ["l", "ll", "lla", "llam", "llama", "llama-1", "llama-13", "llama-1", "", "q", ""]) {
        const start = performance.now();
        field.value = text;
        field.dispatchEvent(new Event("input", { bubbles: true }));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
        times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b);
}"""
"""How long it takes from each of some keystrokes until the table is painted, in milliseconds, sorted."""
FOLLOWED = """address => new Promise((done) => {
    addEventListener("hashchange", done, { once: true });
    location.hash = address;
})"""
"""Goes to an address, and waits until its page is there."""
Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = next(filter(None, map(shutil.which, BROWSERS)), own if Path(own).exists() else None)
        if found is None:
            pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)}, nor playwright's own")
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if is_root else [])
        yield launched
        launched.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Open the page of some runs; whatever the browser complains of, or asks for, fails the test."""
    contexts, said, asked = [], [], set()

    def open_page(*runs: Run, at: str = "", width: int = WIDE, scheme: str = "light", **options: Any) -> Any:
        file = tmp_path / "page.html"
        file.write_text(html.render(runs, rules=RULES), encoding="utf-8", newline="")
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            permissions=["clipboard-read", "clipboard-write"],
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: asked.add(request.url.partition("#")[0]))
        page.goto(f"{file.as_uri()}{at}")
        said[:] = [
            line for line in said if line != f"request: {file.as_uri()}" and not line.startswith("request: data:")
        ]
        return page

    yield open_page
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {(tmp_path / "page.html").as_uri()}
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def real() -> Run:
    """A model with an encoder, a decoder and a tied head, and a plan of the user's."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    layers = {"encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    width = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 99, "max_target_positions": 32}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    model = WhisperForConditionalGeneration(WhisperConfig(**layers, **width, **tokens))
    report = archlint.lint(model, plan={"target_modules": ["q_proj", "v_proj"]}, trainers=[])
    return Run(engine.environment(), (report,))


def renamed(run: Run, source: str, **changes: Any) -> Run:
    [report] = run.reports
    return dataclasses.replace(run, reports=(dataclasses.replace(report, source=source, **changes),))


def names(page: Any) -> list[str]:
    """The models that are to be seen, in order."""
    found: list[str] = page.locator(".rows .row:visible .name a").all_text_contents()
    return found


def scrolls_sideways(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (WIDE, "light")])
def test_every_page_is_drawn_without_complaint(
    show: Open, several: Run, planned: Run, hostile: Run, width: int, scheme: str
) -> None:
    page = show(several, planned, hostile, width=width, scheme=scheme)
    assert len(names(page)) == 5
    assert not scrolls_sideways(page)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 248)"
    assert light == (scheme == "light")
    for address in page.eval_on_selector_all(".rows a", "links => links.map((link) => link.getAttribute('href'))"):
        page.evaluate(FOLLOWED, address)
        assert not scrolls_sideways(page), address
        page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true })")
        assert not scrolls_sideways(page), address


def test_no_run_says_so(show: Open) -> None:
    assert show().locator("h1").inner_text() == "No reports"


def test_one_report_is_a_page_of_its_own(show: Open, gemma: Run) -> None:
    page = show(gemma)
    assert page.locator("h1").inner_text() == "google/gemma-4"
    assert page.title() == "google/gemma-4 · archlint"
    assert page.locator(".verdict").inner_text().split("\n") == ["Training raises", "1 error", "1 warning", "3 infos"]
    assert page.locator(".finding").count() == 5
    assert page.locator(".rows").count() == 0


def test_what_could_not_be_checked_is_not_shown_as_clean(show: Open, unchecked: Run, clean: Run) -> None:
    half = renamed(clean, "half", unchecked=(Unchecked("the training step", "the weights are packed"),))
    page = show(unchecked, clean, half)
    marks = {name: page.locator(f".row:has(a:text-is('{name}')) .status") for name in names(page)}
    assert {name: mark.inner_text() for name, mark in marks.items()} == {
        "gogle/gemma-4": "could not check",
        "half": "not all checked",
        "meta-llama/Llama-3.1-8B": "clean",
    }
    assert page.locator(".row:has(a:text-is('gogle/gemma-4')) .heat.unknown").count() == 9
    page.click("text=half")
    assert page.locator(".verdict.unchecked").inner_text().startswith("Not everything could be checked")
    assert "the weights are packed" in page.locator(".unchecked-box").inner_text()


def test_a_finding_that_something_was_not_checked_is_no_warning(show: Open, unchecked: Run, clean: Run) -> None:
    found = Finding("ARC902", "cannot-load", Severity.WARNING, "no such repository", "", unchecked=True)
    page = show(renamed(unchecked, "gone", findings=(found,)), clean)
    row = page.locator(".row:has(a:text-is('gone'))")
    assert row.locator(".heat[data-family='9']").get_attribute("aria-label") == "ARC9xx tool: not checked"
    assert page.locator(".tile.warning b").inner_text() == "0"
    assert page.locator(".common").count() == 0
    page.click("text=gone")
    assert page.locator(".verdict").inner_text().split("\n") == ["Could not be checked", "1 not checked"]
    assert page.locator(".finding.unchecked summary use").get_attribute("href") == "#unchecked"


def test_what_is_suppressed_is_told_and_does_not_count(show: Open, clean: Run) -> None:
    found = Finding("ARC303", "tuple-output", Severity.ERROR, "a router", "")
    meant = Suppressed(found, Location("modeling.py", 7), "it stays frozen")
    page = show(renamed(clean, "mine", suppressed=(meant,)))
    assert page.locator(".verdict b").inner_text() == "Nothing breaks"
    assert "ARC303 tuple-output at modeling.py:7: it stays frozen" in page.locator(".suppressed").inner_text()


def test_a_cell_has_the_worst_by_shape_and_number_as_well(show: Open, several: Run) -> None:
    cell = show(several).locator(".row:has(a:text-is('google/gemma-4')) .heat[data-family='1']")
    assert cell.get_attribute("aria-label") == "ARC1xx projections: 1 error"
    assert cell.inner_text() == "1"
    assert cell.get_attribute("title") == "error ARC101 wrapped-linear"
    assert cell.locator("use").get_attribute("href") == "#error"


def test_a_phone_has_the_filters_folded_and_a_menu_for_sorting(show: Open, several: Run) -> None:
    page = show(several, width=PHONE)
    assert not page.locator("select[aria-label=status]").is_visible()
    page.click("summary:text('Filters')")
    page.select_option("select[aria-label=status]", "clean")
    assert names(page) == ["meta-llama/Llama-3.1-8B"]
    page.select_option("select[aria-label=status]", "")
    page.select_option("select[aria-label=sort]", "name")
    assert names(page) == ["gogle/gemma-4", "google/gemma-4", "meta-llama/Llama-3.1-8B"]


def test_any_column_sorts_and_sorts_the_other_way(show: Open, several: Run, planned: Run) -> None:
    page = show(several, planned)
    by_name = sorted(names(page), key=str.lower)
    for expected in (by_name, by_name[::-1]):
        page.click(".column.name button")
        assert names(page) == expected
    page.click(".column.parameters button")
    assert names(page)[0] == "Qwen/Qwen3-30B-A3B"
    page.click("[role=columnheader] button[aria-label='ARC6xx towers']")
    assert names(page)[0] == "google/gemma-4"
    assert page.locator("[aria-sort=descending]").count() == 1


def test_filters_and_search_are_in_the_address(show: Open, several: Run, planned: Run) -> None:
    page = show(several, planned)
    page.fill("input[type=search]", "GEMMA")
    page.select_option("select[aria-label=status]", "findings")
    page.select_option("select[aria-label=family]", "ARC6")
    page.click(".column.name button")
    sync_api.expect(page).to_have_url(re.compile("sort=name"))
    assert names(page) == ["google/gemma-4"]
    assert page.locator(".shown").inner_text() == "1 of 4"
    again = show(several, planned, at=page.evaluate("location.hash"))
    assert names(again) == ["google/gemma-4"]
    assert again.input_value("input[type=search]") == "GEMMA"
    again.select_option("select[aria-label=severity]", "error")
    assert names(again) == [], "its error is of another family"
    again.click("text=Clear the filters")
    assert len(names(again)) == 4


def test_each_filter(show: Open, several: Run, planned: Run) -> None:
    page = show(several, planned)
    for name, value, expected in (
        ("status", "unchecked", {"gogle/gemma-4"}),
        ("severity", "error", {"google/gemma-4", "Qwen/Qwen3-30B-A3B"}),
        ("code", "ARC601", {"google/gemma-4"}),
        ("origin", "hub", {"meta-llama/Llama-3.1-8B", "Qwen/Qwen3-30B-A3B"}),
        ("origin", "none", {"gogle/gemma-4"}),
    ):
        page.select_option(f"select[aria-label={name}]", value)
        assert set(names(page)) == expected, (name, value)
        page.select_option(f"select[aria-label={name}]", "")
    page.click(".tile.clean")
    assert names(page) == ["meta-llama/Llama-3.1-8B"]
    page.click(".tile.all")
    page.click(".common button[value=ARC601]")
    assert names(page) == ["google/gemma-4"]


def test_the_keyboard_is_enough(show: Open, several: Run) -> None:
    page = show(several)
    focused = "document.activeElement.textContent"
    page.keyboard.press("/")
    page.keyboard.type("gemma")
    assert set(names(page)) == {"google/gemma-4", "gogle/gemma-4"}
    page.keyboard.press("Escape")
    assert len(names(page)) == 3
    page.locator(".rows a").first.focus()
    first, _, last = names(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == first
    page.select_option("select[aria-label=severity]", "info")
    assert names(page) == [first, last]
    page.locator(".rows a").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == last, "what does not fit is passed over"
    page.select_option("select[aria-label=severity]", "")
    page.locator(".rows a").first.focus()
    page.keyboard.press("End")
    assert page.evaluate(focused) == last
    page.keyboard.press("Enter")
    page.wait_for_selector("article.model")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.keyboard.press("Escape")
    page.wait_for_selector(".rows")
    assert page.evaluate(focused) == last
    page.click(f".rows a >> text={last}")
    page.wait_for_selector("article.model")
    page.keyboard.press("/")
    sync_api.expect(page.locator("input[type=search]")).to_be_focused()


def test_going_back_finds_the_filters_as_they_were(show: Open, several: Run) -> None:
    page = show(several)
    page.fill("input[type=search]", "llama")
    page.click(".rows .row:visible")
    sync_api.expect(page.locator("h1")).to_have_text("meta-llama/Llama-3.1-8B")
    page.click("text=All models")
    sync_api.expect(page.locator("h1")).to_have_text("3 models")
    assert names(page) == ["meta-llama/Llama-3.1-8B"]
    page.go_back()
    sync_api.expect(page.locator("h1")).to_have_text("meta-llama/Llama-3.1-8B")
    page.go_back()
    sync_api.expect(page.locator("h1")).to_have_text("3 models")
    assert page.input_value("input[type=search]") == "llama", "though it was typed just before"
    assert names(page) == ["meta-llama/Llama-3.1-8B"]


def test_names_with_anything_in_them_are_text(show: Open, hostile: Run, clean: Run) -> None:
    evil = '</script><img src=x onerror=alert(1)> "it\'s" &amp; 100% #/?=\u202egnol\u202c\n\u2028end'
    found = Finding("ARC101", evil, Severity.ERROR, evil, evil, sites=(FoldedSites(evil, 1, evil, evil, evil),))
    part = Part(FoldedSites(evil, 1, evil, evil, evil), 5)
    plan = Trial(Plan(evil, {"target_modules": evil}))
    left = (LeftOut(evil, found.sites),)
    page = show(
        hostile,
        clean,
        renamed(clean, evil, findings=(found,), modules=(part,), stock=(plan,), left_out=left, notes=(evil,)),
    )
    assert page.locator("img").count() == 0
    [name] = [name for name in page.locator(".rows a").all_text_contents() if "script" in name]
    assert name == visible(evil).replace("\\n", "\n")
    page.locator(".rows a", has_text="</script>").click()
    page.wait_for_selector("article.model")
    assert page.locator("h1").text_content() == name
    assert page.locator(".message").text_content() == name
    assert page.locator("img").count() == 0
    page.reload()
    assert page.locator("h1").text_content() == name, "its address leads there again"
    page.go_back()
    page.locator(".rows a", has_text="owned").click()
    sync_api.expect(page.locator("h1")).to_contain_text("owned")
    assert "\\x1b" in page.locator("h1").inner_text()


def test_what_may_not_be_copied_is_selected(show: Open, gemma: Run) -> None:
    page = show(gemma)
    page.evaluate("""() => {
        navigator.clipboard.writeText = () => Promise.reject(new Error("not allowed"));
        document.execCommand = () => false;
    }""")
    page.click(".recipe .copy")
    page.wait_for_selector(".recipe .copy:has-text('Ctrl+C')")
    assert page.evaluate("String(getSelection())").startswith("LoraConfig(")


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_copy_is_the_recipe_itself(show: Open, gemma: Run, is_allowed: bool) -> None:
    page = show(gemma)
    if not is_allowed:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')) }")
    page.click(".recipe .copy")
    page.wait_for_selector(".recipe .copy:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == proposal.source(gemma.reports[0])


def rows(page: Any) -> list[str]:
    """The names of the rows of the tree that are to be seen."""
    shown: list[str] = page.locator(".tree .name").all_inner_texts()
    return shown


def test_the_tree_adds_up_to_the_model(show: Open, real: Run) -> None:
    [report] = real.reports
    assert report.model is not None
    page = show(real)
    root = page.locator(".tree > li > .node .size")
    assert root.get_attribute("title") == f"{report.model.parameters:,} parameters"
    page.click("text=Expand all")
    tree = """items => items.map(({ node }) => ({
        parameters: node.parameters, sites: node.sites, adapted: node.adapted,
        own: node.own, below: node.children.map(({ parameters }) => parameters),
    }))"""
    nodes = page.eval_on_selector_all(".tree [role=treeitem]", tree)
    for node in nodes:
        assert node["parameters"] == pytest.approx(node["own"]["parameters"] + sum(node["below"]))
    assert report.recipe is not None
    assert nodes[0]["adapted"] == len(report.recipe.adapted)
    assert nodes[0]["sites"] == sum(part.sites.count for part in report.modules)


def test_the_tree_shows_what_a_plan_adapts(show: Open, real: Run) -> None:
    [report] = real.reports
    assert report.recipe is not None
    assert report.plan is not None
    page = show(real)
    counted = page.locator(".tree > li > .node .within")
    assert counted.inner_text() == f"{len(report.recipe.adapted)} adapters"
    page.click(".choices button:text('your plan')")
    assert counted.inner_text() == f"{len(report.plan.adapted)} adapters"
    sync_api.expect(page).to_have_url(re.compile("tree=plan"))
    page.click("text=Expand all")
    filled = page.eval_on_selector_all(
        ".tree li", "items => items.filter(({ node }) => node.own.adapted > 0).map(({ node }) => node.name)"
    )
    assert set(filled) == {"q_proj", "v_proj"}
    page.click(".choices button:text('none')")
    assert page.locator(".tree .adapter").count() == 0
    assert "frozen" in page.locator(".explanation").inner_text()


def test_the_tree_is_walked_by_arrows(show: Open, real: Run) -> None:
    page = show(real)
    page.click("text=Collapse")
    page.locator(".tree [tabindex='0']").focus()
    before = rows(page)
    focused = "document.activeElement.node.path"
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == before[1]
    page.keyboard.press("ArrowRight")
    assert len(rows(page)) > len(before)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == before[1]
    page.keyboard.press("ArrowLeft")
    assert rows(page) == before
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.node.name") == before[-1]
    page.keyboard.press("Home")
    assert page.evaluate(focused) == ""
    assert page.locator(".tree [tabindex='0']").count() == 1


def test_an_older_report_without_modules_has_no_tree(show: Open, gemma: Run) -> None:
    page = show(renamed(gemma, "old", modules=()))
    assert "holds no modules" in page.locator("section.modules").inner_text()


def history(gemma: Run) -> list[Run]:
    """Three reports of one model, not in the order in which they were made."""
    wrapped, tower, *_ = gemma.reports[0].findings
    early = dataclasses.replace(gemma.environment, peft="0.20.0")
    milder = dataclasses.replace(wrapped, severity=Severity.WARNING)
    return [
        dataclasses.replace(renamed(gemma, "a", findings=(wrapped, tower)), created="2026-11-03T04:00:00Z"),
        dataclasses.replace(renamed(gemma, "a", findings=(tower,)), created="2026-11-01T04:00:00Z", environment=early),
        dataclasses.replace(renamed(gemma, "a", findings=(milder,)), created="2026-11-02T04:00:00Z"),
    ]


def test_reports_of_one_model_are_its_history(show: Open, gemma: Run, clean: Run) -> None:
    page = show(*history(gemma), clean)
    row = page.locator(".row:has(a:text-is('a'))")
    assert row.count() == 1
    assert row.locator(".number.error").inner_text().split() == ["1", "+1"]
    page.click(".rows a:text-is('a')")
    steps = page.locator(".history > li")
    sync_api.expect(steps).to_have_count(3)
    assert [text.split("\n")[0] for text in steps.all_inner_texts()] == [
        "2026-11-03 04:00:00 UTC",
        "2026-11-02 04:00:00 UTC",
        "2026-11-01 04:00:00 UTC",
    ]
    newest, middle, oldest = (steps.nth(n) for n in range(3))
    assert newest.locator(".came").all_inner_texts()[0].startswith("+ new  ARC601")
    assert "error, was warning: ARC101" in newest.locator(".changed").inner_text()
    assert middle.locator(".came").all_inner_texts()[0].startswith("+ new  ARC101")
    assert middle.locator(".went").all_inner_texts()[0].startswith("− gone  ARC601")
    assert middle.locator(".versions b").all_inner_texts() == ["peft 0.21.2"]
    assert oldest.locator(".changes").count() == 0
    assert page.locator(".chart-error .plot").get_attribute("aria-label") == (
        "errors: 2026-11-01: 0; 2026-11-02: 0; 2026-11-03: 1"
    )


def test_what_an_unchecked_report_does_not_find_is_not_gone(show: Open, gemma: Run, unchecked: Run) -> None:
    found = renamed(gemma, "a")
    lost = dataclasses.replace(renamed(unchecked, "a"), created="2026-11-04T04:00:00Z")
    page = show(dataclasses.replace(found, created="2026-11-03T04:00:00Z"), lost)
    newest = page.locator(".history > li").first
    assert newest.locator(".went").count() == 0
    assert newest.locator(".lost").all_inner_texts()[0].startswith("? not known  ARC101")
    assert newest.locator(".count").count() == 0
    label = "errors: 2026-11-03: 1; 2026-11-04: –"
    assert page.locator(".chart-error .plot").get_attribute("aria-label") == label


def test_what_was_suppressed_since_is_not_gone(show: Open, gemma: Run) -> None:
    wrapped, *others = gemma.reports[0].findings
    meant = Suppressed(wrapped, Location("modeling.py", 7), "it is meant")
    page = show(renamed(gemma, "a"), renamed(gemma, "a", findings=tuple(others), suppressed=(meant,)))
    newest = page.locator(".history > li").first
    assert newest.locator(".went").count() == 0
    assert newest.locator(".suppressed").inner_text().startswith("− suppressed  ARC101")


def test_fewer_findings_of_what_was_not_all_checked_are_no_progress(show: Open, gemma: Run, clean: Run) -> None:
    gap = (Unchecked("the training step", "the weights are packed"),)
    page = show(renamed(gemma, "a"), renamed(gemma, "a", findings=(), unchecked=gap), clean)
    row = page.locator(".row:has(a:text-is('a'))")
    assert row.locator("sup").count() == 0
    assert row.locator(".heat[data-family='1']").get_attribute("aria-label") == (
        "ARC1xx projections: nothing was found, and not all was checked"
    )


def test_a_plan_of_the_user_s_is_another_question_than_the_stock_plans(show: Open, gemma: Run) -> None:
    plan = Trial(Plan("user", {"target_modules": ["q_proj"]}), forward="ok")
    page = show(gemma, renamed(gemma, "google/gemma-4", plan=plan, findings=()))
    assert set(names(page)) == {"google/gemma-4 (stock plans)", "google/gemma-4 (own plan)"}


def part(path: str, kind: str, role: str, size: int, **trained: bool) -> Part:
    return Part(FoldedSites(path, 1, "Linear", kind, role), size, **trained)


def planned_on(run: Run, lora: dict[str, Any], tuner: str = "LORA", **outcome: Any) -> Run:
    """A model of two layers, the first of which the user's plan adapts, and the last of which it may train in full."""
    plan = Trial(Plan("user", lora, tuner), adapted=("layer.q_proj",), **{"forward": "ok", **outcome})
    saved = "lm_head" in lora.get("modules_to_save", ())
    modules = (
        part("layer.q_proj", "linear", "text", 60, plan=True),
        part("lm_head", "head", "head", 40, plan=False, plan_saves=saved),
    )
    return renamed(run, "mine", plan=plan, recipe=None, modules=modules, findings=())


def test_what_a_plan_trains_in_full_is_not_frozen(show: Open, clean: Run) -> None:
    page = show(planned_on(clean, {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"], "bias": "all"}))
    head = page.locator(".tree [role=treeitem]", has_text="lm_head").last
    assert head.get_attribute("aria-label") == "lm_head, Linear, head, trained in full, 40 parameters"
    assert head.locator(".marker.full").count() == 1
    assert "100 % of it trained in full" in page.locator(".legend [data-role=head]").inner_text()
    assert "Trained as well: lm_head, biases." in page.locator(".explanation p").first.inner_text()
    assert "frozen" not in page.locator(".legend").inner_text()


@pytest.mark.parametrize(
    ("lora", "formula"),
    [({}, "h = W x + α/r B A x"), ({"use_rslora": True}, "h = W x + α/√r B A x"), ({"use_dora": True}, None)],
    ids=["lora", "rslora", "dora"],
)
def test_the_formula_is_that_of_the_plan(show: Open, clean: Run, lora: dict[str, Any], formula: str | None) -> None:
    page = show(planned_on(clean, {"target_modules": ["q_proj"], **lora}))
    assert page.locator(".formula").all_inner_texts() == ([] if formula is None else [formula])


def test_another_tuner_has_no_low_rank_adapters(show: Open, clean: Run) -> None:
    page = show(planned_on(clean, {"target_modules": ["q_proj"]}, tuner="IA3"))
    assert page.locator(".adapter").get_attribute("title") == "holds an adapter: IA3"
    assert page.locator(".low-rank, .formula").count() == 0


def test_a_plan_whose_adapters_change_nothing_is_not_shown_as_sound(show: Open, clean: Run) -> None:
    muted = {"layer.q_proj": Mute.SCALING}
    page = show(planned_on(clean, {"target_modules": ["q_proj"], "lora_alpha": 0}, muted=muted))
    assert page.locator(".tried li").first.locator("use").get_attribute("href") == "#warning"


def test_reports_without_a_date_are_in_the_order_given(show: Open, gemma: Run) -> None:
    first, *others = history(gemma)
    page = show(dataclasses.replace(first, created=None), *others)
    assert [text.split("\n")[0] for text in page.locator(".history > li").all_inner_texts()] == [
        "2026-11-02 04:00:00 UTC",
        "2026-11-01 04:00:00 UTC",
        "undated",
    ]


def test_an_older_report_can_be_read(show: Open, gemma: Run) -> None:
    page = show(*history(gemma))
    page.click(".history li:last-child a")
    page.wait_for_selector(".older")
    assert page.locator(".finding").count() == 1
    page.click(".older a")
    sync_api.expect(page.locator(".older")).to_have_count(0)
    assert page.locator(".finding").count() == 2


def test_another_scope_is_another_model(show: Open, gemma: Run) -> None:
    page = show(gemma, renamed(gemma, "google/gemma-4", scope=archlint.core.blueprint.Scope.ALL))
    assert sorted(names(page)) == ["google/gemma-4 (all)", "google/gemma-4 (text)"]


def test_the_theme_is_kept(show: Open, gemma: Run) -> None:
    page = show(gemma)
    seen = "getComputedStyle(document.documentElement).colorScheme"
    assert page.evaluate(seen) == "light dark"
    for expected in ("light", "dark"):
        page.click("#theme-toggle")
        assert page.evaluate(seen) == expected
    page.reload()
    assert page.evaluate(seen) == "dark"
    page.click("#theme-toggle")
    assert page.evaluate(seen) == "light dark"


def test_without_scripts_a_table_is_read(show: Open, several: Run) -> None:
    page = show(several, java_script_enabled=False)
    assert page.locator("noscript td").first.inner_text() == "google/gemma-4"


@pytest.fixture
def many(several: Run, planned: Run) -> Run:
    """As many models as transformers has, of every sort."""
    kinds: list[Report] = [*several.reports, *planned.reports]
    made = []
    for n in range(800):
        kind = kinds[n % len(kinds)]
        made.append(
            dataclasses.replace(kind, source=f"org-{n % 37}/{kind.source}-{n}", findings=kind.findings[n % 3 :])
        )
    return dataclasses.replace(several, reports=tuple(made))


def test_many_models_stay_fluid(show: Open, many: Run) -> None:
    page = show(many)
    assert page.locator(".rows .row").count() == 800
    for width in (WIDE, PHONE):
        page.set_viewport_size({"width": width, "height": 900})
        assert not scrolls_sideways(page)
        times = page.evaluate(TYPED)
        assert times[len(times) // 2] < FRAMES, (width, times)
    page.fill("input[type=search]", "llama-13")
    assert all("Llama" in name and "-13" in name for name in names(page))
