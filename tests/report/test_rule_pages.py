"""What rules say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Finding, Severity
from archlint.core.rule import Rule
from archlint.report import rule_pages


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


def test_a_page_is_wrapped_anew() -> None:
    assert rule_pages.page(Sample, width=50) == (
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
    assert rule_pages.listing([Sample]) == "XYZ1  sample-rule  warning  A sample that is only here for the test.\n"
    assert rule_pages.listing([Sample], width=60) == (
        "XYZ1  sample-rule  warning  A sample that is only here for\n"
        "                            the test.\n"
    )  # fmt: skip
    assert rule_pages.listing([]) == ""


def test_json_values() -> None:
    entry = rule_pages.entry(Sample)
    assert json.loads(json.dumps(entry)) == entry
    assert entry["code"] == "XYZ1"
    assert entry["summary"] == "A sample that is only here for the test."
    assert list(entry["sections"]) == ["What it does", "What to do"]
