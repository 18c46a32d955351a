"""Runs of any contents, with names that mean something to those who read reports."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st

from archlint.core.blueprint import ModelInfo, Scope
from archlint.core.custom_code import Conduct, Containment, Gap, OwnCode, Reading, Remark
from archlint.core.finding import Edit, Evidence, Finding, FoldedSites, LeftOut, Location, PlanLine, Remedy, Severity
from archlint.core.report import Environment, Part, Report, Run, Unchecked
from archlint.core.safety import Safety
from archlint.core.suppression import Suppressed
from archlint.core.training import Trainer
from archlint.core.trial import Ground, Plan, Refusal, Trial
from archlint.core.verdicts import Flaw, Verdict

PAYLOADS = (
    "@team/leads",
    "(@user),",
    "#1",
    "owner/repo#12",
    "GH-12",
    "0e9e39f249a16976918f6564b8830bc894c89659",
    ":tada:",
    "https://evil.example/?a=b",
    "www.evil.example",
    "(www.evil.example)",
    "me@evil.example",
    "<script>alert(1)</script>",
    "</details></td>",
    "<!-- -->",
    "<https://evil.example>",
    "[a](https://evil.example)",
    "![a](x.png)",
    "[^1]",
    "a|b",
    "a\\|b",
    "\\",
    "`",
    "``` \n```\n# x",
    "~~~",
    "$x$",
    "$`x`$",
    "*a* _b_ ~~c~~",
    "- x",
    "1. x",
    "---",
    "> [!NOTE]",
    "&lt;b&gt; &#64;user",
    "\n\n# heading\n",
    "\x00\x1b[31m\u202e\ufffe\ud800",
    "]]>",
    "<!ENTITY x 'y'>&x;",
    "[[ATTACHMENT|/etc/passwd]]",
    "::error::x",
    "{0..3}",
    " ",
)
MARKS = "|`<>@#&*_[]()!\\~$:{}\"'\n\r\x1b\u202e\ud800\ufffe-+=. aé"
NAMES = st.one_of(
    st.lists(st.sampled_from(PAYLOADS), min_size=1, max_size=3).map(" ".join),
    st.text(st.sampled_from(MARKS), min_size=1, max_size=12),
    st.text(min_size=1, max_size=12),
)
LINES = st.integers(1, 99)
SITES = st.builds(FoldedSites, NAMES, st.integers(1, 9), NAMES, NAMES, NAMES)
FEW_SITES = st.lists(SITES, max_size=2).map(tuple)
LORA = st.fixed_dictionaries({"target_modules": st.one_of(NAMES, st.lists(NAMES, max_size=2))})
REMEDIES = st.builds(
    Remedy,
    kind=st.sampled_from(["target_modules", "patch", "setting"]),
    text=NAMES,
    value=st.one_of(st.none(), NAMES, st.lists(NAMES, max_size=2)),
    safety=st.sampled_from(Safety),
    proven=st.booleans(),
    by_recipe=st.booleans(),
    edits=st.lists(st.builds(Edit, NAMES, LINES, NAMES, st.one_of(st.just(""), NAMES)), max_size=1).map(tuple),
)
FINDINGS = st.builds(
    Finding,
    code=st.one_of(st.sampled_from(["ARC101", "ARC201"]), NAMES),
    name=NAMES,
    severity=st.sampled_from(Severity),
    message=NAMES,
    why=st.one_of(st.just(""), NAMES),
    evidence=st.sampled_from(Evidence),
    sites=FEW_SITES,
    location=st.one_of(st.none(), st.builds(Location, NAMES, LINES)),
    remedies=st.lists(REMEDIES, max_size=2).map(tuple),
    proof=st.lists(NAMES, max_size=2).map(tuple),
    unchecked=st.booleans(),
    plan_line=st.one_of(st.none(), st.builds(PlanLine, NAMES, LINES, NAMES)),
)
TRIALS = st.builds(
    Trial,
    st.builds(Plan, st.just("recipe"), LORA),
    raised=st.one_of(st.none(), st.builds(Refusal, NAMES, NAMES)),
    adapted=st.just(("a", "b")),
    coverage=st.just(0.5),
    forward=st.sampled_from(["ok", "unavailable"]),
    ground=st.just(Ground.META),
)
SUPPRESSED = st.builds(Suppressed, FINDINGS, st.builds(Location, NAMES, LINES), st.one_of(st.just(""), NAMES))
MODELS = st.builds(ModelInfo, NAMES, st.just("local"), NAMES, NAMES, st.just(12), st.just(3))
UNCHECKED = st.lists(st.builds(Unchecked, NAMES, NAMES), max_size=2).map(tuple)
VERDICTS = st.builds(
    Verdict,
    st.sampled_from(Trainer),
    NAMES,
    st.booleans(),
    st.sampled_from(["runs", "differs", "raises", "unknown"]),
    codes=st.lists(NAMES, max_size=2).map(tuple),
    flaws=st.lists(st.sampled_from(Flaw), max_size=2).map(tuple),
    takes=st.one_of(st.just(""), NAMES),
    needs=st.one_of(st.none(), st.just({}), st.just({"loss_type": "nll"})),
)
PARTS = st.builds(
    Part,
    SITES,
    st.integers(0, 10**12),
    st.booleans(),
    st.one_of(st.none(), st.booleans()),
    st.booleans(),
    st.booleans(),
)
LEFT_OUT = st.builds(LeftOut, NAMES, st.lists(SITES, min_size=1, max_size=2).map(tuple))


def _consistent(report: Report) -> Report:
    """What a finding says was not checked is among what the report says was not."""
    told = tuple(Unchecked("it", finding.message) for finding in report.findings if finding.unchecked)
    return dataclasses.replace(report, unchecked=(*report.unchecked, *told))


GAPS = st.builds(Gap, NAMES, NAMES, LINES, NAMES)
CONDUCT = st.builds(
    Conduct,
    st.builds(Containment, st.lists(NAMES, max_size=2).map(tuple), st.one_of(st.just(""), NAMES)),
    st.lists(st.builds(Remark, NAMES), max_size=2).map(tuple),
)
OWN_CODE = st.one_of(
    st.builds(OwnCode, reading=st.builds(Reading, st.lists(GAPS, max_size=2).map(tuple))),
    st.builds(OwnCode, conduct=CONDUCT),
)

REPORTS = st.builds(
    Report,
    source=NAMES,
    model=st.one_of(st.none(), MODELS),
    scope=st.sampled_from(Scope),
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
    suppressed=st.lists(SUPPRESSED, max_size=1).map(tuple),
    recipe=st.one_of(st.none(), TRIALS),
    left_out=st.lists(LEFT_OUT, max_size=1).map(tuple),
    verdicts=st.lists(VERDICTS, max_size=2).map(tuple),
    plan=st.one_of(st.none(), TRIALS),
    modules=st.lists(PARTS, max_size=2).map(tuple),
    unchecked=UNCHECKED,
    own_code=st.one_of(st.none(), OWN_CODE),
    notes=st.lists(NAMES, max_size=1).map(tuple),
).map(_consistent)
RUNS = st.builds(Run, st.just(Environment("3.11")), st.lists(REPORTS, min_size=1, max_size=2).map(tuple))
