"""``--format junit``: JUnit XML, which CI systems show as the results of tests.

A source is a suite and a rule a test in it, so that a dashboard follows each over time; the suite's output is the
recipe. There is no standard: the elements and attributes are those that Jenkins and GitLab read. To GitLab, a test is
its ``classname`` and ``name``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from archlint.core.finding import Finding, Severity
from archlint.core.report import Report, Run
from archlint.core.rule import Rule
from archlint.core.trial import Trial
from archlint.report import proposal
from archlint.report.fixes import told
from archlint.report.places import Checkout, listed
from archlint.report.quoting import gist, one_line, visible
from archlint.report.wording import line, outcome

_CHECKED = "everything was checked"
_NOT_ALL = "nothing was found, but not everything was checked"
_LONGEST_PROOF = 500


def render(run: Run, *, rules: Mapping[str, Sequence[type[Rule]]], fail_on: Severity | None, checkout: Checkout) -> str:
    """The run as one XML document, in ASCII, so that no locale can change its bytes.

    Args:
        run: what was found.
        rules: for each source those that ran; each is a test.
        fail_on: the mildest severity that fails a test; ``None`` where none does.
        checkout: the repository that files are named from.
    """
    top = Element("testsuites", name="archlint")
    for report in run.reports:
        suite = SubElement(top, "testsuite", name=one_line(report.source))
        suite.extend(_cases(report, rules[report.source], fail_on, checkout))
        if report.recipe is not None:
            SubElement(suite, "system-out").text = "\n".join(_recipe(report, report.recipe))
        _sum_up(suite, report.seconds)
    _sum_up(top, sum(report.seconds for report in run.reports))
    ElementTree.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(top, encoding="us-ascii").decode()}\n'


def _sum_up(element: Element, seconds: float) -> None:
    """Put on ``element`` how many tests are below it, how they ended, and how long they took."""
    for name, tag in {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        element.set(name, str(sum(1 for _ in element.iter(tag))))
    element.set("time", f"{seconds:.3f}")


def _cases(
    report: Report, rules: Sequence[type[Rule]], fail_on: Severity | None, checkout: Checkout
) -> Iterator[Element]:
    yield _checked(report)
    names = {rule.code: rule.name for rule in rules} | {finding.code: finding.name for finding in report.findings}
    for code, name in sorted(names.items()):
        found = [finding for finding in report.findings if finding.code == code]
        yield _case(report, f"{visible(code)} {visible(name)}", found, fail_on, checkout)


def _checked(report: Report) -> Element:
    """The test that all could be checked, which takes the time of the whole suite."""
    case = _test(report, _CHECKED)
    case.set("time", f"{report.seconds:.3f}")
    lines = [f"{one_line(item.what)}: {one_line(item.why)}" for item in report.unchecked]
    if lines:
        _end(case, "error", "not checked", _first(lines), lines)
    return case


def _case(report: Report, name: str, found: Sequence[Finding], fail_on: Severity | None, checkout: Checkout) -> Element:
    """The test that a rule finds nothing as bad as ``fail_on``; milder findings are its output.

    It is skipped where the rule itself says that something was not checked, or may have found nothing because of that.
    """
    case = _test(report, name)
    case.set("time", "0")
    where = next(filter(None, (checkout.place(report.source, finding) for finding in found)), None)
    if where is not None:
        case.set("file", visible(where.file))
        case.set("line", str(where.line))
    bad = [finding for finding in found if _fails(finding, fail_on)]
    lines = [text for finding in found for text in _told(finding)]
    if bad:
        _end(case, "failure", bad[0].severity.value, _first([one_line(finding.message) for finding in bad]), lines)
    elif found and all(finding.unchecked for finding in found):
        _end(case, "skipped", "not checked", _first([one_line(finding.message) for finding in found]), lines)
    elif not found and report.unchecked:
        _end(case, "skipped", "not checked", _NOT_ALL, [_NOT_ALL])
    elif found:
        SubElement(case, "system-out").text = "\n".join(lines)
    return case


def _recipe(report: Report, recipe: Trial) -> Iterator[str]:
    """The recipe in Python, below a comment that says what came of it."""
    yield f"# {proposal.standing(recipe)}: {one_line(outcome(recipe, report.scope))}"
    yield from map(visible, proposal.source(report).split("\n"))


def _fails(finding: Finding, fail_on: Severity | None) -> bool:
    return fail_on is not None and not finding.unchecked and finding.severity.rank <= fail_on.rank


def _test(report: Report, name: str) -> Element:
    return Element("testcase", classname=one_line(report.source), name=name)


def _end(case: Element, how: str, kind: str, message: str, lines: Sequence[str]) -> None:
    SubElement(case, how, type=kind, message=message).text = "\n".join(lines)


def _first(texts: Sequence[str]) -> str:
    first, *others = texts
    return f"{first} (and {len(others)} more)" if others else first


def _told(finding: Finding) -> Iterator[str]:
    """All that is known of a finding, in lines of text."""
    yield f"{finding.severity.value}: {one_line(finding.message)}"
    if (at := finding.plan_line) is not None:
        yield f"plan: {line(at)} {visible(at.key)}"
    for text in listed(finding):
        yield f"where: {text}"
    if (defined := finding.location) is not None:
        yield f"class: {visible(defined.file)}:{defined.line}"
    if finding.why:
        yield f"why: {one_line(finding.why)}"
    for text in finding.proof:
        yield f"proof: {gist(text, _LONGEST_PROOF)}"
    yield from told(finding)
