"""How true a model that is read is to the one that is built.

Usage: ``python benchmarks/reading.py [--jobs N] [--output FILE] [--docs] [NAME …]``. Takes transformers' own model
types, each from its default config, and the bundled snapshots, or those named alone. The folder of each type is read
like a repository that brings its own code, and the census of what comes out is compared with the census of the model
that transformers builds. Prints a table, and with ``--docs`` writes it into ``docs/reading.md``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apart
from apart import Row
from architectures import architectures, is_language

from archlint.core.blueprint import Blueprint, ModelInfo, Site
from archlint.quiet import quiet
from archlint.sources import SourceOptions, resolve

DOCS = Path(__file__).parent.parent / "docs" / "reading.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
CHUNK = 30
SECONDS = 180.0


def compare(source: str) -> Row:
    """What reading finds of one architecture, against what is built."""
    from archlint.reading import ReadingError, read
    from archlint.skeleton import SkeletonError, build
    from archlint.survey import survey

    config = resolve(source, SourceOptions(offline=True)).config
    assert config is not None
    row: Row = {"name": source}
    info = ModelInfo(source, "", "", "", 0, 0)
    try:
        with quiet():
            skeleton = build(config)
            built = survey(skeleton, info)
    except SkeletonError as error:
        return {**row, "unbuilt": str(error)[:100]}
    cls = type(skeleton.model)
    row |= {"class": cls.__name__}
    folder, like_own = _as_repository(config, skeleton.model)
    start = time.process_time()
    try:
        with quiet():
            reading = read(like_own, folder, cls.__name__)
    except ReadingError as error:
        return {**row, "unread": str(error)[:200], "sites": len(built.sites)}
    row |= {"seconds": round(time.process_time() - start, 2), "gaps": len(reading.gaps)}
    with quiet():
        found = survey(reading.skeleton, info)
        said, other = _said(built), _said(found)
    row |= {"same_findings": said == other, "findings": {code: (said[code], other[code]) for code in said | other}}
    return {**row, **_differences(built, found)}


def _as_repository(config: dict[str, Any], model: Any) -> tuple[Path, dict[str, Any]]:
    """The folder of a model's class, and the config with the ``auto_map`` that a repository of it would have."""
    cls, parsed = type(model), type(model.config)
    module = importlib.import_module(cls.__module__)
    auto_map = {"AutoModelForCausalLM": f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"}
    if parsed.__module__.rpartition(".")[0] == cls.__module__.rpartition(".")[0]:
        auto_map["AutoConfig"] = f"{parsed.__module__.rpartition('.')[2]}.{parsed.__name__}"
    return Path(str(module.__file__)).parent, {**config, "auto_map": auto_map}


def _shapes(site: Site) -> list[tuple[str, tuple[int, ...]]]:
    return [(weight.name, weight.shape) for weight in site.weights]


def _differences(built: Blueprint, found: Blueprint) -> Row:
    there = {(site.path, site.type.name): site for site in built.sites}
    read = {(site.path, site.type.name): site for site in found.sites}
    both = there.keys() & read.keys()
    missed, wrong = there.keys() - both, read.keys() - both
    other_shape = [key for key in both if _shapes(there[key]) != _shapes(read[key])]
    other_kind = [key for key in both if there[key].kind is not read[key].kind]
    other_role = [key for key in both if there[key].role is not read[key].role]
    return {
        "sites": len(there),
        "missed": len(missed),
        "wrong": len(wrong),
        "shape": len(other_shape),
        "kind": len(other_kind),
        "role": len(other_role),
        "examples": {
            "missed": _few(missed),
            "wrong": _few(wrong),
            "shape": [f"{p} {_shapes(there[p, c])} {_shapes(read[p, c])}" for p, c in sorted(other_shape)[:3]],
            "kind": [f"{p} {c} {there[p, c].kind} {read[p, c].kind}" for p, c in sorted(other_kind)[:3]],
            "role": [f"{p} {there[p, c].role} {read[p, c].role}" for p, c in sorted(other_role)[:3]],
        },
    }


def _few(keys: Iterable[tuple[str, str]]) -> list[str]:
    return [" ".join(key) for key in sorted(keys)[:4]]


def _said(blueprint: Blueprint) -> Counter[str]:
    """What the rules say of a model on which nothing was tried."""
    from archlint.core.rule_loading import load
    from archlint.judging import run_rules

    findings, _ = run_rules(blueprint, load()[0].values())
    return Counter({finding.code: finding.count for finding in findings})


def _compare_or_say(source: str) -> Row:
    try:
        return compare(source)
    except Exception:  # a defect of archlint's own: a line that says so is seen, and the others are kept
        return {"name": source, "stopped": traceback.format_exc()[-600:]}


def table(rows: Sequence[Row]) -> str:
    """The totals, and the architectures that are not read as they are built."""
    read = [row for row in rows if "missed" in row]
    sites = sum(row["sites"] for row in rows if "sites" in row)

    def share(name: str, of: int) -> str:
        return f"{100 * sum(row[name] for row in read) / max(of, 1):.2f} %"

    unread = [row for row in rows if "unread" in row]
    lost = sum(row["missed"] for row in read) + sum(row["sites"] for row in unread)
    same = sites - lost
    alike = sum(not (row["missed"] or row["wrong"] or row["shape"] or row["kind"]) for row in read)
    lines = [
        "| what | of all | |",
        "| --- | ---: | --- |",
        f"| architectures read | {len(read)} of {len(read) + len(unread)} | |",
        f"| sites found | {100 * same / max(sites, 1):.2f} % | of {sites:,} that the built models have |",
        f"| sites that are not there | {share('wrong', sites)} | beside them |",
        f"| of those found, with other shapes | {share('shape', same)} | |",
        f"| of those found, of another kind | {share('kind', same)} | |",
        f"| of those found, in another role | {share('role', same)} | |",
        f"| architectures with no difference in site, shape or kind | {alike} | |",
        f"| architectures of which the rules say the same | {sum(row['same_findings'] for row in read)} | |",
        f"| architectures with a gap told | {sum(bool(row['gaps']) for row in read)} | |",
        "",
        "Not read as they are built:",
        "",
        "| architecture | sites | missed | wrong | other shape | other kind | gaps told |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if "unread" in row:
            lines.append(f"| `{row['name']}` | {row['sites']} | all: {row['unread']} | | | | |")
        elif "missed" in row and (row["missed"] or row["wrong"] or row["shape"] or row["kind"]):
            cells = (row[name] for name in ("sites", "missed", "wrong", "shape", "kind", "gaps"))
            lines.append(f"| `{row['name']}` | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _kept(file: Path | None) -> list[Row]:
    """The rows of a file from an earlier run."""
    if file is None or not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Compare, print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a model type, or the id of a bundled snapshot")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (%(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="a file of rows, to which more are added")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/")
    options = parser.parse_args()
    known = architectures()
    named = [name if name in known else f"type:{name}" for name in options.names]
    sources = named or [source for source in known if is_language(source)]
    rows = {row["name"]: row for row in _kept(options.output)}
    with tempfile.TemporaryDirectory() as home:  # a user's cache may hold other configs than the snapshots are
        os.environ |= {"HF_HOME": home, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        for row in apart.found(_compare_or_say, sources, jobs=options.jobs, chunk=CHUNK, seconds=SECONDS):
            rows[row["name"]] = row
            if options.output:
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    text = table([rows[source] for source in known if source in rows])
    sys.stdout.write(text)
    if options.docs:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        DOCS.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
