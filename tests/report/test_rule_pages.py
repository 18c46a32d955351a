"""What rules say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable

from markdown_it import MarkdownIt

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Remedy, Severity
from archlint.core.rule import Example, Rule
from archlint.report import rule_pages
from archlint.report.rule_examples import illustrated
from archlint.report.rule_pages import RulePage


class Sample(Rule):
    """A sample that is
    only here for the test.

    ## What it does
    Looks for nothing at all, in a sentence that is long enough to need a second line on a narrow page.

    - one item, which is long enough to need a second line as well
    - another

        verbatim   code

    ## What to do
    Nothing.
    """

    code, name, severity, why = "XYZ1", "sample-rule", Severity.WARNING, "It does not matter."

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        return ()


SAMPLE = RulePage.of(Sample)


def test_a_page_is_wrapped_anew() -> None:
    assert rule_pages.page(SAMPLE, width=50) == (
        "XYZ1 sample-rule · warning\n"
        "\n"
        "A sample that is only here for the test.\n"
        "\n"
        "What it does\n"
        "  Looks for nothing at all, in a sentence that is\n"
        "  long enough to need a second line on a narrow\n"
        "  page.\n"
        "\n"
        "  - one item, which is long enough to need a\n"
        "    second line as well\n"
        "  - another\n"
        "\n"
        "      verbatim   code\n"
        "\n"
        "What to do\n"
        "  Nothing.\n"
    )


def test_a_list_has_a_line_for_each_rule() -> None:
    assert rule_pages.listing([SAMPLE]) == "XYZ1  sample-rule  warning  A sample that is only here for the test.\n"
    assert rule_pages.listing([SAMPLE], width=60) == (
        "XYZ1  sample-rule  warning  A sample that is only here for\n"
        "                            the test.\n"
    )  # fmt: skip
    assert rule_pages.listing([]) == ""


def test_json_values() -> None:
    entry = rule_pages.entry(SAMPLE)
    assert json.loads(json.dumps(entry)) == entry
    assert entry["code"] == "XYZ1"
    assert entry["summary"] == "A sample that is only here for the test."
    assert list(entry["sections"]) == ["What it does", "What to do"]


def test_json_values_are_read_back() -> None:
    for page in (SAMPLE, SHOWN):
        assert rule_pages.read_entry(json.loads(json.dumps(rule_pages.entry(page)))) == page


class Shown(Sample):
    """A sample with an example."""

    fires = (
        Example(
            "toy:projections.Wrapped",
            plan={"target_modules": ["q_proj"]},
            at="layers.{0,1}.q_proj",
            says="it is so",
            fix=Remedy("exclude_modules", "or leave it out", ["q_proj"]),
        ),
    )


SHOWN = illustrated(Shown)


def test_an_explanation_has_the_example_and_the_fix() -> None:
    text = rule_pages.explanation(SHOWN, width=50)
    assert text.startswith(rule_pages.page(SHOWN, width=50) + "\nExample\n  This\n\n      import archlint\n")
    assert "\n  finds, at `layers.{0,1}.q_proj`,\n\n      warning XYZ1 sample-rule: it is so\n" in text
    assert "\n      class ClampedLinear(nn.Module):\n" in text
    assert text.endswith('\n\n  A fix: leave it out:\n\n      exclude_modules=["q_proj"]\n')
    assert rule_pages.explanation(SAMPLE, width=50) == rule_pages.page(SAMPLE, width=50)


def test_a_document_has_the_same_in_markdown() -> None:
    text = rule_pages.document(SHOWN)
    assert text.startswith(
        "# XYZ1 sample-rule\n\n**warning** at worst · [all rules](README.md)\n\nA sample with an example."
    )
    assert "\n\nfinds, at `layers.{0,1}.q_proj`,\n\n```text\nwarning XYZ1 sample-rule: it is so\n```\n" in text
    assert text.endswith('\n\nA fix: leave it out:\n\n```text\nexclude_modules=["q_proj"]\n```\n')
    blocks = MarkdownIt().parse(text)
    assert [block.info for block in blocks if block.type == "fence"] == ["python", "text", "python", "text"]
    assert "## Example" not in rule_pages.document(SAMPLE)


def test_a_fix_without_an_argument_is_a_sentence() -> None:
    class Recipe(Sample):
        fires = (Example("type:llama", says="so", fix=Remedy("target_modules", "name them: the recipe below")),)

    assert rule_pages.document(illustrated(Recipe)).endswith("\n\nA fix: name them: archlint.recipe() gives some.\n")


def test_the_index_links_to_every_page() -> None:
    text = rule_pages.index([SAMPLE, SHOWN])
    assert text.count("| [XYZ1](XYZ1.md) | sample-rule | warning |") == 2
    assert list(rule_pages.documents([SAMPLE])) == ["README.md", "XYZ1.md"]
