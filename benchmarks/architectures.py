"""Every architecture there is: what archlint finds in it, and what its recipe, the stock plans and its peers' do.

Usage: ``python benchmarks/architectures.py [--jobs N] [NAME …]``. Goes over every model type of the installed
transformers, with its default config, and every bundled snapshot, or those named alone, and writes their lines into
``architectures.jsonl``: a header with versions, then one line for each architecture. ``--table`` prints what they
come to, and ``--docs`` writes it into ``docs/architectures.md``; neither scans.

A line holds ``name``, ``class``, ``scope``, whether it is a ``language`` model and has ``towers``; what it ``runs``
on; ``findings``, by severity and code, with the number of sites; and ``plans``, with what became of each. Where there
is no more to say, ``unbuilt``, ``unjudged``, ``unrun`` or ``stopped`` says why.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import apart
import peers
import verdicts

import archlint
from archlint.core.blueprint import Blueprint, Kind, ModelInfo, Role, is_projection
from archlint.core.report import Report
from archlint.core.trial import Ground, Plan, Trial
from archlint.quiet import quiet
from archlint.sources import SourceOptions, resolve, snapshots
from archlint.sources.model_types import model_types

HERE = Path(__file__).parent
LINES = HERE / "architectures.jsonl"
DOCS = HERE.parent / "docs" / "architectures.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"

PACKAGES = ("accelerate", "peft", "pillow", "timm", "torch", "torchvision", "transformers")
"""Those that decide what can be built, and what becomes of it."""
AUTO_CLASSES = (
    "AutoModelForCausalLM",
    "AutoModelForImageTextToText",
    "AutoModelForMultimodalLM",
    "AutoModelForSeq2SeqLM",
)
"""Those that list language models."""

CHUNK = 12
"""Architectures for one process: what they import stays in memory."""
SECONDS = 300.0
"""For one architecture; none is known to need a tenth of it."""


def architectures() -> list[str]:
    """The sources of all architectures: model types first, then published models."""
    return [*(f"type:{name}" for name in sorted(model_types())), *sorted(snapshots.ids(), key=str.casefold)]


def scan(source: str) -> verdicts.Row:
    """The line of one architecture."""
    report = archlint.lint(source, offline=True, trainers=[])  # plans are what is compared
    row: verdicts.Row = {"name": source}
    if report.model is None:
        return {**row, "language": is_language(source), "unbuilt": _stable(report.unchecked[0].why)}
    row |= {"class": report.model.class_name, "scope": report.scope.value, "language": is_language(source)}
    if not report.stock:
        return {**row, "unjudged": _stable(report.unchecked[0].why)}
    with quiet():
        subject = _Subject(source, report)
        plans = dict(subject.outcomes())
        ground = subject.ground
        row |= {"runs": ground.value} if ground else {"runs": None, "unrun": _stable(subject.reason)}
    return {**row, "findings": _findings(report), "plans": plans, "towers": subject.has_towers}


class _Subject:
    """An architecture on which further plans are tried, beside those of its report."""

    def __init__(self, source: str, report: Report) -> None:
        from archlint.proving import Prover
        from archlint.skeleton import build
        from archlint.survey import survey

        config = resolve(source, SourceOptions(offline=True)).config
        assert config is not None
        skeleton = build(config)
        self._model = skeleton.model
        self._report = report
        self._blueprint: Blueprint = survey(skeleton, ModelInfo(source, "", "", "", 0, 0), report.scope)
        self._prover = Prover(skeleton.model, self._blueprint)
        self._tried = {_key(trial.plan.lora): trial for trial in self._reported}

    @property
    def _reported(self) -> list[Trial]:
        return [*self._report.stock, *([self._report.recipe] if self._report.recipe else [])]

    @property
    def has_towers(self) -> bool:
        """Whether there is anything beside the text: a tower, or a connector to one."""
        beside = (Role.VISION, Role.AUDIO, Role.PROJECTOR)
        return any(is_projection(site) and site.role in beside for site in self._blueprint.sites)

    @property
    def ground(self) -> Ground | None:
        """What its training step can be run on."""
        grounds = (trial.ground for trial in self._tried.values())
        return next(filter(None, grounds), None) or self._prover.baseline.ground

    @property
    def reason(self) -> str:
        """Why it can be run on nothing."""
        return self._prover.baseline.reason

    def outcomes(self) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
        """What became of each plan: the recipe's, the stock plans' and the peers'."""
        yield "recipe", self._outcome(self._report.recipe) if self._report.recipe else None
        for trial in self._report.stock:
            yield trial.plan.name, self._outcome(trial)
        for name, choose in peers.PEERS.items():
            try:
                yield name, self._outcome(self._try(choose(self._model)))
            except peers.RefusedError as error:
                yield name, {"refused": str(error)}

    def _try(self, lora: peers.Arguments) -> Trial:
        key = _key(lora)
        if key not in self._tried:
            self._tried[key] = self._prover.try_plan(Plan("peer", lora))
        return self._tried[key]

    def _outcome(self, trial: Trial) -> Mapping[str, Any]:
        if trial.raised is not None:
            return {"raised": trial.raised.type}
        sites = [self._blueprint.by_path[path] for path in trial.adapted]
        counts = {
            "dead": len(trial.dead),
            "outside": trial.outside,
            "heads": sum(site.kind is Kind.HEAD or site.role is Role.HEAD for site in sites),
            "routers": sum(site.kind in (Kind.ROUTER, Kind.GATE) for site in sites),
        }
        return {
            "adapted": len(sites),
            "coverage": round(trial.coverage, 4),
            "forward": trial.forward,
            **({"crash": trial.crash.type} if trial.crash else {}),
            **{name: count for name, count in counts.items() if count},
        }


