"""Reports that were written down: the way back from :mod:`archlint.report.contract`.

What the contract does not have is not there afterwards; no renderer asks for it. A field that was added since a
document was written, or that another program left out, is as in a report which knows nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from archlint.core.blueprint import ModelInfo, Scope
from archlint.core.custom_code import Conduct, Containment, Gap, OwnCode, Reading, Remark
from archlint.core.finding import (
    Edit,
    Evidence,
    Finding,
    FoldedSites,
    LeftOut,
    Location,
    PlanLine,
    Remedy,
    Severity,
)
from archlint.core.folding import size, unfold
from archlint.core.report import Adapted, Dying, Environment, Part, Report, Run, Unchecked
from archlint.core.safety import Safety
from archlint.core.suppression import Suppressed
from archlint.core.training import Trained, Trainer, Training
from archlint.core.trial import LORA, USER, Crash, Ground, Mute, Plan, Refusal, Trial
from archlint.core.verdicts import Flaw, Verdict
from archlint.report.contract import SCHEMA
from archlint.report.values import DocumentError, Value

_MOST_SITES = 10_000_000
"""All plans of a thousand models adapt fewer: a pattern may stand for as many as its author likes."""
_NO_NUMBERS = ("nan", "inf", "-inf")
_NAMELESS = "?"
"""A site of which it is only known that there is one."""


def read(path: Path) -> tuple[Run, ...]:
    """The documents in a file of ``--format json`` or ``jsonl``, one run each.

    Raises:
        DocumentError: it cannot be read, or holds something else.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, DocumentError) as error:
        raise DocumentError(f"{path}: {error}") from error


def parse(text: str) -> tuple[Run, ...]:
    """The documents in the text of such a file, one run each.

    Raises:
        DocumentError: it is something else.
    """
    runs: list[Run] = []
    sites = 0
    for document in _documents(text):
        _check_kind(document)
        sites += _sites_to_write_out(document)
        if sites > _MOST_SITES:
            raise DocumentError(f"its plans adapt more sites than any models have: {sites}")
        runs.append(_run(document))
    return tuple(runs)


