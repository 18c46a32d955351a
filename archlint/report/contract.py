"""The JSON contract ``archlint/report/v1``, mapped by hand: what is inside archlint may change, this may only grow.

The JSON Schema beside this module says the same for programs.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from archlint import __version__
from archlint.core.blueprint import ModelInfo
from archlint.core.custom_code import OwnCode
from archlint.core.finding import Finding, FoldedSites, Remedy, Severity
from archlint.core.folding import fold
from archlint.core.report import Environment, Part, Report, Run
from archlint.core.suppression import Suppressed
from archlint.core.training import Trained
from archlint.core.trial import Trial
from archlint.core.verdicts import Verdict

SCHEMA = "archlint/report/v1"


def schema() -> Any:
    """The JSON Schema (draft 2020-12) that every document validates against."""
    return json.loads(files("archlint.report").joinpath("schema.json").read_text(encoding="utf-8"))


def document(run: Run) -> dict[str, Any]:
    """A run as one document of JSON values."""
    return {
        "schema": SCHEMA,
        "archlint": __version__,
        "created": run.created,
        "environment": environment(run.environment),
        "reports": [_report(report) for report in run.reports],
        "summary": {
            "errors": run.count(Severity.ERROR),
            "warnings": run.count(Severity.WARNING),
            "infos": run.count(Severity.INFO),
            "unchecked": run.unchecked,
        },
    }


def environment(installed: Environment) -> dict[str, Any]:
    """Versions in JSON values."""
    return {
        "python": installed.python,
        "torch": installed.torch,
        "transformers": installed.transformers,
        "accelerate": installed.accelerate,
        "peft": installed.peft,
        "trl": installed.trl,
    }


def _report(report: Report) -> dict[str, Any]:
    return {
        "source": report.source,
        "model": None if report.model is None else _model(report.model),
        "status": report.status,
        "scope": report.scope.value,
        "findings": list(map(finding, report.findings)),
        "suppressed": list(map(suppressed, report.suppressed)),
        "known": report.known,
        "recipe": None if report.recipe is None else _recipe(report, report.recipe),
        "plan": None if report.plan is None else {**planned(report.plan), **_extent(report, report.plan)},
        "stock": [{"name": trial.plan.name, **planned(trial)} for trial in report.stock],
        "trainers": [_verdict(verdict) for verdict in report.verdicts],
        "trial_train": None if report.training.trained is None else _trained(report.training.trained),
        "dead_in_training": [
            {"plan": part.plan, "sites": [_sites(fold) for fold in part.sites]} for part in report.dying
        ],
        "modules": [_part(part) for part in report.modules],
        "unchecked": [{"what": unchecked.what, "why": unchecked.why} for unchecked in report.unchecked],
        "own_code": None if report.own_code is None else _own_code(report.own_code),
        "notes": list(report.notes),
        "seconds": round(report.seconds, 3),
    }


def _own_code(code: OwnCode) -> dict[str, Any]:
    conduct = code.conduct
    return {
        "treatment": "read" if conduct is None else "run",
        "gaps": [] if code.reading is None else [dataclasses.asdict(gap) for gap in code.reading.gaps],
        "containment": None if conduct is None else list(conduct.containment.layers),
        "open": None if conduct is None else conduct.containment.lack or None,
        "remarks": [] if conduct is None else [one.text for one in conduct.remarks],
    }


def _recipe(report: Report, recipe: Trial) -> dict[str, Any]:
    return {**planned(recipe), "trainer": plain(report.trainer), "left_out": _left_out(report)}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "trainer": verdict.trainer.value,
        "version": verdict.version,
        "installed": verdict.is_installed,
        "status": verdict.status,
        "codes": list(verdict.codes),
        "flaws": [flaw.value for flaw in verdict.flaws],
        "takes": verdict.takes or None,
        "arguments": plain(verdict.needs),
    }


def _trained(trained: Trained) -> dict[str, Any]:
    return {
        "trainer": trained.trainer.value,
        "version": trained.version,
        "raised": None if trained.raised is None else str(trained.raised),
        "losses": plain(trained.losses),
        "dead": list(trained.dead),
        "not_tried": trained.reason or None,
    }


def _left_out(report: Report) -> list[dict[str, Any]]:
    return [{"reason": part.reason, "sites": [_sites(fold) for fold in part.sites]} for part in report.left_out]


def _model(model: ModelInfo) -> dict[str, Any]:
    return {
        "id": model.id,
        "origin": model.origin,
        "revision": model.revision,
        "class": model.class_name,
        "model_type": model.model_type,
        "parameters": model.parameters,
        "modules": model.modules,
        "layers": dict(model.layers),
        "family": list(model.family),
    }


def finding(found: Finding) -> dict[str, Any]:
    """A finding in JSON values."""
    location = found.location
    return {
        "code": found.code,
        "name": found.name,
        "severity": found.severity.value,
        "evidence": found.evidence.value,
        "message": found.message,
        "why": found.why,
        "fingerprint": found.fingerprint,
        "sites": [_sites(fold) for fold in found.sites],
        "location": None if location is None else {"file": location.file, "line": location.line},
        "proof": list(found.proof),
        "remedies": [_remedy(remedy) for remedy in found.remedies],
        "unchecked": found.unchecked,
        "trainers": [trainer.value for trainer in found.trainers],
        "plan_line": None if found.plan_line is None else dataclasses.asdict(found.plan_line),
    }


def suppressed(one: Suppressed) -> dict[str, Any]:
    """The finding, and the comment that suppresses it."""
    at = one.location
    return {**finding(one.finding), "file": at.file, "line": at.line, "reason": one.reason or None}


def _sites(fold: FoldedSites) -> dict[str, Any]:
    return {"pattern": fold.pattern, "count": fold.count, "class": fold.type, "kind": fold.kind, "role": fold.role}


def _part(part: Part) -> dict[str, Any]:
    return {
        **_sites(part.sites),
        "parameters": part.parameters,
        "recipe": part.recipe,
        "plan": part.plan,
        "recipe_saves": part.recipe_saves,
        "plan_saves": part.plan_saves,
    }


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {
        "kind": remedy.kind,
        "text": remedy.text,
        "value": plain(remedy.value),
        "safety": remedy.safety.value,
        "proven": remedy.proven,
        "by_recipe": remedy.by_recipe,
        "trainer": None if remedy.trainer is None else remedy.trainer.value,
        "trainer_args": plain(remedy.training),
        "edits": [dataclasses.asdict(edit) for edit in remedy.edits],
    }


def planned(trial: Trial) -> dict[str, Any]:
    """A plan and what came of it, in JSON values."""
    return {"tuner": trial.plan.tuner, "lora": plain(trial.plan.lora), "trial": _trial(trial)}


def _extent(report: Report, plan: Trial) -> dict[str, Any]:
    """How much of the model a plan trains, and where; what is not known is left out."""
    total = report.model.parameters if report.model is not None else 0
    share = round(plan.trainable / total, 6) if total and plan.trainable is not None else 0.0
    return {
        **({} if plan.trainable is None else {"trainable_share": share}),
        **({} if plan.size is None else {"bytes": plan.size}),
        "adapts": [{**_sites(part.sites), "share": round(part.share, 6)} for part in report.adapts],
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "raised": None if trial.raised is None else str(trial.raised),
        "adapted": len(trial.adapted),
        "patterns": fold(trial.adapted),
        "coverage": round(trial.coverage, 6),
        "outside_scope": trial.outside,
        **({} if trial.trainable is None else {"trainable": trial.trainable}),
        "forward": trial.forward,
        "crash": None if trial.crash is None else str(trial.crash),
        "ran_on": None if trial.ground is None else trial.ground.value,
        "dead": list(trial.dead),
        "saved_dead": list(trial.saved_dead),
        "muted": {path: mute.value for path, mute in trial.muted.items()},
        "notices": list(trial.notices),
    }


def plain(value: Any) -> Any:
    """``value`` in JSON values; what JSON has no word for (sets, NaN, objects) becomes the nearest that it has."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(content) for key, content in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)
