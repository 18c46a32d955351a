"""``--format html``: one page that asks for nothing else, of one report or of hundreds.

What it shows is the JSON contract, embedded as it is, and beside it what only Python can say: the words of other
formats, and what is there to paste. The page itself is in ``page/``: plain HTML, CSS and JavaScript.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from archlint import __version__
from archlint.core.finding import Remedy, Severity
from archlint.core.report import Report, Run
from archlint.core.rule import Rule
from archlint.core.trial import Trial
from archlint.report import proposal, wording
from archlint.report.contract import document
from archlint.report.fixes import change, is_argument
from archlint.report.quoting import visible
from archlint.report.snippet import WIDTH, argument, assignment

SCRIPTS = (
    "text",
    "dom",
    "records",
    "tree",
    "picture",
    "tree_view",
    "modules",
    "findings",
    "model",
    "trend",
    "rows",
    "toolbar",
    "overview",
    "main",
)
"""The parts of the page's script, in the order in which they are joined."""
_FAMILY = re.compile(r"[A-Za-z]*[0-9]?")


def render(runs: Sequence[Run], *, rules: Sequence[type[Rule]]) -> str:
    """The page of all ``runs``, in ASCII; several reports of one source are its history.

    Args:
        runs: what was found, in the order in which it was where the runs do not say when.
        rules: all that are known, whose packages name the families.
    """
    style = _ascii(_part("page.css"), "\\{:x} ")
    theme, script = (
        _ascii("\n".join(_part(f"{name}.js") for name in names), "\\u{:04x}") for names in (("theme",), SCRIPTS)
    )
    policy = {
        "default-src": "'none'",
        "script-src": f"{_hash(theme)} {_hash(script)}",
        "style-src": _hash(style),
        "img-src": "data:",  # the icon of the tab
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    page = Template(_part("page.html")).substitute(
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        title=escape(_title(runs)),
        style=style,
        theme=theme,
        script=script,
        summary="\n".join(_rows(runs)),
        data=_embedded(_data(runs, rules)),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _part(name: str) -> str:
    return files("archlint.report").joinpath("page").joinpath(name).read_text(encoding="utf-8")


def _ascii(source: str, escaped: str) -> str:
    """``source`` with an escape of its language for each other character: a stream may not be able to carry them."""
    return "".join(char if char.isascii() else escaped.format(ord(char)) for char in source)


def _hash(content: str) -> str:
    """What a Content Security Policy names an inline script or style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _embedded(value: Any) -> str:
    """JSON that can stand in an element of HTML: nothing in it opens or closes a tag or a comment."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _title(runs: Sequence[Run]) -> str:
    sources = list(dict.fromkeys(report.source for run in runs for report in run.reports))
    return f"{visible(sources[0])} · archlint" if len(sources) == 1 else "archlint"


def _rows(runs: Sequence[Run]) -> Iterator[str]:
    """The table for readers without scripts."""
    for run in runs:
        for report in run.reports:
            counts = ["–"] * 3 if report.model is None else [str(len(report.of(severity))) for severity in Severity]
            cells = (visible(report.source), *counts, str(len(report.unchecked)), report.status)
            yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _data(runs: Sequence[Run], rules: Sequence[type[Rule]]) -> dict[str, Any]:
    return {
        "archlint": __version__,
        "families": _families(runs, rules),
        "rules": {rule.code: {"name": rule.name, "summary": rule.documentation().summary} for rule in rules},
        "runs": [{"document": document(run), "texts": [_texts(report) for report in run.reports]} for run in runs],
    }


def _families(runs: Sequence[Run], rules: Sequence[type[Rule]]) -> list[dict[str, str]]:
    """The families of the rules and of what was found: what their codes begin with, and the rules' package."""
    families = {_family(rule.code): _package(rule) for rule in reversed(rules)}
    for run in runs:
        for finding in run.findings:
            families.setdefault(_family(finding.code), ("", ""))
    return [{"prefix": prefix, "name": name, "title": title} for prefix, (name, title) in sorted(families.items())]


def _family(code: str) -> str:
    matched = _FAMILY.match(code)
    return matched[0] if matched else ""


def _package(rule: type[Rule]) -> tuple[str, str]:
    """The name and the summary of the package that a rule is in; nothing for one that is in none."""
    package = sys.modules.get(rule.__module__.rpartition(".")[0])
    if package is None:
        return "", ""
    summary, _, _ = (package.__doc__ or "").strip().partition("\n")
    return package.__name__.rpartition(".")[2], summary.removesuffix(".")


def _texts(report: Report) -> dict[str, Any]:
    """What is told of a report in words, and what is there to paste."""
    recipe, trained = report.recipe, report.training.trained
    return {
        "weights": wording.weights(report.scope),
        "recipe": None
        if recipe is None
        else {**_tried(recipe, report), "standing": proposal.standing(recipe), "source": proposal.source(report)},
        "plan": None if report.plan is None else _tried(report.plan, report),
        "stock": [_tried(trial, report) for trial in report.stock],
        "trainers": [{"label": verdict.trainer.label, "says": wording.verdict(verdict)} for verdict in report.verdicts],
        "trained": None if trained is None else wording.trial_of(trained),
        "suppressed": list(map(wording.suppressed, report.suppressed)),
        "remedies": [[_to_paste(remedy) for remedy in finding.remedies] for finding in report.findings],
    }


def _tried(trial: Trial, report: Report) -> dict[str, str]:
    return {"arguments": _arguments(trial.plan.lora), "outcome": wording.outcome(trial, report.scope)}


def _arguments(values: Mapping[str, Any]) -> str:
    return ", ".join(assignment(name, value) for name, value in values.items())


def _to_paste(remedy: Remedy) -> str | None:
    """A remedy as source; ``None`` where its words, or the recipe, are all that there is."""
    if remedy.edits:
        return "\n".join(f"{wording.line(edit)}  {change(edit)}" for edit in remedy.edits)
    if is_argument(remedy):
        return argument(remedy.kind, remedy.value, WIDTH)
    if remedy.kind == "patch" and isinstance(remedy.value, str):
        return remedy.value
    if remedy.training:
        return "\n".join(argument(name, value, WIDTH) for name, value in remedy.training.items())
    return None