def _documents(text: str) -> Iterator[Value]:
    """The one document that ``text`` is, or the one in each line that is not empty."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise DocumentError("there is no report in it")
    if len(lines) == 1 or not _is_json(lines[0][1]):
        yield Value.loaded(text)
    else:
        for number, line in lines:
            yield Value.loaded(line, f"line {number}")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _check_kind(given: Value) -> None:
    if "schema" not in given.mapping():
        raise DocumentError(f"{given.named} is no report of --format json or jsonl: it has no schema")
    schema = given["schema"].text()
    if schema != SCHEMA:
        raise DocumentError(f"{given['schema'].place} is {schema!r}, and {SCHEMA} is what this archlint reads")


def _sites_to_write_out(given: Value) -> int:
    """How many adapted sites are to be held in memory for a document."""
    reports = given["reports"].items()
    plans = (plan for report in reports for plan in (report["recipe"], report["plan"], *report["stock"].items()))
    trials = (plan["trial"] for plan in plans if plan.content is not None)
    return sum(max(trial["adapted"].integer(), sum(map(size, trial.rows("patterns", Value.text)))) for trial in trials)


def _run(given: Value) -> Run:
    environment = given["environment"]
    packages = ("torch", "transformers", "accelerate", "peft", "trl")
    versions = {name: environment.get(name, lambda version: version.maybe(Value.text), None) for name in packages}
    return Run(
        Environment(environment["python"].text(), **versions),
        given["reports"].each(_report),
        created=given.get("created", lambda created: created.maybe(Value.text), None),
    )


def _report(given: Value) -> Report:
    recipe = given["recipe"].maybe(lambda recipe: recipe)
    plan = given["plan"].maybe(lambda plan: plan)
    verdicts = given.rows("trainers", _verdict)
    trained = given.get("trial_train", lambda trained: trained.maybe(_trained), None)
    return Report(
        source=given["source"].text(),
        model=given["model"].maybe(_model),
        scope=given["scope"].word(Scope),
        findings=given["findings"].each(_finding),
        suppressed=given.rows("suppressed", _suppressed),
        known=given.get("known", Value.integer, 0),
        recipe=None if recipe is None else _trial(recipe, "recipe"),
        left_out=() if recipe is None else recipe.rows("left_out", _left_out),
        training=Training(trainers=tuple(verdict.trainer for verdict in verdicts), trained=trained),
        verdicts=verdicts,
        dying=given.rows("dead_in_training", _dying),
        plan=None if plan is None else _trial(plan, USER),
        adapts=() if plan is None else plan.rows("adapts", _adapted),
        stock=tuple(_trial(trial, trial["name"].text()) for trial in given["stock"].items()),
        modules=given.rows("modules", _part),
        unchecked=tuple(Unchecked(item["what"].text(), item["why"].text()) for item in given["unchecked"].items()),
        own_code=given.get("own_code", lambda code: code.maybe(_own_code), None),
        notes=given.rows("notes", Value.text),
        seconds=given["seconds"].number(),
    )


def _own_code(given: Value) -> OwnCode:
    if given["treatment"].text() == "read":
        return OwnCode(reading=Reading(given["gaps"].each(_gap)))
    containment = Containment(given["containment"].each(Value.text), given["open"].maybe(Value.text) or "")
    remarks = given["remarks"].each(lambda one: Remark(one.text()))
    return OwnCode(conduct=Conduct(containment, remarks))


def _gap(given: Value) -> Gap:
    return Gap(given["path"].text(), given["file"].text(), given["line"].integer(), given["why"].text())


def _model(given: Value) -> ModelInfo:
    return ModelInfo(
        id=given["id"].text(),
        origin=given["origin"].text(),
        class_name=given["class"].text(),
        model_type=given["model_type"].text(),
        parameters=given["parameters"].integer(),
        modules=given["modules"].integer(),
        revision=given["revision"].maybe(Value.text),
        family=given.rows("family", Value.text),
        layers=given.get("layers", lambda layers: {role: n.integer() for role, n in layers.fields()}, {}),
    )


def _finding(given: Value) -> Finding:
    return Finding(
        code=given["code"].text(),
        name=given["name"].text(),
        severity=given["severity"].word(Severity),
        message=given["message"].text(),
        why=given.get("why", Value.text, ""),
        evidence=given["evidence"].word(Evidence),
        sites=given["sites"].each(_sites),
        location=given["location"].maybe(lambda at: Location(at["file"].text(), at["line"].integer())),
        remedies=given["remedies"].each(_remedy),
        proof=given.rows("proof", Value.text),
        unchecked=given.get("unchecked", Value.flag, False),
        trainers=given.rows("trainers", _trainer),
        plan_line=given.get("plan_line", lambda line: line.maybe(_plan_line), None),
    )


def _suppressed(given: Value) -> Suppressed:
    location = Location(given["file"].text(), given["line"].integer())
    return Suppressed(_finding(given), location, given["reason"].maybe(Value.text) or "")


def _sites(given: Value) -> FoldedSites:
    words = (given[name].text() for name in ("class", "kind", "role"))
    return FoldedSites(given["pattern"].text(), given["count"].integer(), *words)


def _trainer(given: Value) -> Trainer:
    return given.word(Trainer)


def _plan_line(given: Value) -> PlanLine:
    return PlanLine(given["file"].text(), given["line"].integer(), given["key"].text())


def _remedy(given: Value) -> Remedy:
    return Remedy(
        kind=given["kind"].text(),
        text=given["text"].text(),
        value=given["value"].content,
        safety=given["safety"].word(Safety),
        proven=given["proven"].flag(),
        training=given.get("trainer_args", lambda arguments: arguments.maybe(Value.mapping), None),
        trainer=given.get("trainer", lambda trainer: trainer.maybe(_trainer), None),
        by_recipe=given.get("by_recipe", Value.flag, False),
        edits=given.rows("edits", _edit),
    )


def _edit(given: Value) -> Edit:
    return Edit(given["file"].text(), given["line"].integer(), given["key"].text(), given["text"].text())


def _left_out(given: Value) -> LeftOut:
    return LeftOut(given["reason"].text(), given["sites"].each(_sites))


def _dying(given: Value) -> Dying:
    return Dying(given["plan"].text(), given["sites"].each(_sites))


def _adapted(given: Value) -> Adapted:
    return Adapted(_sites(given), given["share"].share())


def _part(given: Value) -> Part:
    plan = given["plan"].maybe(Value.flag)
    saves = (given.get(name, Value.flag, False) for name in ("recipe_saves", "plan_saves"))
    return Part(_sites(given), given["parameters"].integer(), given["recipe"].flag(), plan, *saves)


def _verdict(given: Value) -> Verdict:
    return Verdict(
        trainer=given["trainer"].word(Trainer),
        version=given["version"].text(),
        is_installed=given["installed"].flag(),
        status=given["status"].text(),
        codes=given["codes"].texts(),
        flaws=given.rows("flaws", lambda flaw: flaw.word(Flaw)),
        takes=given.get("takes", lambda takes: takes.maybe(Value.text), None) or "",
        needs=given["arguments"].maybe(Value.mapping) if "arguments" in given.mapping() else {},
    )


def _trained(given: Value) -> Trained:
    return Trained(
        trainer=given["trainer"].word(Trainer),
        version=given["version"].text(),
        losses=given["losses"].each(_loss),
        dead=given["dead"].texts(),
        raised=given["raised"].maybe(_crash),
        reason=given["not_tried"].maybe(Value.text) or "",
    )


def _loss(given: Value) -> float:
    """A number, or the word for one that JSON has none for."""
    if given.content in _NO_NUMBERS:
        return float(given.content)
    return given.number()


def _trial(given: Value, name: str) -> Trial:
    trial = given["trial"]
    plan = Plan(name, given["lora"].mapping(), given.get("tuner", Value.text, LORA))
    return Trial(
        plan,
        raised=trial["raised"].maybe(lambda raised: Refusal(*_named(raised.text()))),
        adapted=_paths(trial),
        notices=trial.rows("notices", Value.text),
        coverage=trial["coverage"].share(),
        outside=trial["outside_scope"].integer(),
        trainable=trial.get("trainable", Value.integer, None),
        size=given.get("bytes", Value.integer, None),
        forward=trial["forward"].text(),
        crash=trial["crash"].maybe(_crash),
        dead=trial["dead"].texts(),
        saved_dead=trial.rows("saved_dead", Value.text),
        muted=trial.get("muted", lambda muted: {path: mute.word(Mute) for path, mute in muted.fields()}, {}),
        ground=trial.get("ran_on", lambda ground: ground.maybe(lambda word: word.word(Ground)), None),
    )


def _paths(trial: Value) -> tuple[str, ...]:
    """The adapted sites; without names where the document does not say which they are."""
    number = trial["adapted"].integer()
    patterns = trial.rows("patterns", Value.text)
    paths = tuple(path for pattern in patterns for path in unfold(pattern))
    return paths if len(paths) == number else (_NAMELESS,) * number


def _crash(given: Value) -> Crash:
    return Crash(*_named(given.text()))


def _named(text: str) -> tuple[str, str]:
    """The type and the message of what was raised."""
    kind, _, message = text.partition(": ")
    return kind, message