def _key(lora: Mapping[str, Any]) -> str:
    """The same for plans that say the same: the order of a list of targets means nothing."""
    plain = {name: sorted(value) if isinstance(value, (list, tuple)) else value for name, value in lora.items()}
    return json.dumps(plain, sort_keys=True)


def is_language(source: str) -> bool:
    """Whether transformers lists the architecture among language models."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config = resolve(source, SourceOptions(offline=True)).config or {}
    with quiet():
        known = CONFIG_MAPPING[config["model_type"]]
        return any(known in getattr(transformers, auto)._model_mapping for auto in AUTO_CLASSES)


def _findings(report: Report) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for finding in report.findings:
        codes = found.setdefault(finding.severity.value, {})
        codes[finding.code] = codes.get(finding.code, 0) + max(finding.count, 1)
    return found


def _stable(reason: str) -> str:
    """A reason without what differs from machine to machine: paths, lines, addresses of objects and of hosts."""
    reason = re.sub(r"https?://\S+", "…", reason)
    reason = re.sub(r" \([\w/.-]+\.py:\d+\)", "", reason)
    reason = re.sub(r"0x[0-9a-f]+", "0x…", reason)
    reason = re.sub(r"(?<!\w)/[\w./-]+/", "", reason)
    reason = " ".join(reason.split())
    return reason if len(reason) <= 120 else f"{reason[:119]}…"


def scan_all(sources: Sequence[str], jobs: int) -> list[verdicts.Row]:
    """The lines of ``sources``, in their order, from ``jobs`` processes at a time."""
    return list(apart.found(_scan_or_say, sources, jobs=jobs, chunk=CHUNK, seconds=SECONDS))


def _scan_or_say(source: str) -> verdicts.Row:
    try:
        return scan(source)
    except Exception as error:  # a defect of archlint's own: a line that says so is seen, and the others are kept
        return {"name": source, "stopped": _stable(f"{type(error).__name__}: {error}")}


def installed() -> dict[str, str | None]:
    """The versions that the lines depend on; ``None`` for what is not installed."""
    return {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package).partition("+")[0]  # torch for the processor alone computes the same
    except PackageNotFoundError:
        return None


def read(path: Path) -> tuple[dict[str, str | None], list[verdicts.Row]]:
    """The versions and the lines of a file."""
    header, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return header["versions"], rows


def write(path: Path, versions: Mapping[str, str | None], rows: Iterable[verdicts.Row]) -> None:
    """A file of the lines, compact, with keys in order."""
    lines = [{"versions": dict(versions)}, *rows]
    text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")


def updated(old: Iterable[verdicts.Row], new: Iterable[verdicts.Row]) -> list[verdicts.Row]:
    """The ``old`` lines with the ``new`` ones in their place, in the order of :func:`architectures`."""
    rows = {row["name"]: row for row in (*old, *new)}
    return [rows[source] for source in architectures() if source in rows]


def _sources(parser: argparse.ArgumentParser, names: Sequence[str]) -> list[str]:
    known = architectures()
    sources = [name if name in known else f"type:{name}" for name in names]
    if unknown := [name for name, source in zip(names, sources, strict=True) if source not in known]:
        parser.error(f"neither a model type nor a bundled snapshot: {', '.join(unknown)}")
    return sources


def main() -> None:
    """Scan, or print or write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a model type, or the id of a bundled snapshot")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (%(default)s)")
    parser.add_argument("--output", type=Path, default=LINES, metavar="FILE", help="the file of lines")
    parser.add_argument("--table", action="store_true", help="print the table of the file")
    parser.add_argument("--docs", action="store_true", help="write the table of the file into docs/")
    options = parser.parse_args()
    if options.table:
        sys.stdout.write(verdicts.table(*read(options.output)))
        return
    if options.docs:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        table = verdicts.table(*read(options.output))
        DOCS.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
        return
    sources = _sources(parser, options.names)
    old: list[verdicts.Row] = []
    if sources and options.output.exists():
        versions, old = read(options.output)
        if versions != installed():
            parser.error(f"{options.output.name} was made with other versions: scan all")
    with tempfile.TemporaryDirectory() as home:  # a user's cache may hold other configs than the snapshots are
        os.environ |= {"HF_HOME": home, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        os.environ.pop("HF_HUB_CACHE", None)
        rows = scan_all(sources or architectures(), options.jobs)
    write(options.output, installed(), updated(old, rows))


if __name__ == "__main__":
    main()
